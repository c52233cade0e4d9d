"""The shift between two images, and the small reference that a run keeps for it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.signal.windows import tukey
from skimage.registration import phase_cross_correlation

from dipstream.steps.correct.planes import as_float32
from dipstream.steps.image import Image
from dipstream.steps.step import State

__all__ = ["Reference", "measure_shift"]

_LARGEST_SIDE_PX = 1024
_BAND_PX = (1.0, 8.0)
_TAPER = 0.25
_LEAST_CORRELATION = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """An image made ready for comparison: projected, binned, band-passed, mean 0, variance 1.

    Attributes
    ----------
    pixels
        float16 (y, x): half the bytes in every saved state, and far finer than the noise.
    channel
        The channel it was taken from.
    field_px
        Rows and columns of the image it was made from.
    """

    pixels: npt.NDArray[np.float16]
    channel: str
    field_px: tuple[int, int]

    @classmethod
    def of(cls, image: Image) -> "Reference | None":
        """Return the reference made of an image, or None if the image shows nothing."""
        plane = image.pixels.max(axis=0) if image.pixels.ndim == 3 else image.pixels
        rows, columns = plane.shape
        if plane.min() == plane.max():
            return None
        small = _bin(plane, _bin_size((rows, columns)))
        low, high = _BAND_PX
        band = ndimage.gaussian_filter(small, low) - ndimage.gaussian_filter(small, high)
        spread = float(band.std())
        # float32 rounding of a nearly constant image is no structure either
        if spread <= 1e-6 * float(np.abs(small).max()):
            return None
        pixels = ((band - band.mean()) / spread).astype(np.float16)
        return cls(pixels, image.channel, (rows, columns))

    @classmethod
    def from_state(cls, state: State) -> "Reference | None":
        """Return the reference of a saved state, or None if it has none yet."""
        if "reference" not in state:
            return None
        rows, columns = (int(n) for n in state["field_px"])
        return cls(state["reference"], str(state["channel"]), (rows, columns))

    def to_state(self) -> State:
        """Return named arrays that can be saved."""
        return {
            "reference": self.pixels,
            "channel": np.array(self.channel),
            "field_px": np.array(self.field_px, dtype=np.int64),
        }


def measure_shift(
    reference: Reference, moved: Reference, upsample: int
) -> tuple[float, float] | None:
    """Return how far `moved` lies below and to the right of `reference`, in px of the camera.

    None if the two do not resemble each other (correlation below 0.1 at the best shift).
    """
    size = _bin_size(reference.field_px)
    whole, correlation = _register(reference.pixels, moved.pixels, 1)
    sides = np.array(reference.pixels.shape)
    if not correlation >= _LEAST_CORRELATION or (2 * np.abs(whole) > sides).any():
        return None
    # Again, on what both images show: otherwise the taper draws the estimate towards zero.
    y, x = whole.astype(np.int64)
    part, _ = _register(
        reference.pixels[_shared(-y), _shared(-x)],
        moved.pixels[_shared(y), _shared(x)],
        upsample * size,
    )
    steps = np.round((whole + part) * upsample * size) / upsample
    return float(steps[0]), float(steps[1])


def _register(
    reference: npt.NDArray[np.float16], moved: npt.NDArray[np.float16], upsample: int
) -> tuple[npt.NDArray[np.float64], float]:
    """Return the shift of `moved` against `reference` in px, and the correlation there."""
    back, error, _ = phase_cross_correlation(
        _taper(reference), _taper(moved), upsample_factor=upsample, normalization=None
    )
    # skimage gives the way back, and error² = 1 − correlation²; 0 − spares tables a minus zero
    return 0.0 - np.asarray(back, dtype=np.float64), float(np.sqrt(max(0.0, 1 - error**2)))


def _shared(shift: int) -> slice:
    """Return the rows (or columns) of an image moved by `shift` that the other shows too."""
    return slice(shift, None) if shift >= 0 else slice(None, shift)


def _bin_size(field_px: tuple[int, int]) -> int:
    return -(-max(field_px) // _LARGEST_SIDE_PX)


def _bin(plane: npt.NDArray[Any], size: int) -> npt.NDArray[np.float32]:
    # a last, incomplete row or column of bins is left out
    rows, columns = (n // size for n in plane.shape)
    blocks = as_float32(plane[: rows * size, : columns * size])
    if size == 1:
        return blocks
    return as_float32(blocks.reshape(rows, size, columns, size).mean(axis=(1, 3)))


def _taper(pixels: npt.NDArray[np.float16]) -> npt.NDArray[np.float32]:
    window = np.outer(*(tukey(n, _TAPER) for n in pixels.shape))
    return as_float32(pixels * window)
