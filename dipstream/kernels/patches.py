"""Parts of a plane (regions, objects), each in a small patch of its own that stays in the cache.

A patch is a flat buffer around the box of a part, with a gap between its rows and as many rows of
margin above and below. It is all 0 but for the pixels of the part, so that nothing needs to know
where the part ends. Kernels work on *lines* of a patch: several of its rows at a time, which is
quick, gaps included; or, where a part is thin and its box large (a ring), run by run.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dipstream.compiled import compiled
from dipstream.kernels.pixel_lanes import PIXELS
from dipstream.kernels.runs import Runs

__all__ = [
    "LONGEST_LINE",
    "Parts",
    "Patch",
    "clear",
    "ends",
    "lines_of",
    "parts_of_runs",
    "patch_of",
]

LONGEST_LINE = 1 << 12
"""Pixels of the longest line, unless a single row is longer: little enough for the cache."""

_DENSE = 16  # pixels of the box per pixel of the part

Ints = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """The runs of a plane, part by part, in raster order within a part.

    Attributes
    ----------
    shape
        Rows and columns of the plane.
    first
        int32 (parts + 1): part k has the runs ``first[k]`` to ``first[k + 1] - 1``.
    spans
        int32 (runs, 3): row, first column and the one after the last.
    run
        int32 (runs): the number of each in the plane.
    box
        int32 (parts, 4): first row and column, and those after the last.
    """

    shape: tuple[int, int]
    first: Ints
    spans: Ints
    run: Ints
    box: Ints

    def __len__(self) -> int:
        return len(self.box)

    def patch_sizes(self, gap: int) -> npt.NDArray[np.int64]:
        """Return the length of each part's patch, with `gap` pixels between rows."""
        height, width = (self.box[:, 2:] - self.box[:, :2]).astype(np.int64).T
        sizes: npt.NDArray[np.int64] = (height + 2 * gap) * (width + gap) + gap
        return sizes + 2 * PIXELS  # the last vector of a run reaches beyond it

    @property
    def area(self) -> npt.NDArray[np.int64]:
        """Pixels of each part, which has at least one run."""
        lengths = (self.spans[:, 2] - self.spans[:, 1]).astype(np.int64)
        return np.add.reduceat(lengths, self.first[:-1]) if len(self) else lengths


class Patch(NamedTuple):
    """Where a part lies: pixel (y, x) of the plane is ``buffer[origin + y · stride + x]``.

    Attributes
    ----------
    gap
        Pixels between the end of a row and the begin of the next, at least 1, and rows above and
        below; they are 0.
    y0, x0, y1, x1
        Box of the part.
    height, width
        Of the plane.
    """

    origin: Any
    stride: Any
    gap: Any
    y0: Any
    x0: Any
    y1: Any
    x1: Any
    height: Any
    width: Any


def parts_of_runs(runs: Runs, part: Ints, n: int) -> Parts:
    """Return the runs by part; `part` says which, 0 … n − 1, each run belongs to."""
    parts = Parts(
        runs.shape,
        np.zeros(n + 2, np.int32),
        np.empty((len(runs), 3), np.int32),
        np.empty(len(runs), np.int32),
        np.empty((n, 4), np.int32),
    )
    parts.box[:, :2] = np.iinfo(np.int32).max
    parts.box[:, 2:] = 0
    _sort(runs.row, runs.start, runs.stop, part, parts.first, parts.spans, parts.run, parts.box)
    parts.box[:, :2] = np.minimum(parts.box[:, :2], parts.box[:, 2:])  # 0 where there is none
    return Parts(parts.shape, parts.first[:-1], parts.spans, parts.run, parts.box)


@compiled
def patch_of(box: Any, height: int, width: int, gap: int) -> Patch:
    """Return where a part lies in its patch."""
    y0, x0, y1, x1 = np.int64(box[0]), np.int64(box[1]), np.int64(box[2]), np.int64(box[3])
    stride = x1 - x0 + gap
    origin = gap + gap * stride - x0 - y0 * stride
    return Patch(origin, stride, gap, y0, x0, y1, x1, height, width)


@compiled
def lines_of(spans: Any, patch: Patch, lines: Any) -> Any:
    """Set the lines that cover a part, and return how many there are.

    Parameters
    ----------
    spans
        int32 (runs, 3): row, start, stop.
    patch
        Where they lie.
    lines
        int64 (at least as many as runs and rows, 2): begin and length of each, in the patch.
    """
    area = 0
    for j in range(spans.shape[0]):
        area += spans[j, 2] - spans[j, 1]
    height, stride = patch.y1 - patch.y0, patch.stride
    if height * stride > _DENSE * (area + patch.gap * height):
        for j in range(spans.shape[0]):
            lines[j, 0] = patch.origin + spans[j, 0] * stride + spans[j, 1]
            lines[j, 1] = spans[j, 2] - spans[j, 1]
        return spans.shape[0]
    rows = max(1, LONGEST_LINE // stride)
    n = 0
    for y in range(0, height, rows):
        lines[n, 0] = patch.gap + (y + patch.gap) * stride
        lines[n, 1] = min(rows, height - y) * stride - patch.gap
        n += 1
    return n


@compiled
def ends(spans: Any, j: int, patch: Patch) -> Any:
    """Return where run `j` begins and ends in the patch."""
    row = patch.origin + spans[j, 0] * patch.stride
    return row + spans[j, 1], row + spans[j, 2]


@compiled
def clear(lines: Any, plane: Any) -> None:
    """Set the pixels of a part back to 0."""
    for i in range(lines.shape[0]):
        plane[lines[i, 0] : lines[i, 0] + lines[i, 1]] = 0


@compiled
def _sort(
    row: Any, start: Any, stop: Any, part: Any, first: Any, spans: Any, run: Any, box: Any
) -> None:
    # Counted two places on, so that `first` is right once each run has moved its part's end.
    for i in range(part.size):
        first[part[i] + 2] += 1
    for k in range(2, first.size):
        first[k] += first[k - 1]
    for y in range(row.size - 1):
        for i in range(row[y], row[y + 1]):
            k = part[i]
            at = first[k + 1]
            first[k + 1] += 1
            spans[at, 0], spans[at, 1], spans[at, 2] = y, start[i], stop[i]
            run[at] = i
            box[k, 0] = min(box[k, 0], y)
            box[k, 1] = min(box[k, 1], start[i])
            box[k, 2] = y + 1
            box[k, 3] = max(box[k, 3], stop[i])
