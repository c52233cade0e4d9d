"""How regions stand out: their height over a threshold, their own brightness, what exceeds it."""

from typing import Any

import numpy as np
import numpy.typing as npt

from dipstream.compiled import compiled
from dipstream.kernels.linear import as_input
from dipstream.kernels.runs import Runs
from dipstream.kernels.workspace import workspace

__all__ = ["heights_of_runs", "percentile_of_regions", "runs_above_levels"]

Floats = npt.NDArray[np.float64]

_BINS = 256
_FEW = 24
_NONE = 1 << 40


def heights_of_runs(pixels: npt.NDArray[Any], runs: Runs, level: float) -> Floats:
    """Return Σ (pixel − level) over the pixels (y, x) of each run, float64 (runs)."""
    heights = np.empty(len(runs))
    _add_heights(as_input(pixels), runs.row, runs.start, runs.stop, level, heights)
    return heights


def percentile_of_regions(
    pixels: npt.NDArray[Any], runs: Runs, region: npt.NDArray[np.int32], n: int, percent: float
) -> Floats:
    """Return a percentile of the pixels of each region, as ``numpy.percentile`` does.

    Parameters
    ----------
    pixels
        (y, x): float32 (no NaN), uint8 or uint16.
    runs, region
        Runs, and the region of each, 0 … n − 1; none of the regions is empty.
    n
        Number of regions.
    percent
        0 to 100.

    Returns
    -------
    float64 (n).
    """
    lengths = (runs.stop - runs.start).astype(np.int64)
    ends = np.cumsum(np.bincount(region, weights=lengths, minlength=n)).astype(np.int64)
    area = int(ends[-1]) if n else 0
    keys = workspace().take("contrast.keys", area, np.int32)
    kept = workspace().take("contrast.kept", area, np.int32)
    pixels = as_input(pixels)
    is_float = pixels.dtype.kind == "f"
    if is_float:
        pixels = as_input(pixels.view(np.int32))
    next_free = np.concatenate([[0], ends[:-1]]).astype(np.int64)
    _gather(pixels, is_float, runs.row, runs.start, runs.stop, region, next_free, keys)
    neighbours = np.empty((n, 2), np.int32)
    parts = np.empty(n)
    _select_all(keys, kept, ends, percent / 100, neighbours, parts)
    values: Any = _floats_of_keys(neighbours) if is_float else neighbours.astype(np.float64)
    return _between(values[:, 0], values[:, 1], parts)


def _between(first: npt.NDArray[Any], second: npt.NDArray[Any], parts: Floats) -> Floats:
    # From the nearer end, in the dtype of the pixels, as numpy does: the same rounding.
    step = second - first
    up, down = (part.astype(first.dtype) for part in (parts, 1 - parts))
    return np.asarray(np.where(parts < 0.5, first + step * up, second - step * down), np.float64)


def runs_above_levels(pixels: npt.NDArray[Any], runs: Runs, levels: Floats) -> Runs:
    """Return the pixels (y, x) of runs that are above the level of their run, as runs.

    Compared in float64; `levels` is float64 (runs), in grey levels.
    """
    most = (runs.area + len(runs)) // 2 + 1
    start = workspace().take("contrast.start", most, np.int32)
    stop = workspace().take("contrast.stop", most, np.int32)
    row = np.zeros_like(runs.row)
    _cut(as_input(pixels), runs.row, runs.start, runs.stop, levels, row, start, stop)
    n = int(row[-1])
    return Runs(runs.shape, row, start[:n].copy(), stop[:n].copy())


def _floats_of_keys(keys: npt.NDArray[np.int32]) -> npt.NDArray[np.float32]:
    return (keys ^ ((keys >> 31) & 0x7FFFFFFF)).view(np.float32)


@compiled
def _add_heights(pixels: Any, row: Any, start: Any, stop: Any, level: Any, heights: Any) -> None:
    for y in range(row.size - 1):
        line = pixels[y]
        for i in range(row[y], row[y + 1]):
            height = 0.0
            for x in range(start[i], stop[i]):
                height += np.float64(line[x]) - level
            heights[i] = height


@compiled
def _gather(
    pixels: Any, is_float: Any, row: Any, start: Any, stop: Any, region: Any, free: Any, keys: Any
) -> None:
    """Write integers that are ordered like the pixels, region by region."""
    for y in range(row.size - 1):
        line = pixels[y]
        for i in range(row[y], row[y + 1]):
            n = stop[i] - start[i]
            at = free[region[i]]
            free[region[i]] = at + n
            source = line[start[i] : stop[i]]
            target = keys[at : at + n]
            if is_float:
                # The bits of a float are ordered like an integer; of negative ones, reversed.
                for x in range(n):
                    bits = np.int32(source[x])
                    target[x] = bits ^ ((bits >> np.int32(31)) & np.int32(0x7FFFFFFF))
            else:
                for x in range(n):
                    target[x] = source[x]


@compiled
def _select_all(keys: Any, kept: Any, ends: Any, share: Any, neighbours: Any, parts: Any) -> None:
    counts = np.zeros(_BINS, np.int64)
    begin = 0
    for region in range(ends.size):
        end = ends[region]
        place = (end - begin - 1) * share
        rank = np.int64(place)
        parts[region] = place - rank
        first, second = _select(keys[begin:end], kept, rank, counts)
        neighbours[region, 0] = first
        neighbours[region, 1] = second
        begin = end


@compiled
def _select(keys: Any, kept: Any, rank: Any, counts: Any) -> Any:
    """Return the keys of rank `rank` and of the next one; the order of `keys` is lost.

    Counted in 256 bins between the least and the greatest, then again within the bin that holds
    the rank: each time the range shrinks by 8 bits, so that 4 times are enough.
    """
    above: Any = _NONE
    while keys.size > _FEW:
        low, high = _extremes(keys)
        shift = 0
        while (high - low) >> shift >= _BINS:
            shift += 1
        counts[:] = 0
        for i in range(keys.size):
            counts[(np.int64(keys[i]) - low) >> shift] += 1
        wanted = 0
        while rank >= counts[wanted]:
            rank -= counts[wanted]
            wanted += 1
        n = 0
        for i in range(keys.size):
            key = np.int64(keys[i])
            place = (key - low) >> shift
            if place == wanted:
                kept[n] = keys[i]
                n += 1
            elif place > wanted:
                above = min(above, key)
        keys = kept[:n]
        if shift == 0:  # all the same
            break
    _sort(keys)
    if rank + 1 < keys.size:
        above = np.int64(keys[rank + 1])
    first = np.int64(keys[rank])
    return first, first if above == _NONE else above


@compiled
def _extremes(keys: Any) -> Any:
    low = high = keys[0]
    for i in range(1, keys.size):
        low = min(low, keys[i])
        high = max(high, keys[i])
    return np.int64(low), np.int64(high)


@compiled
def _sort(keys: Any) -> None:
    for i in range(1, keys.size):
        key = keys[i]
        j = i
        while j > 0 and keys[j - 1] > key:
            keys[j] = keys[j - 1]
            j -= 1
        keys[j] = key


@compiled
def _cut(
    pixels: Any, row: Any, start: Any, stop: Any, levels: Any, cut_row: Any, begin: Any, end: Any
) -> None:
    n = 0
    for y in range(row.size - 1):
        line = pixels[y]
        for i in range(row[y], row[y + 1]):
            level = levels[i]
            inside = False
            for x in range(start[i], stop[i]):
                is_above = np.float64(line[x]) > level
                if is_above != inside:
                    if is_above:
                        begin[n] = x
                    else:
                        end[n] = x
                        n += 1
                    inside = is_above
            if inside:
                end[n] = stop[i]
                n += 1
        cut_row[y + 1] = n
