"""Nuclei as the objective shows them: blurred once, stamped at any sub-pixel place."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage, signal

from dipstream_simulator.optics import Objective, airy_psf
from dipstream_simulator.specimen.nuclei import Channel
from dipstream_simulator.specimen.nucleus import Nucleus

__all__ = ["Sprite", "make_sprite", "place"]

_Fine = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Sprite:
    """A nucleus on a grid finer than the pixels, in the middle of each array.

    Attributes
    ----------
    oversample
        Fine samples along a pixel; odd, so that a pixel has a middle sample.
    half_px
        Pixels from the middle of a stamp to its edge.
    depth
        As in `Nucleus.depth`, unblurred: the truth.
    light
        One array for each channel: blurred by the objective and averaged over one pixel's
        area, around each fine sample.
    """

    oversample: int
    half_px: int
    depth: _Fine
    light: tuple[_Fine, ...]

    def stamp(self, fine: _Fine, y_px: float, x_px: float) -> tuple[_Fine, int, int]:
        """Sample one of this sprite's arrays at the pixels around a sub-pixel place.

        Bilinear on the fine grid, which moves the centre of mass by exactly the sub-pixel
        offset and conserves the sum.

        Parameters
        ----------
        fine
            `depth`, or one of `light`.
        y_px, x_px
            Where the nucleus' centroid is; the middle of the first pixel is 0.

        Returns
        -------
        patch, top, left
            (2·half_px + 1, 2·half_px + 1) float32 and the pixel of its upper left corner,
            which may be outside the image.
        """
        top, rows, y_weight = self._along(y_px)
        left, columns, x_weight = self._along(x_px)
        next_rows = slice(rows.start + 1, rows.stop + 1, rows.step)
        next_columns = slice(columns.start + 1, columns.stop + 1, columns.step)
        upper = (1.0 - y_weight) * fine[rows] + y_weight * fine[next_rows]
        patch = (1.0 - x_weight) * upper[:, columns] + x_weight * upper[:, next_columns]
        return np.asarray(patch, dtype=np.float32), top, left

    def _along(self, place_px: float) -> tuple[int, slice, float]:
        first_px = round(place_px) - self.half_px
        middle = (len(self.depth) - 1) // 2
        exact = middle + self.oversample * (first_px - place_px)
        start = math.floor(exact)
        stop = start + self.oversample * 2 * self.half_px + 1
        return first_px, slice(start, stop, self.oversample), exact - start


def make_sprite(
    nucleus: Nucleus, objective: Objective, channels: tuple[Channel, ...], pixel_um: float
) -> Sprite:
    """Draw a nucleus finely and blur it with the objective's PSF of each channel.

    Parameters
    ----------
    nucleus
        What to draw.
    objective, channels
        Give the PSF: NA and emission wavelength.
    pixel_um
        Side of a pixel in the object, in µm.
    """
    nyquist_um = min(objective.nyquist_um(channel.emission_nm) for channel in channels)
    # The fine grid resolves what the objective resolves; odd, at least 3.
    oversample = max(3, 2 * math.ceil((pixel_um / nyquist_um - 1.0) / 2.0) + 1)
    step_um = pixel_um / oversample
    kernels = [airy_psf(objective, channel.emission_nm, step_um) for channel in channels]
    margin_um = max(len(kernel) // 2 for kernel in kernels) * step_um
    half_px = math.ceil((nucleus.reach_um + margin_um) / pixel_um)
    half = oversample * (half_px + 1)
    light = tuple(
        _blur(fine, kernel, oversample)
        for fine, kernel in zip(nucleus.light(step_um, half), kernels, strict=True)
    )
    return Sprite(oversample, half_px, nucleus.depth(step_um, half), light)


def place(
    shape: tuple[int, int], patch: _Fine, top: int, left: int
) -> tuple[tuple[slice, slice], _Fine]:
    """Cut a patch at the image's border.

    Returns
    -------
    where, patch
        The slices of an image of this shape, and the part of the patch that belongs there;
        both are empty if the patch lies outside.
    """
    y0, x0 = max(top, 0), max(left, 0)
    y1 = max(y0, min(top + patch.shape[0], shape[0]))
    x1 = max(x0, min(left + patch.shape[1], shape[1]))
    return (slice(y0, y1), slice(x0, x1)), patch[y0 - top : y1 - top, x0 - left : x1 - left]


def _blur(fine: _Fine, kernel: npt.NDArray[np.float64], oversample: int) -> _Fine:
    blurred = signal.fftconvolve(fine, kernel.astype(np.float32), mode="same")
    pixel = ndimage.uniform_filter(blurred, oversample, mode="constant")
    return np.asarray(np.maximum(pixel, 0.0), dtype=np.float32)
