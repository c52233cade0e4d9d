"""Which objects the edge of the image cuts: what is seen of them has another middle."""

import numpy as np
import numpy.typing as npt

from dipstream.truth.overlap import LabelImage

__all__ = ["circles_cut", "labels_cut"]

Floats = npt.NDArray[np.float64]


def labels_cut(labels: LabelImage, n: int) -> npt.NDArray[np.bool_]:
    """Return for each of the labels 1…n whether it touches the edge: bool (n,)."""
    cut = np.zeros(n + 1, np.bool_)
    for line in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        cut[line[(line > 0) & (line <= n)]] = True
    return cut[1:]


def circles_cut(
    y_px: Floats, x_px: Floats, area_px: Floats, shape: tuple[int, int] | None
) -> npt.NDArray[np.bool_]:
    """Return whether circles of these areas reach into the outermost pixels: bool (n,).

    Parameters
    ----------
    y_px, x_px, area_px
        float64 (n,): centroids from the middle of the first pixel, and areas; NaN if unknown, which
        counts as inside.
    shape
        Rows and columns of the image; without them only two of its edges are known.
    """
    radius_px = np.sqrt(area_px / np.pi)
    rows, columns = (np.inf, np.inf) if shape is None else shape
    return np.asarray(
        (y_px - radius_px < 0)
        | (x_px - radius_px < 0)
        | (y_px + radius_px > rows - 1)
        | (x_px + radius_px > columns - 1),
        np.bool_,
    )
