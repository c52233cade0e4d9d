"""Background, its noise and the bright end of a sample of pixels."""

from typing import Any

import numpy as np
import numpy.typing as npt

from dipstream.compiled import compiled
from dipstream.kernels.linear import as_input
from dipstream.kernels.workspace import workspace

__all__ = ["levels_of"]

_CHUNK = 256
_ROUNDS = 5
_SIGMAS = 3.0


def levels_of(sample: npt.NDArray[Any]) -> tuple[float, float, float]:
    """Return mean and standard deviation without outliers, and the 99th percentile.

    What lies more than 3 standard deviations from the median is left out, five times at most.

    Parameters
    ----------
    sample
        uint8, uint16 or float32, of any shape, not empty.
    """
    # Numbers of 16 bits are sorted several at once, those of 8 are not.
    sample = sample.astype(np.uint16) if sample.dtype.itemsize == 1 else sample
    values = as_input(np.sort(sample, axis=None))
    sums = workspace().take("sample_levels.sums", (2, _CHUNK), np.float64)
    mean, deviation = _clipped(values, sums)
    return float(mean), float(deviation), _quantile(values, 0.99)


def _quantile(values: npt.NDArray[Any], fraction: float) -> float:
    """Interpolate between the two nearest of sorted values, as `numpy.quantile` does."""
    place = fraction * (len(values) - 1)
    below = int(place)
    low, high = float(values[below]), float(values[min(below + 1, len(values) - 1)])
    part = place - below
    return low + (high - low) * part if part < 0.5 else high - (high - low) * (1 - part)


@compiled
def _clipped(values: Any, sums: Any) -> Any:
    low, high = 0, values.size
    for _ in range(_ROUNDS):
        middle = low + (high - low) // 2
        centre = np.float64(values[middle])
        if (high - low) % 2 == 0:
            centre = (centre + np.float64(values[middle - 1])) / 2
        _, spread = _mean_and_deviation(values[low:high], centre, sums)
        first = _count_below(values, low, high, centre - _SIGMAS * spread, False)
        last = _count_below(values, low, high, centre + _SIGMAS * spread, True)
        if first == low and last == high:
            break
        low, high = first, last
    return _mean_and_deviation(values[low:high], np.float64(values[(low + high) // 2]), sums)


@compiled
def _count_below(values: Any, low: Any, high: Any, limit: Any, or_equal: Any) -> Any:
    """Return the first place in low … high − 1 that is above the limit, or not below it."""
    while low < high:
        middle = (low + high) // 2
        value = np.float64(values[middle])
        if value < limit or (or_equal and value == limit):
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def _mean_and_deviation(values: Any, centre: Any, sums: Any) -> Any:
    """Add up about the centre, in lanes that are joined in one order on every machine."""
    total, square = sums[0], sums[1]
    total[:] = 0
    square[:] = 0
    for begin in range(0, values.size, _CHUNK):
        chunk = values[begin : min(begin + _CHUNK, values.size)]
        for x in range(chunk.size):
            off = np.float64(chunk[x]) - centre
            total[x] += off
            square[x] += off * off
    a, b = 0.0, 0.0
    for x in range(_CHUNK):
        a += total[x]
        b += square[x]
    shift = a / values.size
    return centre + shift, np.sqrt(max(b / values.size - shift * shift, 0.0))
