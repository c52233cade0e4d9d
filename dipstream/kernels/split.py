"""Foreground cut into objects at its necks, one region after the other.

distance → levels → ascent → basins → saddles → runs of objects. Most regions have a single top and
are through after the ascent.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dipstream.compiled import compiled
from dipstream.kernels.basins import climb, flow
from dipstream.kernels.cleaning import renumbered
from dipstream.kernels.components import components
from dipstream.kernels.distance import (
    DEEPEST,
    DistanceRoom,
    deep_distance,
    deep_kind,
    distance_room,
    shallow_distance,
)
from dipstream.kernels.parallel import share
from dipstream.kernels.patches import (
    LONGEST_LINE,
    Parts,
    Patch,
    clear,
    lines_of,
    parts_of_runs,
    patch_of,
)
from dipstream.kernels.pixel_lanes import PIXELS
from dipstream.kernels.relief import LEVELS_PER_PX, half_of, shallow_levels, smooth, to_levels
from dipstream.kernels.runs import LabelledRuns, Runs
from dipstream.kernels.saddles import join
from dipstream.kernels.workspace import workspace

__all__ = ["label", "split"]

Ints = npt.NDArray[np.int32]

_LEAST_REGIONS = 64
_PIECES = 1 << 20
_HIGHEST_RISE = 1 << 30
_WIDEST_GAP = 32


class _Kinds(NamedTuple):
    """The integers that a region's pixels are kept in."""

    distance: npt.DTypeLike
    level: npt.DTypeLike
    sum: npt.DTypeLike
    basin: npt.DTypeLike


_SMALL = _Kinds(np.uint16, np.int16, np.int32, np.uint16)
_MOST_BASINS = np.iinfo(np.uint16).max
_WIDEST_STRIDE = np.iinfo(np.int16).max - 1


def _large(shape: tuple[int, int]) -> _Kinds:
    kind = deep_kind(shape)
    return _Kinds(kind, kind, np.int64, np.int32)


class _Room(NamedTuple):
    """Buffers for one region at a time: patches, lines, and what its basins need."""

    distance: Any
    relief: Any
    steps: Any
    basin: Any
    lines: Any
    for_distance: DistanceRoom
    table: Any
    rows: Any
    sums: Any
    once: Any
    twice: Any
    height: Any
    parent: Any
    border: Any
    ways: Any
    count: Any


def label(runs: Runs) -> LabelledRuns:
    """Label 8-connected regions, 1 … n in raster order of their first pixels."""
    return LabelledRuns(runs, components(runs) + np.int32(1))


def split(runs: Runs, weights: npt.NDArray[np.integer[Any]], least_rise: int) -> LabelledRuns:
    """Label objects, 1 … n in raster order of their first pixels.

    Parameters
    ----------
    runs
        The foreground.
    weights
        Symmetric, of sum 4096: the distance, in 1/64 px, is smoothed with them.
    least_rise
        By how many levels an object's top rises above the neck to a higher one.
    """
    if runs.area == runs.shape[0] * runs.shape[1]:  # no background to measure from
        return label(runs)
    region = components(runs)
    parts = parts_of_runs(runs, region, int(region.max(initial=-1)) + 1)
    cut = _Cut(parts, half_of(weights), min(least_rise, _HIGHEST_RISE))
    share(len(parts), cut.regions, least=_LEAST_REGIONS)
    return cut.assembled(runs)


class _Regions(NamedTuple):
    """`Parts`, as kernels take them."""

    first: Any
    spans: Any
    run: Any
    box: Any
    height: int
    width: int
    gap: int


class _Work(NamedTuple):
    """What is to be done with each region: see `split`."""

    weights: Any
    least_rise: int


class _Out(NamedTuple):
    """Where pieces go, and how many of them each run has become."""

    stop: Any
    number: Any
    per_run: Any


@dataclass(frozen=True, slots=True, eq=False)
class _Pieces:
    """Runs cut up between objects, region by region, in raster order within each.

    Attributes
    ----------
    which
        The regions.
    stop, number
        Where a piece ends, and the object that it belongs to, 0 … objects − 1.
    """

    which: Ints
    stop: Ints
    number: Ints
    objects: int


class _Cut:
    """Regions of a frame on their way to objects."""

    def __init__(self, parts: Parts, weights: Ints, least_rise: int) -> None:
        self._parts = parts
        # Rows of a patch are smoothed as one line: they must not reach one another.
        gap = min(max(len(weights) - 1, 1), _WIDEST_GAP)
        self._runs = _Regions(parts.first, parts.spans, parts.run, parts.box, *parts.shape, gap)
        self._work = _Work(weights, least_rise)
        self._area, self._size = parts.area, parts.patch_sizes(gap)
        self._per_run = np.zeros(len(parts.run), np.int32)
        self._too_large = np.zeros(len(parts), np.bool_)
        self._found: list[_Pieces] = []

    def regions(self, first: int, last: int) -> None:
        """Cut regions `first` to `last` − 1."""
        if first == last:
            return
        which = np.arange(first, last, dtype=np.int32)
        before = np.cumsum(self._area[which]) - self._area[which]
        # So many at a time that their pieces fit, one for each pixel at worst.
        for some in np.split(which, 1 + np.flatnonzero(np.diff(before // _PIECES))):
            self._cut(some, large=False)
        for one in which[self._too_large[which]]:
            self._cut(np.array([one], np.int32), large=True)

    def _cut(self, which: Ints, large: bool) -> None:
        take = workspace().take
        most = int(self._area[which].sum())
        stop, number = (take(f"split.{name}", most, np.int32) for name in ("stop", "number"))
        out = _Out(stop, number, self._per_run)
        if large:
            room = self._room(which, _large(self._parts.shape))
            n, objects = _cut_large(which, self._runs, self._work, room, out)
        else:
            room = self._room(which, _SMALL)
            n, objects = _cut_small(which, self._runs, self._work, room, out, self._too_large)
            which = which[~self._too_large[which]]
        self._found.append(_Pieces(which, stop[:n].copy(), number[:n].copy(), objects))

    def _room(self, which: Ints, kinds: _Kinds) -> _Room:
        take = workspace().take
        height, width = self._parts.shape
        size, area = int(self._size[which].max()), int(self._area[which].max())
        deepest = DEEPEST if kinds is _SMALL else height + width
        longest = max(LONGEST_LINE, width + 2 * len(self._work.weights)) + PIXELS
        room = _Room(
            distance=take("split.distance", size, kinds.distance),
            relief=take("split.relief", size, kinds.level),
            steps=take("split.steps", size, kinds.level),
            basin=take("split.basin", size, kinds.basin),
            lines=take("split.lines", (len(self._parts.run), 2), np.int64),
            for_distance=distance_room(self._parts.shape),
            table=shallow_levels(),
            rows=take("split.rows", (2, len(self._work.weights)), np.int64),
            sums=take("split.sums", (2, longest), kinds.sum),
            once=take("split.once", longest + 2 * _WIDEST_GAP, kinds.level),
            twice=take("split.twice", longest, kinds.level),
            height=take("split.height", area + 1, np.int32),
            parent=take("split.parent", area + 1, np.int32),
            border=take("split.border", area + 1, np.int32),
            ways=take("split.ways", 4 * area, np.int32),
            count=take("split.count", LEVELS_PER_PX * deepest + 4, np.int32),
        )
        for buffer in (room.distance, room.relief, room.basin):
            buffer[:] = 0
        return room

    def assembled(self, runs: Runs) -> LabelledRuns:
        """Return the pieces of all regions in raster order."""
        begin = np.zeros(len(runs) + 1, np.int32)
        np.cumsum(self._per_run, out=begin[1:])
        start, stop, labels = (np.empty(int(begin[-1]), np.int32) for _ in range(3))
        objects = 1
        for some in self._found:
            _place(
                some.which,
                self._parts.first,
                self._parts.run,
                begin,
                runs.start,
                some.stop,
                some.number,
                objects,
                start,
                stop,
                labels,
            )
            objects += some.objects
        return renumbered(LabelledRuns(Runs(runs.shape, begin[runs.row], start, stop), labels))


@compiled
def _cut_small(which: Any, parts: Any, work: Any, room: Any, out: Any, too_large: Any) -> Any:
    """Set the pieces of some regions; return how many they are, and the number of objects.

    Regions that are too deep or too wide for 16 bits, or have too many tops, are marked and left
    out.
    """
    n, objects = 0, 0
    levels = room.distance.view(np.int16)
    for k in which:
        own, runs, patch = _region(parts, k)
        too_large[k] = patch.stride > _WIDEST_STRIDE
        if too_large[k]:
            continue
        lines = room.lines[: lines_of(own, patch, room.lines)]
        deepest = shallow_distance(own, patch, lines, room.distance, room.for_distance)
        too_large[k] = deepest >= DEEPEST**2
        if not too_large[k]:
            tops = _climb(own, patch, lines, work, room, levels)
            too_large[k] = tops > _MOST_BASINS
            if not too_large[k]:
                n, objects = _cut_at_necks(
                    own, runs, patch, lines, tops, work, room, out, n, objects
                )
            clear(lines, room.relief)
        clear(lines, room.distance)
    return n, objects


@compiled
def _cut_large(which: Any, parts: Any, work: Any, room: Any, out: Any) -> Any:
    """Do the same with regions of any size."""
    n, objects = 0, 0
    for k in which:
        own, runs, patch = _region(parts, k)
        lines = room.lines[: lines_of(own, patch, room.lines)]
        deep_distance(own, patch, room.distance, room.for_distance)
        tops = _climb(own, patch, lines, work, room, room.distance)
        n, objects = _cut_at_necks(own, runs, patch, lines, tops, work, room, out, n, objects)
        clear(lines, room.relief)
        clear(lines, room.distance)
    return n, objects


@compiled
def _region(parts: Any, k: int) -> Any:
    first, last = parts.first[k], parts.first[k + 1]
    patch = patch_of(parts.box[k], parts.height, parts.width, parts.gap)
    return parts.spans[first:last], parts.run[first:last], patch


@compiled
def _climb(spans: Any, patch: Patch, lines: Any, work: Any, room: Any, levels: Any) -> int:
    """Make the relief of a region whose squared distance is known; return how many tops it has.

    `levels` is where the distance is, of the type of levels.
    """
    to_levels(lines, room.distance, room.table)
    smooth(spans, patch, lines, work.weights, levels, room.relief, room)
    return climb(patch, lines, room.relief, room.steps)


@compiled
def _cut_at_necks(
    spans: Any,
    runs: Any,
    patch: Patch,
    lines: Any,
    tops: int,
    work: Any,
    room: Any,
    out: Any,
    n: int,
    objects: int,
) -> Any:
    """Cut a region whose tops are known; return how many pieces and objects there are.

    `n` and `objects` are those of the regions before.
    """
    if tops == 1:
        return _whole(spans, runs, out, n, objects)
    basins = _join_basins(spans, patch, lines, room, work.least_rise)
    known = room.height[: basins + 1]
    n, objects = _cut_runs(spans, runs, patch, room.basin, room.parent, known, out, n, objects)
    clear(lines, room.basin)
    return n, objects


@compiled
def _join_basins(spans: Any, patch: Patch, lines: Any, room: Any, least_rise: int) -> int:
    """Set the basins of a region, and which of them are one; return how many there are."""
    n = flow(spans, patch, room.relief, room.steps, room.basin, room.height)
    join(
        patch,
        lines,
        room.relief,
        room.basin,
        room.height,
        least_rise,
        room.border,
        room.ways,
        room.count,
        room.parent[: n + 1],
    )
    return n


@compiled
def _whole(spans: Any, runs: Any, out: Any, n: int, objects: int) -> Any:
    """Make every run one piece of one object."""
    for j in range(runs.size):
        out.stop[n], out.number[n] = spans[j, 2], objects
        out.per_run[runs[j]] = 1
        n += 1
    return n, objects + 1


@compiled
def _cut_runs(
    spans: Any,
    runs: Any,
    patch: Patch,
    basin: Any,
    parent: Any,
    known: Any,
    out: Any,
    n: int,
    objects: int,
) -> Any:
    """Cut runs where the object changes; `known` takes the number of each basin's object."""
    known[:] = -1
    for j in range(runs.size):
        p = patch.origin + spans[j, 0] * patch.stride
        before = n
        x, b = np.int64(spans[j, 1]), np.int64(spans[j, 2])
        while x < b:
            here = basin[p + x]
            own = parent[here]
            x += 1
            while x < b and (basin[p + x] == here or parent[basin[p + x]] == own):
                x += 1
            if known[own] < 0:
                known[own] = objects
                objects += 1
            out.stop[n], out.number[n] = x, known[own]
            n += 1
        out.per_run[runs[j]] = n - before
    return n, objects


@compiled
def _place(
    which: Any,
    first: Any,
    run: Any,
    begin: Any,
    run_start: Any,
    piece_stop: Any,
    piece_number: Any,
    objects: int,
    start: Any,
    stop: Any,
    labels: Any,
) -> None:
    """Put the pieces of some regions where their runs lie; labels from `objects` on."""
    n = 0
    for k in which:
        for j in range(first[k], first[k + 1]):
            i = run[j]
            x = run_start[i]
            for at in range(begin[i], begin[i + 1]):
                start[at], stop[at] = x, piece_stop[n]
                labels[at] = objects + piece_number[n]
                x = piece_stop[n]
                n += 1
