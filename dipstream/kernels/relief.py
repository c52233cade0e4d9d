"""The relief that objects are split on: distance in 1/64 px, smoothed in integers.

A relief is a patch that is 0 outside its part, and 1 more than the level inside.
"""

import math
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from dipstream.compiled import compiled
from dipstream.kernels.border import reflected
from dipstream.kernels.distance import DEEPEST
from dipstream.kernels.patches import Patch
from dipstream.kernels.pixel_lanes import PIXELS, rounded_sums

__all__ = ["LEVELS_PER_PX", "half_of", "shallow_levels", "smooth", "to_levels"]

LEVELS_PER_PX = 64
_BITS = 12  # of the sum of all weights
_HALF = 1 << (_BITS - 1)


@cache
def shallow_levels() -> npt.NDArray[np.uint16]:
    """Return the level of each squared distance below that of `DEEPEST`."""
    levels: npt.NDArray[np.float64] = np.rint(LEVELS_PER_PX * np.sqrt(np.arange(DEEPEST**2)))
    return levels.astype(np.uint16)


def half_of(weights: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.int32]:
    """Return one half of symmetric weights, from the centre out."""
    return weights[len(weights) // 2 :].astype(np.int32)


@compiled
def to_levels(lines: Any, field: Any, table: Any) -> None:
    """Replace squared distances by levels; those that are not in the table are computed."""
    for i in range(lines.shape[0]):
        line = field[lines[i, 0] : lines[i, 0] + lines[i, 1]]
        for x in range(line.size):
            square = line[x]
            if square < table.size:
                line[x] = table[square]
            else:
                line[x] = np.int64(np.rint(LEVELS_PER_PX * math.sqrt(np.float64(square))))


@compiled
def smooth(
    spans: Any, patch: Patch, lines: Any, weights: Any, source: Any, relief: Any, room: Any
) -> None:
    """Smooth the levels of a part along y, then along x, each rounded.

    Outside the part they count as 0; at the border of the plane they are mirrored.

    Parameters
    ----------
    spans
        int32 (runs, 3): row, start, stop.
    patch, lines
        Where they lie; see `lines_of`.
    weights
        int32: `half_of` weights whose sum is 4096.
    source, relief
        Levels, 0 outside the part, and the relief, 0 before; int16 or int32.
    room
        ``rows`` int64 (2, weights); ``sums`` int32 or int64, twice as wide as `source`
        (2, columns of the plane + 2 · weights); ``once`` and ``twice``, as `source`, as long as
        the longest line and longer by two gaps and a vector.
    """
    if lines.shape[0] < spans.shape[0] and _is_inside(patch, weights.size - 1):
        for i in range(lines.shape[0]):
            p, n = lines[i, 0], lines[i, 1]
            _smooth_line(patch, weights, source, p, n, room.once, room.twice)
            _keep_line(source, p, room.twice[:n], relief)
    else:
        _smooth_runs(spans, patch, weights, source, relief, room.rows, room.sums)


@compiled
def _is_inside(patch: Patch, reach: int) -> Any:
    """Return whether nothing is mirrored, and rows of the patch do not reach one another."""
    return (
        reach <= min(patch.gap, patch.y0, patch.x0)
        and patch.y1 + reach <= patch.height
        and patch.x1 + reach <= patch.width
    )


@compiled
def _smooth_line(
    patch: Patch, weights: Any, source: Any, p: int, n: int, once: Any, twice: Any
) -> None:
    """Smooth some rows of a patch, as one line: quick where most of it is foreground."""
    gap = patch.gap
    for i in range(0, n, PIXELS):
        rounded_sums(source, p + i, patch.stride, weights, _BITS, once, gap + i)
    once[:gap], once[gap + n : 2 * gap + n + PIXELS] = 0, 0
    for i in range(0, n, PIXELS):
        rounded_sums(once, gap + i, 1, weights, _BITS, twice, i)


@compiled
def _keep_line(source: Any, p: int, levels: Any, relief: Any) -> None:
    n = levels.size
    inside, out = source[p : p + n], relief[p : p + n]
    for i in range(n):
        out[i] = levels[i] + 1 if inside[i] != 0 else 0


@compiled
def _add(sums: Any, weight: Any, pixels: Any) -> None:
    for i in range(sums.size):
        sums[i] += weight * pixels[i]


@compiled
def _smooth_runs(
    spans: Any, patch: Patch, weights: Any, source: Any, relief: Any, rows: Any, sums: Any
) -> None:
    """Smooth run by run: in a time that depends on the runs alone, and mirrored where need be."""
    reach = weights.size - 1
    last = np.int64(-1)
    for j in range(spans.shape[0]):
        y, a, b = np.int64(spans[j, 0]), np.int64(spans[j, 1]), np.int64(spans[j, 2])
        if y != last:
            _find_rows(y, patch, rows)
            last = y
        # Columns a − reach to b + reach − 1; the part lies in low to high − 1.
        line = sums[0, : b - a + 2 * reach]
        low, high = max(patch.x0, a - reach), min(patch.x1, b + reach)
        line[: low - a + reach] = 0
        line[high - a + reach :] = 0
        _along_y(source, rows, low - patch.x0, weights, line[low - a + reach : high - a + reach])
        if a < reach or b + reach > patch.width:
            _mirror(line, a - reach, patch.width)
        p = patch.origin + y * patch.stride
        _along_x(line, weights, sums[1], relief[p + a : p + b])


@compiled
def _find_rows(y: Any, patch: Patch, rows: Any) -> None:
    """Set where the rows above and below begin in the patch, or −1 for those outside."""
    for k in range(rows.shape[1]):
        for side in range(2):
            other = reflected(y - k if side == 0 else y + k, patch.height)
            inside = patch.y0 <= other < patch.y1
            rows[side, k] = patch.origin + other * patch.stride + patch.x0 if inside else -1


@compiled
def _mirror(line: Any, first: int, width: int) -> None:
    """Fill in what of a line that begins at column `first` is outside of the plane."""
    for i in range(line.size):
        x = first + i
        if x < 0 or x >= width:
            line[i] = line[reflected(x, width) - first]


@compiled
def _along_y(source: Any, rows: Any, p: int, weights: Any, out: Any) -> None:
    n = out.size
    out[:] = _HALF
    for k in range(weights.size):
        for side in range(2 if k > 0 else 1):
            a = rows[side, k]
            if a >= 0:
                _add(out, weights[k], source[a + p : a + p + n])
    for x in range(n):
        out[x] >>= _BITS


@compiled
def _along_x(line: Any, weights: Any, sums: Any, out: Any) -> None:
    n = out.size
    reach = weights.size - 1
    sums = sums[:n]
    sums[:] = _HALF
    _add(sums, weights[0], line[reach : reach + n])
    for k in range(1, reach + 1):
        _add(sums, weights[k], line[reach - k : reach - k + n])
        _add(sums, weights[k], line[reach + k : reach + k + n])
    for x in range(n):
        out[x] = (sums[x] >> _BITS) + 1
