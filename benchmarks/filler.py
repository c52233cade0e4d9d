"""Fills a run's table through its writer, with what a real run leaves in it."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from dipstream.frame import FrameInfo, Origin, Segment, SetKey
from dipstream.pipeline.keys import KEY_COLUMNS
from dipstream.steps.objects import EVENT_KINDS, TrackEvents
from dipstream.steps.track.sightings import Sightings
from dipstream.store import FrameOutcome, RunWriter, SetRow, frame_row
from dipstream.table import Column, RowBatch, Schema

__all__ = ["COLUMNS", "KIND", "PER_SET", "Filler"]

KIND = "nuclei"
PER_SET = 50
"""Objects in an image set."""
COLUMNS = Schema((*KEY_COLUMNS, *(Column(f"measured_{k}") for k in range(5))))

_IN_ONE = 500
_TRACK_LENGTH = 20


class Filler:
    """Writes image sets of one frame and `PER_SET` tracked objects, as a run's committer does.

    Parameters
    ----------
    writer
        Of a run that has the segment 0 and the table of `KIND`.
    columns
        What is measured of each object.
    segment
        The segment 0.
    first_t
        The next time point.
    origin
        Returns the file of a time point; None for a camera, whose counter is the time point.
    """

    def __init__(
        self,
        writer: RunWriter,
        *,
        columns: Schema = COLUMNS,
        segment: Segment | None = None,
        first_t: int = 0,
        origin: Callable[[int], Origin] | None = None,
    ) -> None:
        self._writer = writer
        self._segment = segment or Segment((64, 64), "uint16")
        self._origin = origin
        self._frame, self._set, self._track = writer.next_numbers()
        self._t = first_t
        rng = np.random.default_rng(1)
        self._rows = RowBatch(columns, _values(columns, rng))
        self._distances = rng.random(PER_SET)
        self._live = np.empty(0, np.int64)

    def fill(self, rows: int) -> None:
        """Write at least so many objects, hundreds of image sets in a transaction."""
        sets = -(-rows // PER_SET)
        for first in range(0, sets, _IN_ONE):
            n = min(_IN_ONE, sets - first)
            with self._writer.transaction():
                self._writer.add_frames([self._pending(i) for i in range(n)])
                for _ in range(n):
                    self._write_set()
        self._writer.checkpoint()

    def commit(self) -> float:
        """Write one frame and then its image set as a run does; return the seconds of the set."""
        with self._writer.transaction():
            self._writer.add_frames([self._pending(0)])
        begun = time.perf_counter()
        with self._writer.transaction():
            self._write_set()
        return time.perf_counter() - begun

    def _pending(self, ahead: int) -> dict[str, Any]:
        t = self._t + ahead
        info = FrameInfo(
            self._segment,
            "DAPI",
            seq=t if self._origin is None else None,
            t=t,
            received_ns=time.time_ns(),
            origin=None if self._origin is None else self._origin(t),
        )
        return frame_row(self._frame + ahead, 0, info, state="pending", reason="", detail="")

    def _write_set(self) -> None:
        writer, key, now = self._writer, SetKey(0, "0", self._t, 0), time.time_ns()
        set_id, version = writer.claim_set(self._set, writer.find_set(key))
        events = self._events()
        writer.add_rows(KIND, set_id, self._rows, self._live)
        seen = Sightings(
            self._live,
            np.zeros((PER_SET, 2)),
            np.full(PER_SET, self._t, np.int64),
            np.full(PER_SET, np.nan),
        )
        state = seen.to_state()
        writer.save_state(f"track.{KIND}", key.place, 0, set_id, state)
        content = f"{self._t:016x}"
        writer.finish_frames(
            [FrameOutcome(self._frame, "analysed", set_id, now, flags="", content_hash=content)]
        )
        row = SetRow(
            key=key,
            state="analysed",
            partial=False,
            n_frames=1,
            committed_ns=now,
            n_objects=PER_SET,
            events={KIND: events},
        )
        writer.add_set(set_id, version, row)
        self._frame, self._set, self._t = self._frame + 1, self._set + 1, self._t + 1

    def _events(self) -> TrackEvents:
        """Return what happens to the tracks: all end and new ones start every now and then."""
        labels, none = self._rows.values["label"], np.full(PER_SET, -1)
        if self._t % _TRACK_LENGTH and len(self._live):
            linked = np.full(PER_SET, EVENT_KINDS.index("link"), np.int8)
            return TrackEvents(linked, self._live, labels, none, none, self._distances)
        ended, self._live = self._live, np.arange(self._track, self._track + PER_SET)
        self._track += PER_SET
        started = np.full(PER_SET, EVENT_KINDS.index("start"), np.int8)
        unknown = np.full(PER_SET, np.nan)
        begun = TrackEvents(started, self._live, labels, none, none, unknown)
        return TrackEvents.joined(TrackEvents.ends(ended), begun)


def _values(columns: Schema, rng: np.random.Generator) -> dict[str, npt.NDArray[Any]]:
    values: dict[str, npt.NDArray[Any]] = {
        one.name: rng.integers(0, 999, PER_SET) if one.dtype == "int64" else rng.random(PER_SET)
        for one in columns
        if one.dtype != "text"
    }
    values["label"] = np.arange(1, PER_SET + 1)
    return values
