"""The median of 3 × 3 pixels around each one."""

from typing import Any

import numpy as np
import numpy.typing as npt

from dipstream.compiled import compiled
from dipstream.kernels.linear import as_input
from dipstream.kernels.parallel import share
from dipstream.kernels.workspace import workspace

__all__ = ["median_of_nine"]


def median_of_nine(pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the median of the 3 × 3 pixels around each, the border mirrored about its edge.

    ``scipy.ndimage.median_filter(pixels, 3, mode="reflect")``.

    Parameters
    ----------
    pixels
        (y, x), not empty: uint8, uint16, or float32 without NaN.
    """
    pixels = as_input(pixels)
    found = np.empty(pixels.shape, pixels.dtype)

    def work(first: int, last: int) -> None:
        columns = workspace().take("median.columns", (3, pixels.shape[1] + 2), pixels.dtype)
        _find(pixels, first, last, columns, found)

    share(len(pixels), work, least=32)
    return found


@compiled
def _find(pixels: Any, first: Any, last: Any, columns: Any, found: Any) -> None:
    height = len(pixels)
    for y in range(first, last):
        above, below = pixels[max(y - 1, 0)], pixels[min(y + 1, height - 1)]
        _sort_columns(above, pixels[y], below, columns)
        _find_row(columns[0], columns[1], columns[2], found[y])


@compiled
def _least(a: Any, b: Any) -> Any:
    # Of floats, `min` would look for NaN, and be no single instruction.
    return a if a < b else b  # noqa: FURB136


@compiled
def _greatest(a: Any, b: Any) -> Any:
    return b if a < b else a  # noqa: FURB136


@compiled
def _middle(a: Any, b: Any, c: Any) -> Any:
    return _greatest(_least(a, b), _least(_greatest(a, b), c))


@compiled
def _sort_columns(above: Any, middle: Any, below: Any, columns: Any) -> None:
    """Sort the three pixels of each column; repeat the outermost columns."""
    n = middle.size
    low, mid, high = columns[0, 1 : n + 1], columns[1, 1 : n + 1], columns[2, 1 : n + 1]
    for x in range(n):
        a, b, c = above[x], middle[x], below[x]
        low[x] = _least(_least(a, b), c)
        mid[x] = _middle(a, b, c)
        high[x] = _greatest(_greatest(a, b), c)
    for k in range(3):
        columns[k, 0] = columns[k, 1]
        columns[k, n + 1] = columns[k, n]


@compiled
def _find_row(low: Any, mid: Any, high: Any, found: Any) -> None:
    """Of nine pixels in three sorted columns, the median is that of three of them.

    The greatest of the least, the middle one of the middle ones, the least of the greatest.
    """
    n = found.size
    low_left, low_here, low_right = low[:n], low[1 : n + 1], low[2 : n + 2]
    mid_left, mid_here, mid_right = mid[:n], mid[1 : n + 1], mid[2 : n + 2]
    high_left, high_here, high_right = high[:n], high[1 : n + 1], high[2 : n + 2]
    for x in range(n):
        a = _greatest(_greatest(low_left[x], low_here[x]), low_right[x])
        b = _middle(mid_left[x], mid_here[x], mid_right[x])
        c = _least(_least(high_left[x], high_here[x]), high_right[x])
        found[x] = _middle(a, b, c)
