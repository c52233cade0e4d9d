"""Background that is enclosed by foreground: regions of the gaps between runs."""

from typing import Any

import numpy as np

from dipstream.compiled import compiled
from dipstream.kernels.disjoint import find, unite
from dipstream.kernels.runs import Runs
from dipstream.kernels.workspace import workspace

__all__ = ["fill_holes"]


def fill_holes(runs: Runs, max_area: int | None = None) -> Runs:
    """Fill 4-connected regions of background that do not touch the border of the plane.

    Parameters
    ----------
    runs
        The foreground.
    max_area
        Fill holes up to this area only, in pixels; None for any.
    """
    height, width = runs.shape
    gaps = len(runs) + height
    parent = workspace().take("holes.parent", gaps + 1, np.int32)
    parent[:] = np.arange(gaps + 1)
    _connect(runs.row, runs.start, runs.stop, width, parent)
    area = np.zeros(0, np.int64)
    if max_area is not None:
        area = workspace().take("holes.area", gaps + 1, np.int64)
        area[:] = 0
        _add(runs.row, runs.start, runs.stop, width, parent, area)
    row = np.zeros(height + 1, np.int32)
    start, stop = np.empty(len(runs), np.int32), np.empty(len(runs), np.int32)
    n = _fill(runs.row, runs.start, runs.stop, parent, area, max_area or 0, row, start, stop)
    return Runs(runs.shape, row, start[:n].copy(), stop[:n].copy())


@compiled
def _gap(row: Any, start: Any, stop: Any, width: int, y: int, k: int) -> tuple[int, int]:
    """Return where gap `k` of a row begins and ends: that before its run `k`."""
    first, n = row[y], row[y + 1] - row[y]
    a = stop[first + k - 1] if k > 0 else 0
    b = start[first + k] if k < n else width
    return a, b


@compiled
def _connect(row: Any, start: Any, stop: Any, width: int, parent: Any) -> None:
    """Unite gaps that touch over an edge, and with 0 those at the border.

    Gap `k` of row y, which may be empty at the ends of the row, is ``1 + row[y] + y + k``.
    """
    height = row.size - 1
    for y in range(height):
        here, last = 1 + row[y] + y, 1 + row[y + 1] + y
        for gap in range(here, last + 1):
            if gap in (here, last) or y in (0, height - 1):
                a, b = _gap(row, start, stop, width, y, gap - here)
                if a < b:
                    unite(parent, 0, gap)
        if y > 0:
            _connect_rows(row, start, stop, width, y, parent)


@compiled
def _connect_rows(row: Any, start: Any, stop: Any, width: int, y: int, parent: Any) -> None:
    n, m = row[y + 1] - row[y], row[y] - row[y - 1]
    here, above = 1 + row[y] + y, row[y - 1] + y
    i, j = 0, 0
    a, b = _gap(row, start, stop, width, y, 0)
    c, d = _gap(row, start, stop, width, y - 1, 0)
    while True:
        if max(a, c) < min(b, d):
            unite(parent, here + i, above + j)
        if b < d:
            i += 1
            if i > n:
                break
            a, b = _gap(row, start, stop, width, y, i)
        else:
            j += 1
            if j > m:
                break
            c, d = _gap(row, start, stop, width, y - 1, j)


@compiled
def _add(row: Any, start: Any, stop: Any, width: int, parent: Any, area: Any) -> None:
    for y in range(row.size - 1):
        for k in range(row[y + 1] - row[y] + 1):
            a, b = _gap(row, start, stop, width, y, k)
            area[find(parent, 1 + row[y] + y + k)] += b - a


@compiled
def _fill(
    row: Any,
    start: Any,
    stop: Any,
    parent: Any,
    area: Any,
    max_area: int,
    new_row: Any,
    new_start: Any,
    new_stop: Any,
) -> int:
    """Make one run of those with a hole between them; `area` is empty if it does not matter."""
    n = 0
    for y in range(row.size - 1):
        for i in range(row[y], row[y + 1]):
            filled = False
            if i > row[y]:
                root = find(parent, 1 + y + i)
                filled = root != 0 and (area.size == 0 or area[root] <= max_area)
            if filled:
                new_stop[n - 1] = stop[i]
            else:
                new_start[n], new_stop[n] = start[i], stop[i]
                n += 1
        new_row[y + 1] = n
    return n
