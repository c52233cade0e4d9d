"""Length of the border of every object."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from dipstream.compiled import compiled
from dipstream.kernels.moments import Moments
from dipstream.kernels.parallel import share
from dipstream.kernels.workspace import workspace

__all__ = ["perimeters"]

_LEAST = 64


def perimeters(moments: Moments) -> npt.NDArray[np.float64]:
    """Return the length (px) of each object's border.

    A pixel of the border has a side in common with something else. It counts 1, √2 or (1 + √2)/2
    by how many pixels of the border lie beside and across (Benkrid and Crookes, Design and FPGA
    implementation of a perimeter estimator, 2000). A pixel beside counts 2, one across 10.
    """
    runs = moments.runs
    halves = np.empty(len(moments), np.int64)

    def work(begin: int, end: int) -> None:
        part = slice(begin, end)
        stride = int((moments.x1[part] - moments.x0[part]).max()) + 2
        height = int((moments.y1[part] - moments.y0[part]).max()) + 2
        patch = workspace().take("perimeter.patch", height * stride, np.uint8)
        patch[:] = 0
        most = _most_pieces(np.diff(runs.first[begin : end + 1]), moments.area[part])
        pieces = workspace().take("perimeter.pieces", (most, 2), np.int32)
        _trace(
            runs.first, runs.row, runs.start, runs.stop, moments.y0, moments.x0, stride,
            patch, pieces, _HALVES, begin, end, halves,
        )  # fmt: skip

    if len(moments):
        share(len(moments), work, _LEAST)
    straight, diagonal = halves & 0xFFFFFFFF, halves >> 32
    return (straight + diagonal * math.sqrt(2)) / 2


def _most_pieces(runs: npt.NDArray[np.int64], area: npt.NDArray[np.int64]) -> int:
    """Return how many pieces of border one object may have: neither many runs nor many pixels.

    Between two pieces of a run lies at least one pixel of the inside; and each piece but a run's
    last ends where a run above or below begins to cover it or stops.
    """
    return int(np.minimum(5 * runs, (area + runs) // 2).max())


def _weights() -> npt.NDArray[np.int64]:
    """Return twice what a pixel counts, by its 3×3 neighbourhood of border pixels.

    Whole parts in the lower 32 bits, parts of √2 in the upper ones: so that sums are exact and do
    not depend on their order. Bits of the index: columns from left to right, 3 bits each.
    """
    straight, diagonal, both = 2, 2 << 32, 1 + (1 << 32)
    of_code = dict.fromkeys((5, 7, 15, 17, 25, 27), straight)
    of_code |= {21: diagonal, 33: diagonal, 13: both, 23: both}
    table = np.zeros(512, np.int64)
    for index in range(512):
        bits = np.array([int(bit) for bit in f"{index:09b}"])
        code = int(bits @ (10, 2, 10, 2, 1, 2, 10, 2, 10))
        table[index] = of_code.get(code, 0) if bits[4] else 0
    return table


_HALVES = _weights()


@compiled
def _trace(
    first: Any, row: Any, start: Any, stop: Any, y0: Any, x0: Any, stride: Any,
    patch: Any, pieces: Any, weights: Any, begin: Any, end: Any, halves: Any,
) -> None:  # fmt: skip
    """Measure objects begin … end − 1; the patch is 0 before and after."""
    for k in range(begin, end):
        n = _find_border(
            row, start, stop, first[k], first[k + 1], y0[k] - 1, x0[k] - 1, stride, pieces
        )
        for m in range(n):
            for p in range(pieces[m, 0], pieces[m, 1]):
                patch[p] = 1
        halves[k] = _add_weights(patch, stride, pieces, n, weights)
        for m in range(n):
            for p in range(pieces[m, 0], pieces[m, 1]):
                patch[p] = 0


@compiled
def _find_border(
    row: Any, start: Any, stop: Any, begin: Any, end: Any, top: Any, left: Any, stride: Any,
    pieces: Any,
) -> Any:  # fmt: skip
    """Write the pieces of border, as positions in the patch; return how many there are.

    The inside of a run is what the runs above and below it cover, less its two ends.
    """
    n = 0
    above = begin
    below = begin
    for i in range(begin, end):
        y, a, b = row[i], start[i], stop[i]
        while row[above] < y - 1 or (row[above] == y - 1 and stop[above] <= a + 1):
            above += 1
        while below < end and (row[below] <= y or (row[below] == y + 1 and stop[below] <= a + 1)):
            below += 1
        line = (np.int64(y) - top) * stride - left
        outside = a
        j, k = above, below
        while row[j] == y - 1 and k < end and row[k] == y + 1:
            inner = max(a + 1, start[j], start[k])
            outer = min(b - 1, stop[j], stop[k])
            if inner < outer:
                pieces[n, 0], pieces[n, 1] = line + outside, line + inner
                n += 1
                outside = outer
            if start[j] >= b or start[k] >= b:
                break
            if stop[j] < stop[k]:
                j += 1
            else:
                k += 1
        pieces[n, 0], pieces[n, 1] = line + outside, line + b
        n += 1
    return n


@compiled
def _add_weights(patch: Any, stride: Any, pieces: Any, n: Any, weights: Any) -> Any:
    total = np.int64(0)
    for m in range(n):
        p = np.int64(pieces[m, 0])
        # Three columns of three pixels; each step lets the next one in at the right.
        seen = _column(patch, p - 1, stride) << 3 | _column(patch, p, stride)
        for q in range(p + 1, np.int64(pieces[m, 1]) + 1):
            seen = (seen << 3 | _column(patch, q, stride)) & 511
            total += weights[seen]
    return total


@compiled
def _column(patch: Any, p: Any, stride: Any) -> Any:
    return np.int64(patch[p - stride]) << 2 | np.int64(patch[p]) << 1 | np.int64(patch[p + stride])
