"""Where basins meet, and which of them are one object: those without a neck between them."""

from typing import Any

import numpy as np

from dipstream.compiled import compiled
from dipstream.kernels.disjoint import find
from dipstream.kernels.lanes import first_bit
from dipstream.kernels.patches import Patch
from dipstream.kernels.pixel_lanes import PIXELS, borders

__all__ = ["join"]


@compiled
def join(
    patch: Patch,
    lines: Any,
    relief: Any,
    basin: Any,
    height: Any,
    least_rise: int,
    border: Any,
    ways: Any,
    count: Any,
    parent: Any,
) -> None:
    """Join basins whose tops rise less than `least_rise` above the saddle to a higher one.

    Two neighbours of different basins are a way between them, at the lower of both levels. Ways
    are taken from the highest down, equal ones in raster order of the pixel that comes first, then
    in the order E, S, SW, SE of the other one. Which of two equally high basins joins the other
    does not matter.

    Parameters
    ----------
    patch, lines
        The part, and where it lies; see `lines_of`.
    relief, basin, height
        The relief, the basins 1 … n in it, and the levels of their tops.
    least_rise
        In levels.
    border
        int32 (pixels of the part + 1): room.
    ways
        int32 (4 · pixels of the part): room.
    count
        int32 (highest level + 2): room.
    parent
        int32 (n + 1): the basin that each has become part of.
    """
    n, highest = parent.size - 1, 0
    for k in range(1, n + 1):
        parent[k] = k
        highest = max(highest, height[k])
    parent[0] = 0
    own = border[: _list_borders(patch, lines, basin, border)]
    m = _sort_ways(patch, relief, basin, height, least_rise, own, count[: highest + 2], ways)
    steps = _steps(patch)
    for i in range(m):
        p = np.int64(ways[i]) >> 2
        q = p + steps[ways[i] & 3]
        one, other = find(parent, basin[p]), find(parent, basin[q])
        if one != other:
            if height[one] < height[other]:
                one, other = other, one
            if height[other] - np.int64(min(relief[p], relief[q])) < least_rise:
                parent[other] = one
    for k in range(1, n + 1):
        parent[k] = find(parent, k)


@compiled
def _steps(patch: Patch) -> Any:
    """Return the way to the neighbours that come later: E, S, SW, SE."""
    return (1, patch.stride, patch.stride - 1, patch.stride + 1)


@compiled
def _list_borders(patch: Patch, lines: Any, basin: Any, border: Any) -> int:
    """List pixels with a later neighbour in another basin, by raster order; return how many."""
    n, one = 0, np.uint64(1)
    for i in range(lines.shape[0]):
        first, last = lines[i, 0], lines[i, 0] + lines[i, 1]
        for p in range(first, last, PIXELS):
            found = borders(basin, p, patch.stride)
            if p + PIXELS > last:
                found &= (one << np.uint64(last - p)) - one
            while found != np.uint64(0):
                border[n] = p + first_bit(found)
                n += 1
                found &= found - one
    return n


@compiled
def _sort_ways(
    patch: Patch,
    relief: Any,
    basin: Any,
    height: Any,
    least_rise: int,
    border: Any,
    count: Any,
    ways: Any,
) -> int:
    """Set 4 · pixel + direction of every way, in order; return how many there are.

    But for those that join nothing: a basin only ever joins a higher one.
    """
    count[:] = 0
    some = border[: _each_way(patch, relief, basin, height, least_rise, border, count, ways, False)]
    m = 0
    for k in range(count.size - 1, -1, -1):
        count[k], m = m, m + count[k]
    _each_way(patch, relief, basin, height, least_rise, some, count, ways, True)
    return m


@compiled
def _each_way(
    patch: Patch,
    relief: Any,
    basin: Any,
    height: Any,
    least_rise: int,
    border: Any,
    count: Any,
    ways: Any,
    place: bool,
) -> int:
    """Count the ways of each level, or put them where they belong.

    Keeps the pixels that have any in `border`, and returns how many they are.
    """
    steps = _steps(patch)
    n = 0
    for i in border:
        p = np.int64(i)
        border[n] = i
        has_any = 0
        for k in range(4):
            q = p + steps[k]
            if basin[q] != 0 and basin[q] != basin[p]:
                saddle = min(relief[p], relief[q])
                if min(height[basin[p]], height[basin[q]]) - saddle < least_rise:
                    if place:
                        ways[count[saddle]] = 4 * p + k
                    count[saddle] += 1
                    has_any = 1
        n += has_any
    return n
