"""Exact percentiles of a plane and of its differences, without sorting and mostly in one pass.

A sample of the values brackets the percentile. One pass counts what lies below the bracket and
collects what lies in it: a few values in a hundred, among which the percentile is selected. Where
the sample misled, which regular patterns can bring about, all values are taken.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from dipstream.compiled import compiled
from dipstream.kernels.histogram import Histogram
from dipstream.kernels.lanes import above, count_bits, first_bit
from dipstream.kernels.linear import as_input
from dipstream.kernels.workspace import workspace

__all__ = ["percentile", "percentile_of_histogram", "percentile_of_lags"]

Values: TypeAlias = npt.NDArray[np.float32]

_SAMPLES = 1 << 15
_SAMPLE_SD = 4.0
_WORD = 64


def percentile_of_histogram(histogram: Histogram, percent: float) -> float:
    """Return a percentile of integer pixels, as ``numpy.percentile`` does."""
    ends = np.cumsum(histogram.counts)
    below, part = _rank(int(ends[-1]), percent)
    first, second = histogram.centers[
        np.searchsorted(ends, [below, below + 1], side="right").clip(max=len(ends) - 1)
    ]
    return float(_between(np.float64(first), np.float64(second), part))


def percentile(pixels: Values, percent: float) -> float:
    """Return a percentile of float32 pixels (y, x), all finite, as ``numpy.percentile`` does."""
    pixels = as_input(pixels)
    flat = pixels.reshape(-1)
    sample = flat[:: max(1, flat.size // _SAMPLES) | 1]

    def scan(ends: Any, counts: Any, inside: Any) -> None:
        _scan_plane(flat, ends, np.zeros(_WORD, np.float32), counts, inside)

    found = _select(sample, flat.size, percent, scan)
    return float(np.percentile(flat, percent)) if found is None else found


def percentile_of_lags(pixels: npt.NDArray[Any], lag_px: int, percent: float) -> float:
    """Return a percentile of abs(p − q), q being the pixel `lag_px` to the left of p or above it.

    Parameters
    ----------
    pixels
        (y, x), larger than `lag_px` one way or the other; float32 (finite), uint8 or uint16.
    lag_px
        Distance in px.
    percent
        0 to 100.
    """
    pixels = as_input(pixels)
    height, width = pixels.shape
    size = max(height - lag_px, 0) * width + height * max(width - lag_px, 0)
    buffer = workspace().take("order_statistics.lags", width + _WORD, np.float32)
    buffer[:] = 0

    def scan(ends: Any, counts: Any, inside: Any) -> None:
        _scan_lags(pixels, lag_px, buffer, ends, counts, inside)

    found = _select(_sample_of_lags(pixels, lag_px), size, percent, scan)
    if found is not None:
        return found
    plane = pixels.astype(np.float32)
    lags = [plane[lag_px:] - plane[:-lag_px], plane[:, lag_px:] - plane[:, :-lag_px]]
    return float(np.percentile(np.abs(np.concatenate([one.ravel() for one in lags])), percent))


def _sample_of_lags(pixels: npt.NDArray[Any], lag_px: int) -> Values:
    height, width = pixels.shape
    flat = pixels.reshape(-1)
    at = np.arange(0, flat.size, max(1, 2 * flat.size // _SAMPLES) | 1)
    down, right = at[at < (height - lag_px) * width], at[at % width < width - lag_px]
    first, second = (
        np.concatenate([down, right]),
        np.concatenate([down + lag_px * width, right + lag_px]),
    )
    lags: Values = np.abs(flat[second].astype(np.float32) - flat[first].astype(np.float32))
    return lags


def _rank(n: int, percent: float) -> tuple[int, float]:
    """Return how many of n sorted values precede the percentile's lower neighbour, and the rest."""
    place = (n - 1) * (percent / 100)
    return int(place), place - int(place)


def _between(first: Any, second: Any, part: float) -> Any:
    # From the nearer end, as numpy does: the same rounding.
    step = second - first
    return second - step * (1 - part) if part >= 0.5 else first + step * part


def _select(
    sample: Values, size: int, percent: float, scan: Callable[[Any, Any, Any], None]
) -> float | None:
    """Return a percentile of `size` values, or None if a sample of them did not bracket it."""
    low, high = _bracket(sample, percent, is_all=sample.size == size)
    inside = workspace().take("order_statistics.inside", size // 8 + 2 * _WORD, np.float32)
    above_low, at_least_high = _counted(scan, low, _before(high), inside)
    inner = above_low - at_least_high
    if inner > len(inside):
        return None
    steps = [size - above_low, size - at_least_high]
    below, part = _rank(size, percent)
    ranks = (below, min(below + 1, size - 1))
    if ranks[0] < steps[0] or ranks[1] >= steps[1]:
        # An end of the bracket itself, if there are enough of its kind.
        at_least_low, above_high = _counted(scan, _before(low), high, inside[:0])
        if ranks[0] < size - at_least_low or ranks[1] >= size - above_high:
            return None
    places = [rank - steps[0] for rank in ranks if steps[0] <= rank < steps[1]]
    between = iter(np.partition(inside[:inner], places)[places]) if places else iter(())
    first, second = (
        low if rank < steps[0] else high if rank >= steps[1] else next(between) for rank in ranks
    )
    return float(_between(first, second, part))


def _bracket(sample: Values, percent: float, *, is_all: bool) -> tuple[np.float32, np.float32]:
    """Return two values of a sample, between which a percentile of all will be."""
    share = percent / 100
    middle = share * (sample.size - 1)
    spread = 2.0
    if not is_all:
        spread += _SAMPLE_SD * (sample.size * share * (1 - share)) ** 0.5
    ranks = np.clip([middle - spread, middle + spread], 0, sample.size - 1).astype(np.intp)
    low, high = np.partition(sample, ranks)[ranks]
    return low, high


def _counted(
    scan: Callable[[Any, Any, Any], None], low: np.float32, high: np.float32, inside: Values
) -> tuple[int, int]:
    counts = np.zeros(2, np.int64)
    scan(np.array([low, high], np.float32), counts, inside)
    return int(counts[0]), int(counts[1])


def _before(x: np.float32) -> np.float32:
    """Return the number before x: a value is at least x where it is above that."""
    return np.float32(np.nextafter(x, np.float32(-np.inf)))


@compiled
def _scan_word(values: Any, at: Any, n: Any, ends: Any, counts: Any, inside: Any) -> None:
    """Count 64 values, or the first n, above two numbers; collect those in between."""
    known = np.uint64(0xFFFFFFFFFFFFFFFF) >> np.uint64(_WORD - n)
    above_low = above(values, at, ends[0], 0) & known
    above_high = above(values, at, ends[1], 0) & known
    inner = above_low & ~above_high
    i = counts[0] - counts[1]
    counts[0] += count_bits(above_low)
    counts[1] += count_bits(above_high)
    while inner != np.uint64(0):
        if i < inside.size:
            inside[i] = values[at + first_bit(inner)]
        i += 1
        inner &= inner - np.uint64(1)


@compiled
def _scan_plane(flat: Any, ends: Any, rest: Any, counts: Any, inside: Any) -> None:
    whole = flat.size - flat.size % _WORD
    for at in range(0, whole, _WORD):
        _scan_word(flat, at, _WORD, ends, counts, inside)
    if whole < flat.size:
        for at in range(whole, flat.size):
            rest[at - whole] = flat[at]
        _scan_word(rest, 0, flat.size - whole, ends, counts, inside)


@compiled
def _scan_lags(pixels: Any, lag: Any, buffer: Any, ends: Any, counts: Any, inside: Any) -> None:
    height, width = pixels.shape
    for y in range(height):
        row = pixels[y]
        n = width - lag
        for x in range(n):
            buffer[x] = abs(np.float32(row[x + lag]) - np.float32(row[x]))
        for at in range(0, n, _WORD):
            _scan_word(buffer, at, min(n - at, _WORD), ends, counts, inside)
        if y + lag < height:
            other = pixels[y + lag]
            for x in range(width):
                buffer[x] = abs(np.float32(other[x]) - np.float32(row[x]))
            for at in range(0, width, _WORD):
                _scan_word(buffer, at, min(width - at, _WORD), ends, counts, inside)
