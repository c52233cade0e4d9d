"""Runs of the pixels above a level: one number, or a Gaussian-weighted mean around each pixel."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dipstream.compiled import compiled
from dipstream.kernels.correction import inputs_of
from dipstream.kernels.lanes import LANES, above, first_bit, sum_above
from dipstream.kernels.linear import Linear, as_input
from dipstream.kernels.parallel import share
from dipstream.kernels.runs import Runs
from dipstream.kernels.smooth import BAND, bands_of, buffers_for, rows_of_bands, smooth_band
from dipstream.kernels.workspace import workspace

__all__ = ["LocalForeground", "runs_above", "runs_above_surface"]

_WORD = 64


@dataclass(frozen=True, slots=True, eq=False)
class LocalForeground:
    """What exceeds a local threshold.

    Attributes
    ----------
    runs
        Where.
    mean_level
        Mean of the threshold over the plane.
    heights
        float64 (runs): Σ (pixel − threshold) over the pixels of a run.
    """

    runs: Runs
    mean_level: float
    heights: npt.NDArray[np.float64]


def runs_above(pixels: npt.NDArray[Any], level: float) -> Runs:
    """Return the runs of the pixels (y, x; float32, uint8 or uint16) that are above a level.

    Compared as numpy compares them with a float: float32 pixels with the level as a float32.
    """
    pixels = as_input(pixels)
    if pixels.dtype.kind == "u":
        level = np.floor(level)
    with np.errstate(over="ignore"):
        number = np.float32(level)
    parts: dict[int, tuple[Any, Any]] = {}

    def work(first: int, last: int) -> None:
        turns, ends = _room(first, last, pixels.shape[1])
        _find(pixels, first, last, number, np.zeros(_WORD, pixels.dtype), turns, ends)
        parts[first] = (turns[: ends[-1]].copy(), ends)

    share(len(pixels), work, least=_WORD)
    return _joined(pixels.shape, parts)


def runs_above_surface(
    pixels: npt.NDArray[Any], sigma_px: float, margin: float, lift: float, bottom: float
) -> LocalForeground:
    """Return the runs of the pixels above max(mean + margin · |mean| + lift, bottom).

    `mean` is the Gaussian-weighted mean around each of them.

    Parameters
    ----------
    pixels
        (y, x): float32, uint8 or uint16.
    sigma_px
        Standard deviation of the Gaussian in px, cut off at 4 σ, mirrored at the border.
    margin
        A part of the mean that is added to it.
    lift
        Added to the mean, in grey levels.
    bottom
        Least threshold in grey levels; −inf for none.
    """
    pixels = as_input(pixels)
    inputs = inputs_of(Linear(pixels))
    height, width = pixels.shape
    sums = np.zeros(height)
    parts: dict[int, tuple[Any, Any]] = {}
    heights: dict[int, Any] = {}

    def work(first: int, last: int) -> None:
        first, last = rows_of_bands(first, last, height)
        turns, ends = _room(first, last, width)
        summed = workspace().take("foreground.heights", len(turns) // 2, np.float64)
        _find_local(
            *inputs,
            buffers_for((height, width), sigma_px),
            first,
            last,
            np.float32(margin),
            np.float32(lift),
            np.float32(bottom),
            np.zeros(_WORD, pixels.dtype),
            turns,
            ends,
            summed,
            sums,
        )
        parts[first] = (turns[: ends[-1]].copy(), ends)
        heights[first] = summed[: ends[-1] // 2].copy()

    share(bands_of(height), work, least=4)
    return LocalForeground(
        _joined((height, width), parts),
        float(sums.sum()) / (height * width),
        np.concatenate([heights[first] for first in sorted(heights)]),
    )


def _room(first: int, last: int, width: int) -> tuple[Any, Any]:
    """Return where the turns of rows go: as many as there can be, and how many up to each row."""
    turns = workspace().take("foreground.turns", (last - first) * (width + width % 2), np.int32)
    return turns, np.zeros(last - first + 1, np.int64)


def _joined(shape: tuple[int, int], parts: dict[int, tuple[Any, Any]]) -> Runs:
    """Make runs of the turns of parts of a plane: starts and stops by turns."""
    ordered = [parts[first] for first in sorted(parts)]
    turns = np.concatenate([turns for turns, _ in ordered])
    counts = np.concatenate([np.diff(ends) for _, ends in ordered])
    row = np.zeros(shape[0] + 1, np.int32)
    np.cumsum(counts // 2, out=row[1:])
    return Runs(shape, row, turns[0::2].copy(), turns[1::2].copy())


@compiled
def _find(pixels: Any, first: Any, last: Any, level: Any, rest: Any, turns: Any, ends: Any) -> None:
    for y in range(first, last):
        ends[y - first + 1] = _turns(pixels[y], level, rest, turns, ends[y - first])


@compiled
def _turns(row: Any, levels: Any, rest: Any, turns: Any, n: Any) -> Any:
    """Write where a row rises above its levels and falls back, after n turns; return how many."""
    width = row.size
    whole = width - width % _WORD
    inside = np.uint64(0)
    one = np.uint64(1)
    for x in range(0, whole, _WORD):
        bits = above(row, x, levels, x)
        changes = bits ^ ((bits << one) | inside)
        while changes != np.uint64(0):
            turns[n] = x + first_bit(changes)
            n += 1
            changes &= changes - one
        inside = bits >> np.uint64(_WORD - 1)
    if whole < width:
        for x in range(whole, width):
            rest[x - whole] = row[x]
        bits = above(rest, 0, levels, whole)
        bits &= (one << np.uint64(width - whole)) - one
        # A run that reaches the border ends at the first bit beyond it.
        changes = bits ^ ((bits << one) | inside)
        while changes != np.uint64(0):
            turns[n] = whole + first_bit(changes)
            n += 1
            changes &= changes - one
        inside = np.uint64(0)
    if inside != np.uint64(0):
        turns[n] = width
        n += 1
    return n


@compiled
def _find_local(
    raw: Any,
    offset: Any,
    gain: Any,
    buffers: Any,
    first: Any,
    last: Any,
    margin: Any,
    lift: Any,
    bottom: Any,
    rest: Any,
    turns: Any,
    ends: Any,
    heights: Any,
    sums: Any,
) -> None:
    width = raw.shape[1]
    lanes = np.empty(LANES)
    for top in range(first, last, BAND):
        block = smooth_band(raw, offset, gain, buffers, top)
        for k in range(min(BAND, last - top)):
            y = top + k
            row = raw[y]
            level = block[k]
            for x in range(width):
                level[x] = max(level[x] + abs(level[x]) * margin + lift, bottom)
            sums[y] = _sum(level, width, lanes)
            begin = ends[y - first]
            ends[y - first + 1] = _turns(row, level, rest, turns, begin)
            for i in range(begin, ends[y - first + 1], 2):
                height = 0.0
                for x in range(turns[i], turns[i + 1]):
                    height += np.float64(row[x]) - np.float64(level[x])
                heights[i // 2] = height


@compiled
def _sum(row: Any, n: Any, lanes: Any) -> Any:
    lanes[:] = 0
    whole = n // LANES
    sum_above(row, 0, whole, np.float32(0), np.float32(-np.inf), lanes)
    total = lanes.sum()
    for x in range(whole * LANES, n):
        total += np.float64(row[x])
    return total
