"""Intensity of every object: sums, extremes, spread and weighted centroid, in one walk."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dipstream.compiled import compiled
from dipstream.kernels.linear import Linear, as_input
from dipstream.kernels.moments import Moments
from dipstream.kernels.parallel import share
from dipstream.kernels.workspace import workspace

__all__ = ["Intensities", "intensities_of"]

Floats = npt.NDArray[np.float64]

_LEAST = 64
# Columns are summed by eights, so that a row of an object has no odd end of its own.
_STEP = 8


@dataclass(frozen=True, slots=True, eq=False)
class Intensities:
    """float64, one of each an object: in the pixels' unit, the centroid in px.

    Attributes
    ----------
    mean, smallest, largest, deviation, total
        Of the pixels; the standard deviation is over n.
    y, x
        The centroid weighted by the pixels; NaN where their sum is 0.
    """

    mean: Floats
    smallest: Floats
    largest: Floats
    deviation: Floats
    total: Floats
    y: Floats
    x: Floats


def intensities_of(moments: Moments, pixels: Linear) -> Intensities:
    """Return the intensities of objects.

    Sums are float64 and taken about a pixel of the object (Chan, Golub and LeVeque, The American
    Statistician 37 (1983) 242): a small spread on a large mean keeps its digits. No pixel of n is
    farther from the mean than √n standard deviations, so that the variance is exact to about n
    roundings, whichever pixel is taken.

    Parameters
    ----------
    moments
        The objects.
    pixels
        uint8, uint16 or float32 (y, x), or a float32 function of such; see `suits_kernels`.
    """
    runs = moments.runs
    raw = as_input(pixels.raw)
    offset = _plane(pixels.offset, 0.0, raw.shape[1])
    gain = _plane(pixels.gain, 1.0, raw.shape[1])
    table = np.empty((7, len(moments)), np.float64)

    def work(begin: int, end: int) -> None:
        width = int((moments.x1[begin:end] - moments.x0[begin:end]).max()) + _STEP
        ends = workspace().take("intensities.ends", (3, width), np.float32)
        sums = workspace().take("intensities.sums", (3, width), np.float64)
        _measure(
            raw, offset, gain, runs.first, runs.row, runs.start, runs.stop,
            moments.area, moments.y0, moments.x0, moments.x1, moments.sum_y, moments.sum_x,
            ends, sums, begin, end, table,
        )  # fmt: skip

    if len(moments):
        share(len(moments), work, _LEAST)
    return Intensities(*table)


def _plane(values: npt.NDArray[np.float32] | None, absent: float, width: int) -> npt.NDArray[Any]:
    """Return values as rows: one for all, or one each."""
    if values is None:
        return as_input(np.full((1, width), absent, np.float32))
    if values.ndim == 0:
        return as_input(np.full((1, width), values, np.float32))
    return as_input(values)


@compiled
def _measure(
    raw: Any, offset: Any, gain: Any, first: Any, row: Any, start: Any, stop: Any,
    area: Any, y0: Any, x0: Any, x1: Any, sum_y: Any, sum_x: Any,
    ends: Any, sums: Any, begin: Any, end: Any, table: Any,
) -> None:  # fmt: skip
    for k in range(begin, end):
        n = np.float64(area[k])
        width = x1[k] - x0[k]
        i = first[k]
        about = _first_pixel(raw, offset, gain, row[i], start[i])
        _clear(ends, sums, about, width + _STEP)
        for i in range(first[k], first[k + 1]):
            _add_run(
                raw, offset, gain, row[i], start[i], stop[i], x0[k], row[i] - y0[k], about,
                ends, sums,
            )  # fmt: skip
        smallest, largest = about, about
        for x in range(width):
            smallest = min(smallest, ends[1, x])
            largest = max(largest, ends[2, x])
        total, square, of_y, of_x = _over_columns(sums, width)
        table[1, k], table[2, k] = smallest, largest
        shift = total / n
        centre = np.float64(about)
        table[0, k] = centre + shift
        weight = n * centre + total
        table[4, k] = weight
        if weight == 0:
            table[5, k], table[6, k] = np.nan, np.nan
        else:
            table[5, k] = y0[k] + (centre * sum_y[k] + of_y) / weight
            table[6, k] = x0[k] + (centre * sum_x[k] + of_x) / weight
        table[3, k] = np.sqrt(max(square / n - shift * shift, 0.0))


@compiled
def _first_pixel(raw: Any, offset: Any, gain: Any, y: Any, x: Any) -> Any:
    low = offset[y if offset.shape[0] > 1 else 0, x]
    return (np.float32(raw[y, x]) - low) * gain[y if gain.shape[0] > 1 else 0, x]


@compiled
def _clear(ends: Any, sums: Any, about: Any, width: Any) -> None:
    width = min(width, sums.shape[1])
    ends[1, :width] = about
    ends[2, :width] = about
    sums[0, :width] = 0
    sums[1, :width] = 0
    sums[2, :width] = 0


@compiled
def _add_run(
    raw: Any, offset: Any, gain: Any, y: Any, a: Any, b: Any, x0: Any, down: Any, about: Any,
    ends: Any, sums: Any,
) -> None:  # fmt: skip
    """Add a run to the sums of its columns, each of which has its own: nothing is reordered.

    Pixels that only round the run up to whole steps are set to `about`, which adds nothing.
    """
    n = np.int64(b) - a
    whole = min((n + _STEP - 1) // _STEP * _STEP, raw.shape[1] - a)
    values = ends[0, :whole]
    line = raw[y, a : a + whole]
    low = offset[y if offset.shape[0] > 1 else 0, a : a + whole]
    factor = gain[y if gain.shape[0] > 1 else 0, a : a + whole]
    for x in range(whole):
        values[x] = (np.float32(line[x]) - low[x]) * factor[x]
    for x in range(n, whole):
        values[x] = about
    at = a - x0
    smallest, largest = ends[1, at : at + whole], ends[2, at : at + whole]
    for x in range(whole):
        smallest[x] = min(values[x], smallest[x])
        largest[x] = max(values[x], largest[x])
    total, square, of_y = (
        sums[0, at : at + whole],
        sums[1, at : at + whole],
        sums[2, at : at + whole],
    )
    height = np.float64(down)
    centre = np.float64(about)
    for x in range(whole):
        weight = np.float64(values[x]) - centre
        total[x] += weight
        square[x] += weight * weight
        of_y[x] += weight * height


@compiled
def _over_columns(sums: Any, width: Any) -> Any:
    total, square, of_y, of_x = 0.0, 0.0, 0.0, 0.0
    for x in range(width):
        total += sums[0, x]
        square += sums[1, x]
        of_y += sums[2, x]
        of_x += sums[0, x] * x
    return total, square, of_y, of_x
