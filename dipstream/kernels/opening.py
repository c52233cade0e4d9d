"""Objects without what is thinner than a disk: opening, each object by itself.

A disk lies within an object where the distance to what is not the object is larger than its
radius. What lies beyond the border of the plane is no obstacle.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dipstream.compiled import compiled
from dipstream.kernels.distance import (
    DEEPEST,
    deep_distance,
    deep_kind,
    distance_room,
    shallow_distance,
)
from dipstream.kernels.patches import Patch, clear, lines_of, parts_of_runs, patch_of
from dipstream.kernels.runs import LabelledRuns, Runs
from dipstream.kernels.workspace import workspace

__all__ = ["opened"]

Ints = npt.NDArray[np.int32]

_GAP = 1


def opened(runs: Runs, part: Ints, radius: int) -> LabelledRuns:
    """Return the pixels that a disk covers while it lies wholly within one part.

    Parameters
    ----------
    runs
        The foreground.
    part
        The part, 0 … n − 1, that each run belongs to.
    radius
        Of the disk, in px: (dy² + dx²) ≤ radius².

    Returns
    -------
    What is left of each run, under the number of its part + 1.
    """
    # Larger than any distance is large enough, but for a plane without background.
    radius = min(radius, sum(runs.shape) - 1)
    parts = parts_of_runs(runs, part, int(part.max(initial=-1)) + 1)
    sizes = parts.patch_sizes(_GAP)
    size = int(sizes.max(initial=0))
    take = workspace().take
    room = _Room(
        shallow=take("opening.shallow", size, np.uint16),
        deep=take("opening.deep", size, deep_kind(runs.shape)),
        kept=take("opening.kept", size, np.bool_),
        lines=take("opening.lines", (max(len(runs), runs.shape[0]), 2), np.int64),
        for_distance=distance_room(runs.shape),
    )
    room.shallow[:], room.kept[:] = 0, False
    most = (runs.area + len(runs)) // 2
    start, stop = (take(f"opening.{name}", most, np.int32) for name in ("start", "stop"))
    out = _Out(start, stop, np.zeros(len(runs), np.int32))
    arrays = (parts.first, parts.spans, parts.run, parts.box, sizes)
    _open_parts(*arrays, runs.shape, radius, room, out)
    begin = np.zeros(len(runs) + 1, np.int32)
    np.cumsum(out.per_run, out=begin[1:])
    start, stop, label = (np.empty(int(begin[-1]), np.int32) for _ in range(3))
    _place(parts.run, begin, part, out, start, stop, label)
    return LabelledRuns(Runs(runs.shape, begin[runs.row], start, stop), label)


class _Room(NamedTuple):
    """Buffers for one part at a time."""

    shallow: Any
    deep: Any
    kept: Any
    lines: Any
    for_distance: Any


class _Out(NamedTuple):
    """Pieces of runs, part by part, and how many of them each run has become."""

    start: Any
    stop: Any
    per_run: Any


@compiled
def _open_parts(
    first: Any,
    spans: Any,
    run: Any,
    box: Any,
    sizes: Any,
    shape: Any,
    radius: int,
    room: Any,
    out: Any,
) -> None:
    n = 0
    for k in range(first.size - 1):
        own, runs = spans[first[k] : first[k + 1]], run[first[k] : first[k + 1]]
        if runs.size == 0:
            continue
        patch = patch_of(box[k], shape[0], shape[1], _GAP)
        lines = room.lines[: lines_of(own, patch, room.lines)]
        deepest = shallow_distance(own, patch, lines, room.shallow, room.for_distance)
        if deepest >= DEEPEST**2:
            room.deep[: sizes[k]] = 0
            deep_distance(own, patch, room.deep, room.for_distance)
            n = _open(own, runs, patch, radius, room.deep, room.kept, out, n)
        elif deepest > radius * radius:
            n = _open(own, runs, patch, radius, room.shallow, room.kept, out, n)
        clear(lines, room.shallow)
        clear(lines, room.kept)


@compiled
def _open(
    spans: Any, runs: Any, patch: Patch, radius: int, field: Any, kept: Any, out: Any, n: int
) -> int:
    """Mark all disks that lie within a part, then keep of its runs what is marked."""
    for j in range(runs.size):
        y, p = np.int64(spans[j, 0]), patch.origin + spans[j, 0] * patch.stride
        x, end = np.int64(spans[j, 1]), np.int64(spans[j, 2])
        while x < end:
            first = x
            while x < end and field[p + x] > radius * radius:
                x += 1
            if x > first:
                _mark(y, first, x, radius, patch, kept)
            x += 1
    for j in range(runs.size):
        p = patch.origin + spans[j, 0] * patch.stride
        x, end, before = np.int64(spans[j, 1]), np.int64(spans[j, 2]), n
        while x < end:
            first = x
            while x < end and kept[p + x]:
                x += 1
            if x > first:
                out.start[n], out.stop[n] = first, x
                n += 1
            x += 1
        out.per_run[runs[j]] = n - before
    return n


@compiled
def _mark(y: Any, start: Any, stop: Any, radius: int, patch: Patch, kept: Any) -> None:
    """Mark the disks around pixels of a row; all of them that is in the plane is in the part."""
    for other in range(max(y - radius, 0), min(y + radius + 1, patch.height)):
        half = int(math.sqrt(radius**2 - (other - y) ** 2))
        p = patch.origin + other * patch.stride
        kept[p + max(start - half, 0) : p + min(stop + half, patch.width)] = True


@compiled
def _place(run: Any, begin: Any, part: Any, out: Any, start: Any, stop: Any, label: Any) -> None:
    n = 0
    for i in run:
        for at in range(begin[i], begin[i + 1]):
            start[at], stop[at], label[at] = out.start[n], out.stop[n], part[i] + 1
            n += 1
