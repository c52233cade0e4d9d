"""Rows of pixels as the corrections leave them: what `Linear` says, without the whole plane."""

from typing import Any

import numpy as np

from dipstream.compiled import compiled
from dipstream.kernels.linear import Linear, as_input

__all__ = ["Inputs", "correct_row", "inputs_of"]

Inputs = tuple[Any, Any, Any]
"""Raw pixels, offset and gain, as `correct_row` takes them."""


def inputs_of(linear: Linear) -> Inputs:
    """Return raw pixels (y, x), offset and gain: (y, x), (1, 1), or (1, 0) where there is none."""
    return as_input(linear.raw), _as_plane(linear.offset), _as_plane(linear.gain)


def _as_plane(number: Any) -> Any:
    if number is None:
        return as_input(np.empty((1, 0), np.float32))
    return as_input(number.reshape(1, 1) if number.ndim == 0 else number)


@compiled
def correct_row(raw: Any, offset: Any, gain: Any, y: Any, row: Any) -> None:
    """Write row `y` of (raw − offset) · gain into `row`, float32: bit for bit `Linear.pixels`."""
    source = raw[y]
    n = source.size
    if offset.size == 0:
        for x in range(n):
            row[x] = np.float32(source[x])
        return
    if offset.size == 1:
        dark = offset[0, 0]
        for x in range(n):
            row[x] = np.float32(source[x]) - dark
    else:
        darks = offset[y]
        for x in range(n):
            row[x] = np.float32(source[x]) - darks[x]
    if gain.size == 1:
        factor = gain[0, 0]
        for x in range(n):
            row[x] *= factor
    else:
        factors = gain[y]
        for x in range(n):
            row[x] *= factors[x]
