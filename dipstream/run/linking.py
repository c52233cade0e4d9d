"""Tracking in order: a state for each type of object and place, one numbering for the run."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from dipstream.frame import SetKey
from dipstream.pipeline import Analysis, Pipeline, StateCell
from dipstream.steps.objects import TrackEvent
from dipstream.steps.step import State

__all__ = ["Linked", "Linker"]


@dataclass(slots=True, eq=False)
class Linked:
    """What tracking adds to an analysed image set.

    Attributes
    ----------
    track_ids
        One number an object, by object type.
    events
        What happened, with its object type.
    states
        The trackers' new states, by (step, place).
    """

    track_ids: dict[str, npt.NDArray[np.int64]] = field(default_factory=dict)
    events: list[tuple[str, TrackEvent]] = field(default_factory=list)
    states: dict[tuple[str, str], State] = field(default_factory=dict)


class Linker:
    """Calls the trackers and keeps their states; used by the committer's thread alone.

    Parameters
    ----------
    cells
        The states an earlier session of the run has left, by (step, place).
    live_tracks
        Tracks that have not ended, by (object type, place).
    tracked_until
        The last time point at each place.
    next_track_id
        The first number that is free.
    """

    def __init__(
        self,
        cells: Mapping[tuple[str, str], StateCell],
        live_tracks: Mapping[tuple[str, str], set[int]],
        tracked_until: Mapping[str, int],
        next_track_id: int,
    ) -> None:
        self._cells = dict(cells)
        self._live_tracks = dict(live_tracks)
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
            if cell.segment not in {-1, key.segment}:
                # What moved in another segment's pixels cannot be followed in these.
                live = sorted(self._live_tracks.get((kind, key.place), ()))
                linked.events += [(kind, TrackEvent("end", track)) for track in live]
            state, links = pipeline.link(kind, before, done.tables[kind], done.image_set, free)
            linked.states[f"track.{kind}", key.place] = state
            linked.track_ids[kind] = links.track_ids
            linked.events += [(kind, event) for event in links.events]
            free = max([free, *(event.track_id + 1 for event in links.events)])
        self._remember(linked, key, free)
        return linked

    def _remember(self, linked: Linked, key: SetKey, free: int) -> None:
        place, segment = key.place, key.segment
        self._next_track_id = free
        self._until[place] = key.t
        for at, state in linked.states.items():
            self._cells[at] = StateCell(state, segment)
        for kind, event in linked.events:
            live = self._live_tracks.setdefault((kind, place), set())
            (live.discard if event.kind == "end" else live.add)(event.track_id)
