"""Which points of two sets are near each other: a grid of cells, twice as wide as the reach."""

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from dipstream.compiled import compiled
from dipstream.errors import StepError
from dipstream.kernels.linear import as_input

__all__ = ["MOST_PAIRS", "NearPairs", "near_pairs"]

NearPairs: TypeAlias = tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.float64]]

MOST_PAIRS = 1 << 25
"""So many pairs take 400 MB. A reach that makes more of them spans the picture."""

_MOST_CELLS = float(1 << 30)

_WIDER = 1.0 + 1e-5
"""A little more than the reach is searched, so that rounding cannot part two neighbours."""

_SQUARED = (1e-150, 1e150)
"""A reach outside of these has no square."""

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
"""2⁶⁴ / golden ratio: Fibonacci hashing, Knuth, The Art of Computer Programming 3, 6.4."""


def near_pairs(
    points_px: npt.NDArray[np.float64], others_px: npt.NDArray[np.float64], reach_px: float
) -> NearPairs:
    """Return for each point the others that are not farther away than the reach.

    Time and memory grow with the number of points and of pairs, not with the area: cells that
    hold points are found by hashing, so that points may lie as far apart as they like.

    Parameters
    ----------
    points_px, others_px
        Positions (n, 2) and (m, 2) in px, finite.
    reach_px
        Largest distance, in px.

    Returns
    -------
    first, other, squared_px
        The pairs of point i are those from ``first[i]`` to ``first[i + 1]``, int64 (n + 1,); the
        index of the other point, int32; and the distance squared, in px².

    Raises
    ------
    StepError
        If a position is not finite, or if there are more than `MOST_PAIRS` pairs.
    """
    points, others = (as_input(np.asarray(yx, dtype=np.float64)) for yx in (points_px, others_px))
    if not (np.isfinite(points).all() and np.isfinite(others).all()):
        raise StepError("the position of an object is not finite")
    reach = min(max(float(reach_px), _SQUARED[0]), _SQUARED[1])
    first, other, squared = _near_pairs(points, others, reach, MOST_PAIRS)
    if first[-1] > MOST_PAIRS:
        raise StepError(
            f"more than {MOST_PAIRS} pairs of objects are within {reach_px:g} px of each other; "
            "choose a smaller largest distance"
        )
    return first, other, squared


@compiled
def _near_pairs(points: Any, others: Any, reach: float, most: int) -> Any:
    """Return `NearPairs`; stops behind the point with which there are more than `most` pairs."""
    n = points.shape[0]
    first = np.zeros(n + 1, np.int64)
    other = np.empty(4 * n + 16, np.int32)
    squared = np.empty(4 * n + 16, np.float64)
    origin = _origin(others)
    around, width = reach * _WIDER, max(2.0 * reach, _extent(others, origin) / _MOST_CELLS)
    bits = 4
    while (1 << bits) < 2 * others.shape[0]:
        bits += 1
    begin, members, cells = _sorted_into_buckets(others, origin, width, bits)
    found = 0
    for i in range(n):
        y, x = points[i, 0], points[i, 1]
        top, bottom = _cell(y - around - origin[0], width), _cell(y + around - origin[0], width)
        left, right = _cell(x - around - origin[1], width), _cell(x + around - origin[1], width)
        for cell_y in range(top, bottom + 1):
            for cell_x in range(left, right + 1):
                cell = _key(cell_y, cell_x)
                bucket = _bucket(cell, bits)
                for k in range(begin[bucket], begin[bucket + 1]):
                    # Another cell may have come into the same bucket.
                    if cells[k] != cell:
                        continue
                    j = members[k]
                    far_y, far_x = others[j, 0] - y, others[j, 1] - x
                    distance = far_y * far_y + far_x * far_x
                    if distance > reach * reach:
                        continue
                    if found == other.shape[0]:
                        other, squared = _grown(other), _grown(squared)
                    other[found] = j
                    squared[found] = distance
                    found += 1
        first[i + 1] = found
        if found > most:
            first[n] = found
            break
    return first, other[:found], squared[:found]


@compiled
def _origin(points: Any) -> Any:
    y, x = np.inf, np.inf
    for i in range(points.shape[0]):
        y = min(y, points[i, 0])
        x = min(x, points[i, 1])
    return y, x


@compiled
def _extent(points: Any, origin: Any) -> float:
    """Return how far the points reach, so that all of them have cells even if these are tiny."""
    far = 0.0
    for i in range(points.shape[0]):
        far = max(far, points[i, 0] - origin[0], points[i, 1] - origin[1])
    return far


@compiled
def _cell(from_origin_px: float, width: float) -> int:
    """Return the row or column of a cell; what is too far away to count is in the outermost."""
    return int(np.floor(min(max(from_origin_px / width, -2.0), _MOST_CELLS)))


@compiled
def _key(row: int, column: int) -> int:
    return (row + 4) * (1 << 32) + column + 4


@compiled
def _bucket(cell: Any, bits: int) -> Any:
    return np.int64((np.uint64(cell) * _GOLDEN) >> np.uint64(64 - bits))


@compiled
def _sorted_into_buckets(points: Any, origin: Any, width: float, bits: int) -> Any:
    """Return where each bucket begins, and the points and their cells in order of buckets.

    A counting sort: points of one bucket stay in their order.
    """
    m = points.shape[0]
    keys = np.empty(m, np.int64)
    begin = np.zeros((1 << bits) + 2, np.int32)
    for j in range(m):
        row = _cell(points[j, 0] - origin[0], width)
        keys[j] = _key(row, _cell(points[j, 1] - origin[1], width))
        begin[_bucket(keys[j], bits) + 2] += 1
    for bucket in range(1, begin.shape[0]):
        begin[bucket] += begin[bucket - 1]
    members, cells = np.empty(m, np.int32), np.empty(m, np.int64)
    # Shifted by one: each bucket's end moves up to where the next one begins.
    for j in range(m):
        bucket = _bucket(keys[j], bits) + 1
        at = begin[bucket]
        members[at] = j
        cells[at] = keys[j]
        begin[bucket] += 1
    return begin, members, cells


@compiled
def _grown(array: Any) -> Any:
    grown = np.empty(2 * array.shape[0], array.dtype)
    grown[: array.shape[0]] = array
    return grown
