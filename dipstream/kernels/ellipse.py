"""The ellipse with an object's second moments: its axes, eccentricity and orientation."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dipstream.kernels.moments import Moments

__all__ = ["Ellipses", "ellipses_of"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Ellipses:
    """float64, one of each an object.

    Attributes
    ----------
    major, minor
        Full lengths of the axes (px). The minor axis of a line is 0.
    eccentricity
        0 a circle, towards 1 a line.
    orientation
        Angle between the y axis and the major axis (rad), −π/2 … π/2, counter-clockwise; ±π/4
        where both variances are equal, −π/4 where the object also has no direction.
    """

    major: Floats
    minor: Floats
    eccentricity: Floats
    orientation: Floats


def ellipses_of(moments: Moments) -> Ellipses:
    """Return the ellipses of objects.

    The axes are four times the square roots of the covariance's eigenvalues (Burger and Burge,
    Principles of Digital Image Processing: Core Algorithms, 2009, section 2.4). Sums are taken
    about the pixel next to the centroid, where they are small whole numbers: an exactly straight
    line along an axis or a diagonal has no width at all.
    """
    yy, yx, xx = _covariance(moments)
    trace = yy + xx
    # The difference of the eigenvalues; hypot needs no squares of squares.
    root = np.hypot(2 * yx, yy - xx)
    larger = (trace + root) / 2
    smaller = np.zeros_like(larger)
    # From the determinant: trace − root would lose the digits of a narrow object's width.
    np.divide(np.maximum(yy * xx - yx * yx, 0), larger, out=smaller, where=larger > 0)
    squared = np.zeros_like(larger)
    np.divide(root, larger, out=squared, where=larger > 0)
    equal = yy == xx
    orientation = np.where(
        equal,
        np.where(yx > 0, np.pi / 4, -np.pi / 4),
        0.5 * np.arctan2(2 * yx, yy - xx),
    )
    return Ellipses(
        major=4 * np.sqrt(larger),
        minor=4 * np.sqrt(smaller),
        eccentricity=np.sqrt(squared),
        orientation=orientation,
    )


def _covariance(moments: Moments) -> tuple[Floats, Floats, Floats]:
    """Return the variance of y, the covariance, and the variance of x, over n."""
    area = moments.area
    # Sums about (cy, cx) from those about the corner of the box: still whole numbers.
    cy, cx = _rounded(moments.sum_y, area), _rounded(moments.sum_x, area)
    off_y, off_x = moments.sum_y - cy * area, moments.sum_x - cx * area
    yy = moments.sum_yy - cy * (moments.sum_y + off_y)
    xx = moments.sum_xx - cx * (moments.sum_x + off_x)
    yx = moments.sum_yx - cy * moments.sum_x - cx * off_y
    n = area.astype(np.float64)
    return (
        (yy - off_y * (off_y / n)) / n,
        (yx - off_y * (off_x / n)) / n,
        (xx - off_x * (off_x / n)) / n,
    )


def _rounded(total: Ints, area: Ints) -> Ints:
    return (2 * total + area) // (2 * area)
