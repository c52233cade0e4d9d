"""How often each grey level occurs, counted exactly as numpy and scikit-image do."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dipstream.compiled import compiled
from dipstream.kernels.lanes import bins, first_bit
from dipstream.kernels.linear import as_input
from dipstream.kernels.parallel import share
from dipstream.kernels.workspace import workspace

__all__ = ["BINS", "Histogram", "float_histogram", "integer_histogram"]

BINS = 256
"""Bins of an image of float32 (scikit-image's choice)."""

_TABLES = 8
_INTEGER_TABLES = 4
_WORD = 64
_STEPS_OF_FLOAT32 = 2.0**-23


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """Counts of grey levels.

    Attributes
    ----------
    counts
        int64 (bins); the first and the last are not 0.
    centers
        The grey level of each bin: int64, or float32 for images of float32.
    """

    counts: npt.NDArray[np.int64]
    centers: npt.NDArray[Any]


def integer_histogram(pixels: npt.NDArray[Any]) -> Histogram:
    """Count each grey level of uint8 or uint16 pixels (y, x), from the least to the greatest."""
    levels = int(np.iinfo(pixels.dtype).max) + 1
    pixels = as_input(pixels)

    def work(first: int, last: int) -> Any:
        tables = workspace().take("histogram.integers", (_INTEGER_TABLES, levels), np.int32)
        tables[:] = 0
        _count_integers(pixels, first, last, tables)
        return tables.sum(axis=0, dtype=np.int64)

    counts = _summed(len(pixels), work)
    present = np.flatnonzero(counts)
    low, high = int(present[0]), int(present[-1])
    return Histogram(counts[low : high + 1], np.arange(low, high + 1))


def float_histogram(pixels: npt.NDArray[np.float32], low: float, high: float) -> Histogram:
    """Count float32 pixels (y, x) in 256 equal bins, as ``numpy.histogram(pixels, 256)`` does.

    Parameters
    ----------
    pixels
        All of them finite.
    low, high
        The least and the greatest of them; not the same.
    """
    ends = np.array([low, high], np.float32)
    edges = np.histogram_bin_edges(ends, BINS)
    centers = (edges[:-1] + edges[1:]) / 2.0
    width = (high - low) / BINS
    # How far a bin that is computed in float32 may be from where its rounded edges put it.
    doubt = 2.0**-14 + 2 * _STEPS_OF_FLOAT32 * max(abs(low), abs(high)) / width
    with np.errstate(over="ignore", divide="ignore"):
        scale = np.float32(1 / width)
    if not doubt < 0.25 or not np.isfinite(scale):  # edges that float32 hardly tells apart
        return Histogram(np.histogram(pixels, BINS)[0].astype(np.int64), centers)
    pixels = as_input(pixels)

    def work(first: int, last: int) -> Any:
        tables = np.zeros(_TABLES * BINS, np.int32)
        # Of a whole number of words: the last one of a row is computed in full.
        rest = np.full(_WORD, low, np.float32)
        index = np.empty(pixels.shape[1] + _WORD, np.uint8)
        _count_bins(
            pixels,
            first,
            last,
            scale,
            np.float32(doubt),
            edges,
            rest,
            index,
            tables,
        )
        return tables.reshape(_TABLES, BINS).sum(axis=0, dtype=np.int64)

    return Histogram(_summed(len(pixels), work), centers)


def _summed(rows: int, work: Callable[[int, int], Any]) -> npt.NDArray[np.int64]:
    parts: list[Any] = []
    share(rows, lambda first, last: parts.append(work(first, last)), least=64)
    return np.asarray(np.sum(parts, axis=0), np.int64)


@compiled
def _count_integers(pixels: Any, first: Any, last: Any, tables: Any) -> None:
    # Neighbours are often equal: counted in tables of their own, none waits for the one before.
    a, b, c, d = tables[0], tables[1], tables[2], tables[3]
    for y in range(first, last):
        row = pixels[y]
        whole = row.size - row.size % _INTEGER_TABLES
        for x in range(0, whole, _INTEGER_TABLES):
            a[row[x]] += 1
            b[row[x + 1]] += 1
            c[row[x + 2]] += 1
            d[row[x + 3]] += 1
        for x in range(whole, row.size):
            a[row[x]] += 1


@compiled
def _count_bins(
    pixels: Any,
    first: Any,
    last: Any,
    scale: Any,
    doubt: Any,
    edges: Any,
    rest: Any,
    index: Any,
    tables: Any,
) -> None:
    width = pixels.shape[1]
    whole = width - width % _WORD
    low = edges[0]
    for y in range(first, last):
        row = pixels[y]
        for x in range(0, whole, _WORD):
            doubtful = bins(row, x, low, scale, doubt, index, x)
            _settle_bins(row, x, doubtful, edges, index, x)
        if whole < width:
            for x in range(whole, width):
                rest[x - whole] = row[x]
            doubtful = bins(rest, 0, low, scale, doubt, index, whole)
            _settle_bins(rest, 0, doubtful, edges, index, whole)
        _count(index, width, tables)


@compiled
def _settle_bins(
    pixels: Any, at: Any, doubtful: Any, edges: Any, index: Any, index_at: Any
) -> None:
    """Move what lies beyond an edge of its bin; the last bin holds its upper edge."""
    while doubtful != np.uint64(0):
        k = first_bit(doubtful)
        doubtful &= doubtful - np.uint64(1)
        i = np.int64(index[index_at + k])
        if pixels[at + k] < edges[i]:
            index[index_at + k] = i - 1
        elif i < BINS - 1 and pixels[at + k] >= edges[i + 1]:
            index[index_at + k] = i + 1


@compiled
def _count(index: Any, n: Any, tables: Any) -> None:
    # Neighbours are often equal: counted in tables of their own, none waits for the one before.
    whole = n - n % _TABLES
    for x in range(0, whole, _TABLES):
        for k in range(_TABLES):
            tables[k * BINS + np.int64(index[x + k])] += 1
    for x in range(whole, n):
        tables[np.int64(index[x])] += 1
