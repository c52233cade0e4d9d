"""Which object belongs to which track: the cheapest assignment among near pairs."""

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from dipstream.compiled import compiled
from dipstream.kernels.near_pairs import near_pairs

__all__ = ["assign", "each_once"]

Indices: TypeAlias = npt.NDArray[np.int64]

_UNSEEN, _WAITING, _PASSED = 0, 1, 2


def assign(
    tracks_px: npt.NDArray[np.float64],
    objects_px: npt.NDArray[np.float64],
    gate_px: float,
    no_link_cost: float,
) -> tuple[Indices, Indices]:
    """Return the indices of linked tracks and of their objects, in the order of tracks.

    The links minimise Σ distance² / gate² + `no_link_cost` · (tracks without an object) over all
    one-to-one links not longer than the gate. Where several assignments cost the same, which one
    is returned depends on nothing but the positions and their order.

    Parameters
    ----------
    tracks_px, objects_px
        Positions (n, 2) and (m, 2), in px.
    gate_px
        Largest distance of a link, in px.
    no_link_cost
        Cost of a track without an object; at least 1, the cost of the longest link.

    Raises
    ------
    StepError
        See `near_pairs`.
    """
    first, to, squared_px = near_pairs(tracks_px, objects_px, gate_px)
    object_of = _assign(first, to, squared_px, gate_px * gate_px, len(objects_px), no_link_cost)
    linked = np.flatnonzero(object_of >= 0)
    return linked, object_of[linked]


@compiled
def each_once(one: Any, other: Any) -> Any:
    """Go through pairs and keep those of which neither member is in a pair that was kept before.

    Parameters
    ----------
    one, other
        The members of each pair, int64 (n,), numbered from 0.

    Returns
    -------
    numpy.ndarray
        Which pairs are kept: bool (n,).
    """
    kept = np.zeros(one.shape[0], np.bool_)
    if one.shape[0] == 0:
        return kept
    taken_one = np.zeros(one.max() + 1, np.bool_)
    taken_other = np.zeros(other.max() + 1, np.bool_)
    for k in range(one.shape[0]):
        if not taken_one[one[k]] and not taken_other[other[k]]:
            taken_one[one[k]] = taken_other[other[k]] = kept[k] = True
    return kept


@compiled
def _assign(
    first: Any, to: Any, squared: Any, gate_squared: float, m: int, no_link_cost: float
) -> Any:
    """Return the object of each track, −1 for none.

    Successive shortest augmenting paths with potentials of the objects (Jonker and Volgenant,
    Computing 38 (1987) 325), on the sparse graph. Most tracks get their nearest object at once;
    each of the others looks for its path only among those that compete with it, so that a picture
    costs as much as the crowds in it.
    """
    n = first.shape[0] - 1
    cost = np.empty(to.shape[0], np.float64)
    for pair in range(to.shape[0]):
        # Zero is zero, however small the gate.
        cost[pair] = squared[pair] / gate_squared if squared[pair] > 0.0 else 0.0
    object_of = np.full(n, -1, np.int64)
    paid = np.zeros(n, np.float64)
    track_of = np.full(m, -1, np.int32)
    waiting = _take_nearest(first, to, cost, object_of, paid, track_of)
    potential = np.zeros(m, np.float64)
    # What a search needs of each object: how far it is, from which track and pair, and whether it
    # was seen; and a heap of those that wait.
    far, state = np.empty(m, np.float64), np.zeros(m, np.uint8)
    through, pair_to = np.empty(m, np.int32), np.empty(m, np.int64)
    heap, place, seen = np.empty(m, np.int32), np.empty(m, np.int32), np.empty(m, np.int32)
    search = (far, state, through, pair_to, heap, place, seen)
    for track in waiting:
        _augment(
            track, (first, to, cost, no_link_cost), (object_of, paid, track_of, potential), search
        )
    return object_of


@compiled
def _take_nearest(first: Any, to: Any, cost: Any, object_of: Any, paid: Any, track_of: Any) -> Any:
    """Link each track to its nearest object if that is free; return the tracks that still wait."""
    n = first.shape[0] - 1
    waiting = np.empty(n, np.int32)
    left = 0
    for track in range(n):
        if first[track] == first[track + 1]:
            continue
        best = first[track]
        for pair in range(first[track] + 1, first[track + 1]):
            if cost[pair] < cost[best]:
                best = pair
        if track_of[to[best]] < 0:
            object_of[track] = to[best]
            paid[track] = cost[best]
            track_of[to[best]] = track
        else:
            waiting[left] = track
            left += 1
    return waiting[:left]


@compiled
def _augment(start: int, graph: Any, matching: Any, search: Any) -> None:
    """Give a track its object at the least cost, or leave it or another one without.

    Dijkstra's shortest path from the track, over links that are taken away and given anew, to a
    free object or to a track that is left without one.
    """
    no_link_cost = graph[3]
    object_of, paid, track_of, potential = matching
    far, state, _, _, heap, place, seen = search
    track, offset = start, 0.0
    # The cheapest end so far: the object that is reached, or −1 and the track that goes without.
    end, waiting, met = (no_link_cost, -1, start), 0, 0
    while True:
        end, waiting, met = _look(track, offset, graph, matching, search, end, waiting, met)
        if waiting == 0 or far[heap[0]] >= end[0]:
            break
        passed = heap[0]
        waiting -= 1
        heap[0] = heap[waiting]
        place[heap[0]] = 0
        _sink(heap, place, far, waiting)
        state[passed] = _PASSED
        track = track_of[passed]
        offset = paid[track] - potential[passed] - far[passed]
        if no_link_cost - offset < end[0]:
            end = (no_link_cost - offset, -1, track)
    for one in seen[:met]:
        if state[one] == _PASSED:
            potential[one] += far[one] - end[0]
        state[one] = _UNSEEN
    last_object, last_track = end[1], end[2]
    if last_object < 0 and last_track != start:
        last_object = object_of[last_track]
        object_of[last_track] = -1
    if last_object >= 0:
        _walk_back(start, last_object, graph[2], matching, search)


@compiled
def _look(
    track: int,
    offset: float,
    graph: Any,
    matching: Any,
    search: Any,
    end: Any,
    waiting: int,
    met: int,
) -> Any:
    """Look from a track at its objects: a free one may be the end, others wait in the heap.

    Nothing is put off that is farther away than the end so far.
    """
    first, to, cost, _ = graph
    _, _, track_of, potential = matching
    far, state, through, pair_to, heap, place, seen = search
    for pair in range(first[track], first[track + 1]):
        one = to[pair]
        total = cost[pair] - potential[one] - offset
        if total >= end[0] or state[one] == _PASSED:
            continue
        if track_of[one] < 0:
            end = (total, np.int64(one), -1)
            through[one], pair_to[one] = track, pair
            continue
        if state[one] == _UNSEEN:
            state[one] = _WAITING
            seen[met] = one
            met += 1
            place[one] = waiting
            heap[waiting] = one
            waiting += 1
        elif total >= far[one]:
            continue
        far[one], through[one], pair_to[one] = total, track, pair
        _rise(heap, place, far, place[one])
    return end, waiting, met


@compiled
def _walk_back(start: int, last: int, cost: Any, matching: Any, search: Any) -> None:
    """Hand every object on the path to the track that it was reached from."""
    object_of, paid, track_of, _ = matching
    _, _, through, pair_to, _, _, _ = search
    one = last
    while True:
        track = through[one]
        before = object_of[track]
        object_of[track], track_of[one], paid[track] = one, track, cost[pair_to[one]]
        if track == start:
            return
        one = before


@compiled
def _rise(heap: Any, place: Any, far: Any, at: int) -> None:
    """Move an object up the heap until none above it is farther away."""
    one = heap[at]
    while at > 0:
        above = (at - 1) // 2
        if far[heap[above]] <= far[one]:
            break
        heap[at] = heap[above]
        place[heap[at]] = at
        at = above
    heap[at] = one
    place[one] = at


@compiled
def _sink(heap: Any, place: Any, far: Any, size: int) -> None:
    """Move the first object down the heap until none below it is nearer."""
    at, one = 0, heap[0]
    while True:
        below = 2 * at + 1
        if below >= size:
            break
        if below + 1 < size and far[heap[below + 1]] < far[heap[below]]:
            below += 1
        if far[heap[below]] >= far[one]:
            break
        heap[at] = heap[below]
        place[heap[at]] = at
        at = below
    heap[at] = one
    place[one] = at
