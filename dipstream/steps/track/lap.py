"""Linking by linear assignment: the tracker."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field

from dipstream.errors import StepError
from dipstream.steps.objects import EVENT_KINDS, Links, Objects, TrackEvents
from dipstream.steps.step import State, ordered
from dipstream.steps.track.assignment import NO_LINK_COST
from dipstream.steps.track.divisions import find_divisions
from dipstream.steps.track.sightings import Sightings

__all__ = ["lap"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_START, _LINK, _GAP, _DIVISION = (
    EVENT_KINDS.index(kind) for kind in ("start", "link", "gap", "division")
)


@ordered()
def lap(
    state: State | None,
    objects: Objects,
    *,
    max_distance_px: Annotated[float, Field(gt=0)] = 20.0,
    max_distance_um: Annotated[float, Field(gt=0)] | None = None,
    max_gap: Annotated[int, Field(ge=0, le=1000)] = 1,
    divisions: bool | None = None,
) -> tuple[State, Links]:
    """Link objects to tracks so that the sum of squared distances is smallest.

    A linear assignment after Jaqaman et al., Nat. Methods 5 (2008) 695: a link costs its distance
    squared; a track without an object and an object without a track cost 1.05 times the largest
    distance squared each. Links longer than the largest distance do not exist. Tracks that were
    missed compete with all others in the same assignment, from where they were last seen, at the
    same cost.

    Parameters
    ----------
    state
        What the last image set left, or None for the first.
    objects
        The objects of this set.
    max_distance_px
        Largest distance between two sightings, in px. More than an object moves from set to set,
        less than the distance to its neighbours.
    max_distance_um
        The same in µm; goes before `max_distance_px`. Needs a known pixel size.
    max_gap
        In how many sets in a row an object may be missing and still be linked; 0: none. Sets are
        counted by time point, so that a set that was dropped counts as missed.
    divisions
        Whether a new object can be a daughter: one that appears within the largest distance of
        where a linked track was in the set before, if both have at most 0.9 of its area and the
        smaller at least half the area of the larger. Both daughters become new tracks and the
        mother's ends. Needs the column ``area`` (`shape`). None: if there is one.

    Returns
    -------
    tuple[State, Links]
        The state and, for each object, its track and what happened to it. New tracks are
        numbered from `next_track_id` up in the order of labels; tracks that are given up end in
        the set that shows it.

    Raises
    ------
    StepError
        If `max_distance_um` is given and the pixel size is unknown, if `divisions` is demanded
        without ``area``, or if the time point is not later than the last one.
    """
    from dipstream.kernels.assignment import assign  # noqa: PLC0415 - as in `divisions`

    gate_px = _gate_px(objects, max_distance_px, max_distance_um)
    now = Sightings.of(objects, _areas(objects, divisions))
    before = Sightings.from_state(state)
    _require_later(objects.t, before)
    alive = objects.t - before.t - 1 <= max_gap
    tracks, given_up = before.take(alive), before.track_id[~alive]
    i, j = assign(tracks.yx_px, now.yx_px, gate_px, NO_LINK_COST)
    divided = _divide(tracks, now, (i, j), gate_px)
    linked = _link(tracks, now, (i, j), divided, objects.next_track_id)
    waiting = np.ones(len(tracks.t), dtype=bool)
    waiting[i] = False
    lost = waiting & (objects.t - tracks.t > max_gap)
    ended = np.concatenate([given_up, tracks.track_id[lost], divided.mothers])
    events = TrackEvents.joined(
        TrackEvents.ends(np.sort(ended)), _events(linked, tracks, objects, divided)
    )
    links = Links(linked.now.track_id, events)
    after = linked.now.join(tracks.take(waiting & ~lost))
    if state is not None and len(after.t) == 0 and len(before.t) == 0:
        return state, links
    return after.to_state(), links


@dataclass(frozen=True, slots=True, eq=False)
class _Divided:
    """The ids of the tracks that divided, (k,), and the indices of their daughters, (k, 2)."""

    mothers: Ints
    daughters: Ints


@dataclass(frozen=True, slots=True, eq=False)
class _Linked:
    """The objects with their tracks, and which row of the tracks each came from (−1: none)."""

    now: Sightings
    came_from: Ints


def _link(
    tracks: Sightings,
    now: Sightings,
    links: tuple[Ints, Ints],
    divided: _Divided,
    next_track_id: int,
) -> _Linked:
    came_from = np.full(len(now.t), -1, np.int64)
    came_from[links[1]] = links[0]
    came_from[divided.daughters] = -1
    old = came_from >= 0
    track_id = next_track_id - 1 + np.cumsum(~old)
    track_id[old] = tracks.track_id[came_from[old]]
    return _Linked(Sightings(track_id, now.yx_px, now.t, now.area), came_from)


def _divide(
    tracks: Sightings, now: Sightings, links: tuple[Ints, Ints], gate_px: float
) -> _Divided:
    i, j = links
    unlinked = np.ones(len(now.t), dtype=bool)
    unlinked[j] = False
    if np.isnan(now.area).all():
        return _Divided(np.empty(0, np.int64), np.empty((0, 2), np.int64))
    seen = tracks.t[i] == tracks.t.max(initial=-1)
    i, j = i[seen], j[seen]
    mother, daughter = find_divisions(
        (tracks.yx_px[i], tracks.area[i]),
        (now.yx_px, now.area),
        j,
        np.flatnonzero(unlinked),
        gate_px,
    )
    return _Divided(tracks.track_id[i[mother]], np.stack([j[mother], daughter], axis=1))


def _events(linked: _Linked, tracks: Sightings, objects: Objects, divided: _Divided) -> TrackEvents:
    """Return one event per object, in the order of labels."""
    n, now = len(objects), linked.now
    old = np.flatnonzero(linked.came_from >= 0)
    came_from = linked.came_from[old]
    missed = objects.t - tracks.t[came_from] - 1
    kind, gap, distance_px = np.full(n, _START, np.int8), np.full(n, -1), np.full(n, np.nan)
    kind[old] = np.where(missed > 0, _GAP, _LINK)
    gap[old] = np.where(missed > 0, missed, -1)
    distance_px[old] = np.hypot(*(now.yx_px[old] - tracks.yx_px[came_from]).T)
    parent_id = np.full(n, -1)
    kind[divided.daughters] = _DIVISION
    parent_id[divided.daughters] = divided.mothers[:, None]
    labels = objects.features.get("label", np.arange(1, n + 1))
    return TrackEvents(kind, now.track_id, labels.astype(np.int64), parent_id, gap, distance_px)


def _gate_px(objects: Objects, max_distance_px: float, max_distance_um: float | None) -> float:
    if max_distance_um is None:
        return max_distance_px
    if objects.pixel_um is None:
        raise StepError(
            f"lap: max_distance_um = {max_distance_um} needs the pixel size, which is unknown; "
            "tell it when the run starts (pixel_um), or give max_distance_px"
        )
    return max_distance_um / objects.pixel_um


def _areas(objects: Objects, divisions: bool | None) -> Floats:
    area = objects.features.get("area")
    if divisions and area is None:
        raise StepError("lap: divisions need the column area; add `shape` under measure")
    if area is None or divisions is False:
        return np.full(len(objects), np.nan)
    return np.asarray(area, dtype=np.float64)


def _require_later(t: int, before: Sightings) -> None:
    if len(before.t) and t <= before.t.max():
        raise StepError(
            f"lap: time point {t} comes after time point {before.t.max()}; tracking needs one "
            "image set per time point in order: project z-stacks, or track another run"
        )
