"""Pixels that are a linear function of raw ones, computed where they are needed."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Linear", "as_input", "suits_kernels"]

_KINDS = ("uint8", "uint16", "float32")


@dataclass(frozen=True, slots=True, eq=False)
class Linear:
    """(raw − offset) · gain, in float32, not computed yet; or raw pixels as they are.

    Attributes
    ----------
    raw
        (y, x): uint8, uint16 or float32; see `suits_kernels`.
    offset, gain
        float32, of shape () or (y, x). Both None: the pixels are `raw`.
    """

    raw: npt.NDArray[Any]
    offset: npt.NDArray[np.float32] | None = None
    gain: npt.NDArray[np.float32] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.raw.shape[0], self.raw.shape[1]

    @property
    def is_raw(self) -> bool:
        """Whether the pixels are the raw ones."""
        return self.offset is None

    def corner(self, side: int) -> "Linear":
        """Return the first rows and columns, at most `side` of each."""
        return Linear(
            self.raw[:side, :side],
            None if self.offset is None else _corner(self.offset, side),
            None if self.gain is None else _corner(self.gain, side),
        )

    def pixels(self) -> npt.NDArray[Any]:
        """Compute them: float32, or what `raw` is."""
        if self.offset is None or self.gain is None:
            return self.raw
        pixels = self.raw - self.offset
        pixels *= self.gain
        return pixels


def _corner(plane: npt.NDArray[np.float32], side: int) -> npt.NDArray[np.float32]:
    return plane if plane.ndim == 0 else plane[:side, :side]


def suits_kernels(pixels: npt.NDArray[Any]) -> bool:
    """Whether kernels take these pixels: a plane, not empty, of a type they are compiled for."""
    return pixels.ndim == 2 and pixels.size > 0 and pixels.dtype.name in _KINDS


def as_input(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return an array as all kernels take it: contiguous, of this machine's byte order, read-only.

    One form for all, so that each kernel is compiled once for a type of pixel.
    """
    array = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))
    if array.flags.writeable:
        array = array.view()
        array.flags.writeable = False
    return array
