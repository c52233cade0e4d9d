"""The exact squared Euclidean distance to the background, in integers, of one part after another.

Separable (Saito & Toriwaki, Pattern Recognition 27, 1994): first the distance within each column,
then for each pixel the least sum of squares along its row. The border of the plane is no
background. Both steps stay within the part's runs: what lies behind background is never nearer.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dipstream.compiled import compiled
from dipstream.kernels.components import components
from dipstream.kernels.patches import (
    LONGEST_LINE,
    Patch,
    clear,
    ends,
    lines_of,
    parts_of_runs,
    patch_of,
)
from dipstream.kernels.pixel_lanes import PIXELS, farther, least_sums, lower_by_farther
from dipstream.kernels.runs import Runs
from dipstream.kernels.workspace import workspace

__all__ = [
    "DEEPEST",
    "DistanceRoom",
    "deep_distance",
    "deep_kind",
    "distance_room",
    "shallow_distance",
    "squared_distance",
]

DEEPEST = 180
"""Below this depth squares, and sums of two of them, fit into 16 bits."""
_SIDE = DEEPEST + PIXELS  # how far beyond the ends of a line is read
_GAP = 1


def deep_kind(shape: tuple[int, int]) -> npt.DTypeLike:
    """Return an integer that holds every squared distance of a plane."""
    return np.int32 if sum(shape) ** 2 <= np.iinfo(np.int32).max else np.int64


def squared_distance(runs: Runs) -> npt.NDArray[np.integer[Any]]:
    """Return the squared distance of each pixel to the nearest background pixel.

    Where a plane has no background it is (rows + columns)², more than any distance.

    Returns
    -------
    int32 (y, x), 0 in the background; int64 where 32 bits do not hold them.
    """
    region = components(runs)
    parts = parts_of_runs(runs, region, int(region.max(initial=-1)) + 1)
    kind = deep_kind(runs.shape)
    distance = np.zeros(runs.shape, kind)
    size = int(parts.patch_sizes(_GAP).max(initial=0))
    take = workspace().take
    shallow = take("distance.shallow", size, np.uint16)
    deep = take("distance.deep", size, kind)
    shallow[:], deep[:] = 0, 0
    room = distance_room(runs.shape)
    lines = take("distance.lines", (len(runs), 2), np.int64)
    _measure(parts.first, parts.spans, parts.box, shallow, deep, lines, room, distance)
    return distance


class DistanceRoom(NamedTuple):
    """What the distance is computed in."""

    line: Any
    best: Any
    envelope: Any


def distance_room(shape: tuple[int, int]) -> DistanceRoom:
    """Return room for the parts of a plane, from the workspace of the thread."""
    take = workspace().take
    longest = max(shape[1], LONGEST_LINE)
    return DistanceRoom(
        line=take("distance.line", longest + 2 * _SIDE, np.uint16),
        best=take("distance.best", longest + PIXELS, np.uint16),
        envelope=take("distance.envelope", (3, shape[1] + 2), np.int64),
    )


@compiled
def _measure(
    first: Any,
    spans: Any,
    box: Any,
    shallow: Any,
    deep: Any,
    lines: Any,
    room: Any,
    distance: Any,
) -> None:
    height, width = distance.shape
    for k in range(first.size - 1):
        own = spans[first[k] : first[k + 1]]
        patch = patch_of(box[k], height, width, _GAP)
        some = lines[: lines_of(own, patch, lines)]
        if shallow_distance(own, patch, some, shallow, room) < DEEPEST**2:
            _copy(own, patch, shallow, distance)
        else:
            deep_distance(own, patch, deep, room)
            _copy(own, patch, deep, distance)
            clear(some, deep)
        clear(some, shallow)


@compiled
def _copy(spans: Any, patch: Patch, field: Any, distance: Any) -> None:
    for j in range(spans.shape[0]):
        y, a, b = spans[j, 0], spans[j, 1], spans[j, 2]
        p = patch.origin + y * patch.stride
        distance[y, a:b] = field[p + a : p + b]


@compiled
def shallow_distance(spans: Any, patch: Patch, lines: Any, field: Any, room: Any) -> Any:
    """Compute the squared distance of a part that is less than `DEEPEST` px deep.

    Parameters
    ----------
    spans
        int32 (runs, 3): row, start, stop.
    patch, lines
        Where they lie; see `lines_of`.
    field
        uint16: the patch, all 0 before; the squared distance after.
    room
        See `distance_room`.

    Returns
    -------
    The largest squared distance; from ``DEEPEST²`` on the part is too deep, and `field` is void.
    """
    _columns_shallow(spans, patch, field)
    if patch.x0 == 0 or patch.x1 == patch.width:
        return _rows_at_border(spans, patch, field, room)
    most = np.uint16(0)
    for i in range(lines.shape[0]):
        pixels = field[lines[i, 0] : lines[i, 0] + lines[i, 1]]
        most = max(most, _row_sums(pixels, np.uint16(0), np.uint16(0), room))
        if most >= DEEPEST**2:
            break
    return most


@compiled
def _row_sums(pixels: Any, left: Any, right: Any, room: Any) -> Any:
    """Replace the distances of a line by the least sums of squares; return the largest.

    Beside it the squares are `left` and `right`.
    """
    n = pixels.size
    line = room.line[: n + 2 * _SIDE]
    squares = line[_SIDE : _SIDE + n]
    for x in range(n):
        squares[x] = pixels[x] * pixels[x]
    line[:_SIDE], line[_SIDE + n :] = left, right
    for x in range(0, n, PIXELS):
        least_sums(line, _SIDE + x, room.best, x)
    pixels[:] = room.best[:n]
    return _largest(pixels)


@compiled
def _largest(values: Any) -> Any:
    most = np.uint16(0)
    for i in range(values.size):
        most = max(most, values[i])
    return most


@compiled
def _rows_at_border(spans: Any, patch: Patch, field: Any, room: Any) -> Any:
    """Do the same run by run, where what lies beyond the border of the plane is far away."""
    most, zero, far = np.uint16(0), np.uint16(0), np.uint16(DEEPEST**2)
    for j in range(spans.shape[0]):
        a, b = np.int64(spans[j, 1]), np.int64(spans[j, 2])
        p = patch.origin + spans[j, 0] * patch.stride
        left, right = far if a == 0 else zero, far if b == patch.width else zero
        most = max(most, _row_sums(field[p + a : p + b], left, right, room))
        if most >= far:
            break
    return most


@compiled
def _columns_shallow(spans: Any, patch: Patch, field: Any) -> None:
    """Set the distance along columns: down from what is above, up from what is below.

    Vectors reach beyond the end of a run. In the background there the way up finds 0 and leaves
    it; the way down clears it: nothing that comes later in raster order is set yet.
    """
    n = spans.shape[0]
    _set_margins(patch, field, DEEPEST)
    for j in range(n):
        first, last = ends(spans, j, patch)
        for p in range(first, last, PIXELS):
            farther(field, p - patch.stride, DEEPEST, p)
        field[last : last + PIXELS] = 0
    _set_margins(patch, field, DEEPEST)
    for j in range(n - 1, -1, -1):
        first, last = ends(spans, j, patch)
        for p in range(first, last, PIXELS):
            lower_by_farther(field, p + patch.stride, p)
    _set_margins(patch, field, 0)


@compiled
def _set_margins(patch: Patch, field: Any, number: Any) -> None:
    """Set the rows above and below a part to a number, where they are beyond the plane."""
    row = patch.origin + (patch.y0 - 1) * patch.stride
    if patch.y0 == 0:
        field[row + patch.x0 : row + patch.x1] = number
    row = patch.origin + patch.y1 * patch.stride
    if patch.y1 == patch.height:  # and all that is below of what a vector reaches
        field[row + patch.x0 : row + patch.x1 + PIXELS] = number


@compiled
def deep_distance(spans: Any, patch: Patch, field: Any, room: Any) -> None:
    """Compute the squared distance of a part of any depth, in a time linear in its pixels.

    Along rows by the lower envelope of parabolas (Meijster, Roerdink & Hesselink, Mathematical
    Morphology and its Applications to Image and Signal Processing, 2000).

    Parameters
    ----------
    spans
        int32 (runs, 3): row, start, stop.
    patch
        Where they lie.
    field
        `deep_kind`: the patch, all 0 before; the squared distance after.
    room
        See `distance_room`.
    """
    _columns_deep(spans, patch, field)
    for j in range(spans.shape[0]):
        a, b = np.int64(spans[j, 1]), np.int64(spans[j, 2])
        p = patch.origin + spans[j, 0] * patch.stride
        squares = room.envelope[0]
        n = 0
        if a > 0:
            squares[0] = 0
            n = 1
        for x in range(p + a, p + b):
            squares[n] = np.int64(field[x]) * field[x]
            n += 1
        if b < patch.width:
            squares[n] = 0
            n += 1
        run = field[p + a : p + b]
        _lower_envelope(squares[:n], room.envelope[1], room.envelope[2], run, 1 if a > 0 else 0)


@compiled
def _columns_deep(spans: Any, patch: Patch, field: Any) -> None:
    far, one = np.int32(patch.height + patch.width), np.int32(1)
    n, stride = spans.shape[0], patch.stride
    for j in range(n):
        p = patch.origin + spans[j, 0] * stride + spans[j, 1]
        m = spans[j, 2] - spans[j, 1]
        here, above = field[p : p + m], field[p - stride : p - stride + m]
        if spans[j, 0] == 0:
            for x in range(m):
                here[x] = far
        else:
            for x in range(m):
                here[x] = min(np.int32(above[x] + one), far)
    for j in range(n - 1, -1, -1):
        if spans[j, 0] == patch.height - 1:
            continue
        p = patch.origin + spans[j, 0] * stride + spans[j, 1]
        m = spans[j, 2] - spans[j, 1]
        here, below = field[p : p + m], field[p + stride : p + stride + m]
        for x in range(m):
            here[x] = min(here[x], np.int32(below[x] + one))


@compiled
def _lower_envelope(squares: Any, vertex: Any, begin: Any, run: Any, shift: int) -> None:
    """Set ``run[x]`` to the least ``squares[u] + (x + shift - u)²``.

    Parabola ``vertex[k]`` is the lowest from ``begin[k]`` on.
    """
    k = 0
    vertex[0], begin[0] = 0, 0
    for u in range(1, squares.size):
        while k >= 0:
            x, v = begin[k], vertex[k]
            if squares[v] + (x - v) ** 2 <= squares[u] + (x - u) ** 2:
                break
            k -= 1
        if k < 0:
            k = 0
            vertex[0] = u
        else:
            v = vertex[k]
            # The new one is lower beyond here; never negative, the one before won at begin[k].
            x = 1 + (u * u - v * v + squares[u] - squares[v]) // (2 * (u - v))
            if x < squares.size:
                k += 1
                vertex[k], begin[k] = u, x
    for u in range(squares.size - 1, -1, -1):
        x = u - shift
        if 0 <= x < run.size:
            run[x] = squares[vertex[k]] + (u - vertex[k]) ** 2
        if u == begin[k]:
            k -= 1
