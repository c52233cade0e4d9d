"""Basins of a relief by steepest ascent: from each pixel up to a top.

Fairfield, Toboggan contrast enhancement for contrast segmentation, Proc. 10th ICPR, 1990. A relief
is a patch that is 0 outside its part and above 0 inside.
"""

from typing import Any

import numpy as np

from dipstream.compiled import compiled
from dipstream.kernels.patches import Patch, ends

__all__ = ["climb", "flow"]


@compiled
def climb(patch: Patch, lines: Any, relief: Any, steps: Any) -> int:
    """Find the step up from every pixel, and return the number of tops.

    To the highest of the 8 neighbours, the first of equal ones in the order N, W, E, S, NW, NE, SW,
    SE; where none is higher, to the first of N, W, NW, NE that is as high. A pixel without either
    is a top.

    Parameters
    ----------
    patch, lines
        Where the part lies; see `lines_of`.
    relief
        int16 or int32: the patch.
    steps
        As `relief`: how far the next pixel is in the patch, 0 at a top. Outside the part it is
        void.
    """
    tops = 0
    for i in range(lines.shape[0]):
        p, n = lines[i, 0], lines[i, 1]
        here, out = relief[p : p + n], steps[p : p + n]
        _climb_line(relief, p, patch.stride, out)
        for x in range(n):
            tops += (out[x] == 0) & (here[x] != 0)
    return tops


@compiled
def _climb_line(relief: Any, p: int, stride: int, out: Any) -> None:
    n = out.size
    a, b = p - stride, p + stride
    here, west, east = relief[p : p + n], relief[p - 1 : p - 1 + n], relief[p + 1 : p + 1 + n]
    north, north_west, north_east = (
        relief[a : a + n],
        relief[a - 1 : a - 1 + n],
        relief[a + 1 : a + 1 + n],
    )
    south, south_west, south_east = (
        relief[b : b + n],
        relief[b - 1 : b - 1 + n],
        relief[b + 1 : b + 1 + n],
    )
    kind = relief.dtype.type
    top, to_west, to_east = kind(0), kind(-1), kind(1)
    to_north, to_north_west, to_north_east = kind(-stride), kind(-stride - 1), kind(-stride + 1)
    to_south, to_south_west, to_south_east = kind(stride), kind(stride - 1), kind(stride + 1)
    for x in range(n):
        own = here[x]
        # As high and earlier; the last assignment, N, has the say.
        step = to_north_east if north_east[x] == own else top
        step = to_north_west if north_west[x] == own else step
        step = to_west if west[x] == own else step
        step = to_north if north[x] >= own else step
        best = max(own, north[x])
        step = to_west if west[x] > best else step
        best = max(best, west[x])
        step = to_east if east[x] > best else step
        best = max(best, east[x])
        step = to_south if south[x] > best else step
        best = max(best, south[x])
        step = to_north_west if north_west[x] > best else step
        best = max(best, north_west[x])
        step = to_north_east if north_east[x] > best else step
        best = max(best, north_east[x])
        step = to_south_west if south_west[x] > best else step
        best = max(best, south_west[x])
        step = to_south_east if south_east[x] > best else step
        out[x] = step


@compiled
def flow(spans: Any, patch: Patch, relief: Any, steps: Any, basin: Any, height: Any) -> int:
    """Set the basins, 1 … n by their tops in raster order, and return n.

    Parameters
    ----------
    spans, patch
        The part, and where it lies.
    relief, steps
        The patch, and the step up from each pixel (`climb`).
    basin
        uint16 or int32: the patch, all 0 before; each pixel's basin after.
    height
        int32 (tops + 1): the level of each basin's top, from 1 on.
    """
    n = _flow_down(spans, patch, relief, steps, basin, height)
    _flow_up(spans, patch, steps, basin)
    return n


@compiled
def _flow_down(spans: Any, patch: Patch, relief: Any, steps: Any, basin: Any, height: Any) -> int:
    """Count the tops, and set basins where a path runs from later to earlier pixels alone."""
    n = 0
    for j in range(spans.shape[0]):
        first, last = ends(spans, j, patch)
        step, here = steps[first:last], basin[first:last]
        for x in range(last - first):
            if step[x] == 0:
                n += 1
                here[x] = n
                height[n] = relief[first + x]
            else:  # 0, unless it is known there
                here[x] = basin[np.uintp(first + x + step[x])]
    return n


@compiled
def _flow_up(spans: Any, patch: Patch, steps: Any, basin: Any) -> None:
    """Set the basin of all others, from the last pixel to the first: few need to follow a path."""
    for j in range(spans.shape[0] - 1, -1, -1):
        first, last = ends(spans, j, patch)
        step, here = steps[first:last], basin[first:last]
        for x in range(last - first - 1, -1, -1):
            own = basin[np.uintp(first + x + step[x])]
            if own != 0:
                here[x] = own
            else:
                _follow(first + x, steps, basin)


@compiled
def _follow(first: int, steps: Any, basin: Any) -> None:
    """Set the basin of all pixels of a path, which is known at its end."""
    end = first
    while basin[end] == 0:
        end += steps[end]
    p = first
    while basin[p] == 0:
        basin[p] = basin[end]
        p += steps[p]
