"""Pixels of the convex hull of every object."""

from typing import Any

import numpy as np
import numpy.typing as npt

from dipstream.compiled import compiled
from dipstream.kernels.moments import Moments
from dipstream.kernels.parallel import share
from dipstream.kernels.workspace import workspace

__all__ = ["convex_areas"]

_LEAST = 64
_NONE = -1


def convex_areas(moments: Moments) -> npt.NDArray[np.int64]:
    """Return the number of pixels whose centre lies in each object's hull, its edge included.

    The hull is that of the midpoints of all pixels' sides. Only the ends of each row matter, and
    everything is a whole number in half pixels: the count is exact. Chains of the hull: Andrew,
    Information Processing Letters 9 (1979) 216.
    """
    runs = moments.runs
    areas = np.empty(len(moments), np.int64)

    def work(begin: int, end: int) -> None:
        height = int((moments.y1[begin:end] - moments.y0[begin:end]).max())
        rows = workspace().take("hull.rows", (4, height), np.int32)
        chain = workspace().take("hull.chain", (2, 2 * height + 1), np.int64)
        _measure(
            runs.first, runs.row, runs.start, runs.stop,
            moments.y0, moments.x0, moments.y1, moments.x1, rows, chain, begin, end, areas,
        )  # fmt: skip

    if len(moments):
        share(len(moments), work, _LEAST)
    return areas


@compiled
def _measure(
    first: Any, row: Any, start: Any, stop: Any, y0: Any, x0: Any, y1: Any, x1: Any,
    rows: Any, chain: Any, begin: Any, end: Any, areas: Any,
) -> None:  # fmt: skip
    left, right, left_inset, right_inset = rows[0], rows[1], rows[2], rows[3]
    for k in range(begin, end):
        height, width = y1[k] - y0[k], x1[k] - x0[k]
        for y in range(height):
            left[y] = _NONE
            right[y] = _NONE
        for i in range(first[k], first[k + 1]):
            y = row[i] - y0[k]
            if left[y] == _NONE:  # the first run of its row
                left[y] = start[i] - x0[k]
            right[y] = x1[k] - stop[i]
        _inset(left, height, chain, left_inset)
        _inset(right, height, chain, right_inset)
        area = np.int64(0)
        for y in range(height):
            # Not below 0: where the hull lies between two columns of pixels, both insets end there.
            area += width - left_inset[y] - right_inset[y]
        areas[k] = area


@compiled
def _inset(ends: Any, height: Any, chain: Any, inset: Any) -> None:
    """Write how many pixels of each row lie outside one side of the hull.

    `ends` holds the first pixel of each row, counted from that side of the bounding box, or
    `_NONE`. Points of the chain: twice the distance from half a pixel before the box, and twice
    the row from half a row above it; both are never negative.
    """
    n = 0
    before = _NONE
    for y in range(height + 1):
        here = ends[y] if y < height else _NONE
        # The upper tip of this row's pixel and the lower tip of the last one's share a height.
        tip = here
        if before != _NONE and (here == _NONE or before < here):
            tip = before
        if tip != _NONE:
            n = _push(chain, n, 2 * np.int64(tip) + 1, 2 * y)
        if here != _NONE:
            n = _push(chain, n, 2 * np.int64(here), 2 * y + 1)
        before = here
    xs, ys = chain[0], chain[1]
    at = 0
    for y in range(height):
        middle = 2 * y + 1
        while ys[at + 1] < middle:
            at += 1
        rise = ys[at + 1] - ys[at]
        twice = xs[at] * rise + (xs[at + 1] - xs[at]) * (middle - ys[at])
        # ⌈(twice / rise − 1) / 2⌉ with whole numbers
        inset[y] = (twice + rise - 1) // (2 * rise)


@compiled
def _push(chain: Any, n: Any, x: Any, y: Any) -> Any:
    """Put a point at the end of a chain that bends one way only; return its length."""
    xs, ys = chain[0], chain[1]
    while n >= 2 and (xs[n - 1] - xs[n - 2]) * (y - ys[n - 2]) >= (x - xs[n - 2]) * (
        ys[n - 1] - ys[n - 2]
    ):
        n -= 1
    xs[n], ys[n] = x, y
    return n + 1
