"""Tracking in order: a state for each type of object and place, one numbering for the run."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from dipstream.errors import StepError
from dipstream.frame import SetKey
from dipstream.pipeline import Analysis, Pipeline, StateCell
from dipstream.steps.objects import Links, TrackEvents
from dipstream.steps.step import State

__all__ = ["Linked", "Linker"]

Ints = npt.NDArray[np.int64]


@dataclass(slots=True, eq=False)
class Linked:
    """What tracking adds to an analysed image set.

    Attributes
    ----------
    track_ids
        One number an object, by object type.
    events
        What happened, by object type.
    states
        The trackers' new states, by (step, place).
    """

    track_ids: dict[str, Ints] = field(default_factory=dict)
    events: dict[str, TrackEvents] = field(default_factory=dict)
    states: dict[tuple[str, str], State] = field(default_factory=dict)


class Linker:
    """Calls the trackers and keeps their states; used by the committer's thread alone.

    Parameters
    ----------
    cells
        The states an earlier session of the run has left, by (step, place).
    live_tracks
        Reads from the table, which takes long, the tracks that have not ended, in order, by (object
        type, place). They are needed where a segment ends; a new run knows that it has none.
    tracked_until
        The last time point at each place.
    next_track_id
        The first number that is free.
    """

    def __init__(
        self,
        cells: Mapping[tuple[str, str], StateCell],
        live_tracks: Callable[[], Mapping[tuple[str, str], Ints]],
        tracked_until: Mapping[str, int],
        next_track_id: int,
    ) -> None:
        self._cells = dict(cells)
        self._read_tracks = live_tracks
        self._live_tracks: dict[tuple[str, str], Ints] | None = None if next_track_id > 1 else {}
        self._until = dict(tracked_until)
        self._next_track_id = next_track_id

    def link(self, pipeline: Pipeline, done: Analysis) -> Linked:
        """Link an image set to those before it; if a tracker raises, nothing has changed.

        A set that comes after a later time point of its place is not tracked.
        """
        linked, key, free = Linked(), done.image_set.key, self._next_track_id
        if key.t <= self._until.get(key.place, key.t - 1):
            return linked
        for kind in pipeline.track:
            cell = self._cells.get((f"track.{kind}", key.place), StateCell())
            before = cell.state if cell.segment == key.segment else None
            rows = done.tables[kind]
            state, links = pipeline.link(kind, before, rows, done.image_set, free)
            events = _checked(kind, state, links, len(rows))
            if len(events):
                free = max(free, int(events.track_id.max()) + 1)
            if cell.segment not in {-1, key.segment}:
                # What moved in another segment's pixels cannot be followed in these.
                live = self._live(kind, key.place)
                events = TrackEvents.joined(TrackEvents.ends(live), events)
            linked.states[f"track.{kind}", key.place] = state
            linked.track_ids[kind] = links.track_ids
            linked.events[kind] = events
        self._remember(linked, key, free)
        return linked

    def _live(self, kind: str, place: str) -> Ints:
        if self._live_tracks is None:
            # ORDER MATTERS: what this image set adds is not in the table yet.
            self._live_tracks = dict(self._read_tracks())
        return self._live_tracks.get((kind, place), np.empty(0, np.int64))

    def _remember(self, linked: Linked, key: SetKey, free: int) -> None:
        place, segment = key.place, key.segment
        first_new, self._next_track_id = self._next_track_id, free
        self._until[place] = key.t
        for at, state in linked.states.items():
            self._cells[at] = StateCell(state, segment)
        if self._live_tracks is None:
            return
        for kind, events in linked.events.items():
            live = self._live_tracks.get((kind, place), np.empty(0, np.int64))
            # A number that is not new is known already: few are, so that little is sorted.
            new = np.unique(events.track_id[events.track_id >= first_new])
            ended = events.track_id[events.ended]
            named = np.concatenate([live, new])
            self._live_tracks[kind, place] = named[~np.isin(named, ended)] if len(ended) else named


def _checked(kind: str, state: State, links: Links, n: int) -> TrackEvents:
    """Return the events of a tracker, which may be a plug-in's.

    What the table could not take is the fault of this set, not the end of the run.
    """
    if not isinstance(links.events, TrackEvents):
        raise StepError(
            f"the tracker of {kind} answered with events of type {type(links.events).__name__}; "
            "make them with TrackEvents.of([TrackEvent(…), …])"
        )
    if len(links.track_ids) != n:
        raise StepError(
            f"the tracker of {kind} answered for {len(links.track_ids)} objects; there are {n}"
        )
    track_ids = np.asarray(links.track_ids)
    if n and (track_ids.ndim != 1 or not np.issubdtype(track_ids.dtype, np.integer)):
        raise StepError(
            f"the tracker of {kind} answered with track ids that are {track_ids.dtype} of "
            f"{track_ids.ndim} axes; give one integer an object"
        )
    if objects := [name for name, value in state.items() if np.asarray(value).dtype.hasobject]:
        raise StepError(
            f"the state of the tracker of {kind} holds objects, which are not kept: {objects}"
        )
    return links.events
