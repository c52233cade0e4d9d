"""Thresholds of a whole image, from its histogram: the results of ``skimage.filters``."""

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from skimage import filters

from dipstream.compiled import compiled
from dipstream.kernels.histogram import Histogram
from dipstream.kernels.lanes import LANES, sum_above
from dipstream.kernels.linear import as_input
from dipstream.kernels.parallel import share

__all__ = ["li_of_histogram", "li_of_pixels", "mean_of_histogram", "mean_of_pixels", "of_histogram"]

Pixels: TypeAlias = npt.NDArray[np.float32]

_SAMPLES = 1 << 14


def of_histogram(method: str, histogram: Histogram) -> Any:
    """Return the threshold of ``otsu``, ``isodata``, ``yen`` or ``triangle``, a bin's center."""
    if method == "triangle":
        return _triangle(histogram)
    found: Any = {
        "otsu": filters.threshold_otsu,
        "isodata": filters.threshold_isodata,
        "yen": filters.threshold_yen,
    }[method]
    return found(hist=(histogram.counts, histogram.centers))


def _triangle(histogram: Histogram) -> Any:
    """Return the level of Zack, Rogers & Latt, J. Histochem. Cytochem. 25 (1977) 741.

    Where the histogram lies farthest below the line from its peak to the end of its longer tail.
    """
    counts = histogram.counts
    last = len(counts) - 1
    peak = int(np.argmax(counts))
    is_right = peak < last - peak
    if is_right:
        counts, peak = counts[::-1], last - peak
    tail = counts[:peak]
    # Twice the area between the line and each point, over the length of the line.
    length = np.hypot(float(counts[peak]), float(peak))
    below = (counts[peak] / length) * np.arange(peak) - (peak / length) * tail
    found = int(np.argmax(below))
    return histogram.centers[last - found if is_right else found]


def mean_of_histogram(histogram: Histogram) -> float:
    """Return the mean of integer pixels."""
    total = int((histogram.counts * histogram.centers).sum())
    return total / int(histogram.counts.sum())


def mean_of_pixels(pixels: Pixels) -> np.float32:
    """Return the mean of float32 pixels, added up in float64."""
    total, _ = _sum_above(as_input(pixels), np.float32(0), np.float32(-np.inf))
    return np.float32(total / pixels.size)


def li_of_histogram(histogram: Histogram) -> Any:
    """Return the threshold of Li & Tam, Pattern Recognit. Lett. 19 (1998) 771, of integer pixels.

    The least cross-entropy, by iteration from the mean until it moves by half a grey level.
    """
    counts, low = histogram.counts, histogram.centers[0]
    heights = histogram.centers - low
    threshold, before = np.average(heights, weights=counts), -1.0
    while abs(threshold - before) > 0.5:
        before = threshold
        bright = heights > before
        above = np.average(heights[bright], weights=counts[bright])
        below = np.average(heights[~bright], weights=counts[~bright])
        if below == 0:
            break
        threshold = (below - above) / (np.log(below) - np.log(above))
    return threshold + low


def li_of_pixels(pixels: Pixels, low: float) -> np.float32:
    """Return the threshold of Li & Tam of float32 pixels, not all the same.

    The iteration of `li_of_histogram`, until no pixel changes sides or the threshold moves by half
    the least difference between two grey levels, which matters where there are few of them.

    Parameters
    ----------
    pixels
        (y, x), finite.
    low
        The least of them.
    """
    pixels = as_input(pixels)
    base = np.float32(low)
    total, size = _sum_above(pixels, base, np.float32(-np.inf))
    threshold = np.float32(total / size)
    finest = _least_step(pixels.reshape(-1)[:: max(1, pixels.size // _SAMPLES) | 1], base)
    seen = {0}  # numbers of bright pixels: one that comes back changes nothing more
    while True:
        bright, count = _sum_above(pixels, base, threshold)
        if count in seen:
            break
        seen.add(count)
        below, above = (total - bright) / (size - count), bright / count
        if below == 0:
            break
        before = threshold
        threshold = np.float32((below - above) / (np.log(below) - np.log(above)))
        twice = 2 * abs(threshold - before)
        # All pixels have steps at least as fine as a sample has: mostly there is nothing to sort.
        if twice <= finest and twice <= _least_step(pixels, base):
            break
    return np.float32(threshold + base)


def _least_step(pixels: Pixels, base: np.float32) -> float:
    """Return the least difference between two grey levels, once `base` is taken off."""
    return float(np.diff(np.unique(pixels - base)).min(initial=np.inf))


def _sum_above(pixels: Pixels, base: np.float32, level: np.float32) -> tuple[float, int]:
    """Return Σ (p − base) and the number of the pixels with p − base > level."""
    rows = np.empty(len(pixels))
    counts = np.empty(len(pixels), np.int64)
    share(len(pixels), lambda a, b: _sum_rows(pixels, a, b, base, level, rows, counts), least=64)
    return float(rows.sum()), int(counts.sum())


@compiled
def _sum_rows(
    pixels: Any, first: Any, last: Any, base: Any, level: Any, sums: Any, counts: Any
) -> None:
    lanes = np.empty(LANES)
    for y in range(first, last):
        row = pixels[y]
        whole = row.size // LANES
        lanes[:] = 0
        count = sum_above(row, 0, whole, base, level, lanes)
        total = lanes.sum()
        for x in range(whole * LANES, row.size):
            height = row[x] - base
            if height > level:
                total += np.float64(height)
                count += 1
        sums[y] = total
        counts[y] = count
