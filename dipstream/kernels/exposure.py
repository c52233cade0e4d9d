"""Whether a raw frame can be used at all: finite, not black, not saturated."""

from typing import Any

import numpy as np
import numpy.typing as npt

from dipstream.compiled import compiled
from dipstream.kernels.linear import as_input
from dipstream.kernels.workspace import workspace

__all__ = ["is_finite", "is_uniform"]

_CHUNK = 4096
_EXPONENT = np.uint32(0x7F800000)


def is_uniform(pixels: npt.NDArray[Any]) -> bool:
    """Return whether all pixels are equal; there is at least one."""
    return bool(_is_uniform(as_input(pixels).reshape(-1)))


def is_finite(pixels: npt.NDArray[np.float32]) -> bool:
    """Return whether no pixel, float32 of any shape, is NaN or infinite."""
    largest = workspace().take("exposure.exponents", _CHUNK, np.uint32)
    return bool(_is_finite(as_input(pixels).reshape(-1).view(np.uint32), _EXPONENT, largest))


@compiled
def _is_uniform(pixels: Any) -> Any:
    first = pixels[0]
    for begin in range(0, pixels.size, _CHUNK):
        others = 0
        for value in pixels[begin : min(begin + _CHUNK, pixels.size)]:
            others += value != first
        if others:
            return False
    return True


@compiled
def _is_finite(bits: Any, exponent: Any, largest: Any) -> Any:
    """Look for an exponent of all ones: infinities and NaN (IEEE 754-2019, section 3.4)."""
    largest[:] = 0
    for begin in range(0, bits.size, _CHUNK):
        chunk = bits[begin : min(begin + _CHUNK, bits.size)]
        for x in range(chunk.size):
            largest[x] = max(largest[x], np.uint32(chunk[x] & exponent))
    return largest.max() != exponent
