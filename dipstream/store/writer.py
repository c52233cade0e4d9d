"""The one writing connection of a run. Used by one thread; every method needs a transaction."""

import io
import json
import os
import platform
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dipstream.errors import StoreError
from dipstream.frame import Segment, SetKey
from dipstream.steps.step import State
from dipstream.store import schema
from dipstream.store.checkpoint import Checkpointer
from dipstream.store.connection import Connection, check_sqlite, quoted, sqlite_version
from dipstream.store.earlier import FOCUS, NUMBERS, Earlier
from dipstream.store.rows import (
    OUTCOME_COLUMNS,
    FrameOutcome,
    SetRow,
    arrow_batch,
    event_rows,
    object_rows,
    outcome_rows,
    segment_row,
)
from dipstream.table import Column, RowBatch, Schema

__all__ = ["KnownSet", "RunWriter"]

_SET_ID = Column("set_id", "int64", "", "image set the object belongs to", "assemble")
_TRACK_ID = Column(
    "track_id", "int64", "", "track, unique in the run; NULL if not tracked", "track"
)

_DESCRIPTION = Schema(
    tuple(
        column
        for column in schema.FRAMES
        if column.name != "frame_id" and column.name not in OUTCOME_COLUMNS
    )
)
_DESCRIBE_FRAMES = (
    f"UPDATE frames SET {', '.join(f'{quoted(name)} = ?' for name in _DESCRIPTION.names)} "
    "WHERE frame_id = ?"
)
_FINISH_FRAMES = (
    f"UPDATE frames SET {', '.join(f'{quoted(name)} = ?' for name in OUTCOME_COLUMNS)} "
    "WHERE frame_id = ?"
)


class KnownSet(NamedTuple):
    """An image set that is in the table."""

    set_id: int
    version: int
    state: str = "analysed"
    content_hash: str | None = None
    n_frames: int = 0


@dataclass(slots=True)
class _Numbers:
    """The next free ones; a transaction that fails gives back those it took."""

    event: int
    track_event: int
    commit: int
    track: int


class RunWriter(Earlier):
    """Writes a run's table; creates it if it is not there.

    Parameters
    ----------
    path
        The database file.
    durability
        See `dipstream.store.connection.Connection`.
    holder
        Who writes, as others are told: this process by default.

    Raises
    ------
    StoreError
        If the table cannot be opened, another writer is in the middle of a commit for too long, or
        the version of SQLite is one that may corrupt a table.
    """

    def __init__(self, path: Path, durability: str = "full", *, holder: str = "") -> None:
        # Readers are safe with any version: only who writes or checkpoints can do harm.
        if unsound := check_sqlite(sqlite_version()):
            raise StoreError(f"the run is not written: {unsound}")
        self._path = path
        self.epoch = 0
        self.taken_over = False
        super().__init__(Connection(path, durability=durability))
        self._objects: dict[str, Schema] = {}
        self._checkpointer: Checkpointer | None = None
        try:
            with self._connection.transaction():
                # A run that was killed at once has left a file without tables.
                if not self._connection.execute("SELECT 1 FROM sqlite_master LIMIT 1"):
                    self._create()
                self._check_version(path)
                self._begin(holder or _this_process())
            # ORDER MATTERS: from here on nobody else commits, so that these stay the next ones.
            self._next = _Numbers(
                self._max("events", "event_id") + 1,
                self._max("track_events", "event_id") + 1,
                max(self._max("commits", "commit_number") + 1, 1),
                self.next_numbers()[2],
            )
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close; may be called twice."""
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what happens inside as one, or nothing of it.

        Raises
        ------
        StoreError
            If another writer has opened the run since: this one will never commit again.
        """
        before = replace(self._next)
        try:
            with self._connection.transaction():
                self.check_epoch()
                yield
        except BaseException:
            self._next = before
            raise
        if self._checkpointer is not None:
            self._checkpointer.relieve(self._connection)

    def add_objects_table(self, kind: str, columns: Schema) -> None:
        """Make the table of a type of object, or check that it is as the pipeline wants it."""
        full = Schema((_SET_ID, columns["label"], _TRACK_ID, *_without(columns, "label")))
        known = self._columns_of(schema.objects_table(kind))
        if known and known != [(c.name, c.dtype) for c in full]:
            raise StoreError(
                f"this run's table of {kind} has other columns than the pipeline delivers now; "
                "start a new run"
            )
        if not known:
            for statement in schema.create_objects(kind, full):
                self._connection.execute(statement)
            self._describe(schema.objects_table(kind), full)
            self._describe(kind, full)
        self._objects[kind] = full

    def add_segment(self, number: int, segment: Segment) -> None:
        """Write the row of a segment."""
        self._connection.append(
            "segments", arrow_batch(schema.SEGMENTS, [segment_row(number, segment)])
        )

    def add_frames(self, rows: Sequence[Mapping[str, Any]], *, replace: bool = False) -> None:
        """Write the rows of admitted frames; with `replace`, in place of those with their number.

        One that has ended already has a commit of its own.
        """
        self._connection.append("frames", arrow_batch(schema.FRAMES, rows), replace=replace)
        self._commit_frames([row["frame_id"] for row in rows if row["state"] != "pending"])

    def describe_frames(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write anew what is known of frames that are tried again, but not how they had ended.

        Were that lost, a crash before their end would make new frames of them.
        """
        columns = Schema((*_DESCRIPTION, schema.FRAMES["frame_id"]))
        self._connection.run(_DESCRIBE_FRAMES, arrow_batch(columns, rows))

    def finish_frames(self, outcomes: Sequence[FrameOutcome], *, alone: bool | None = None) -> None:
        """Turn pending rows into their end state.

        Parameters
        ----------
        outcomes
            What became of each.
        alone
            Whether they end by themselves, each with a commit of its own, instead of with an image
            set that is written in the same transaction; by default those without a set do.
        """
        self._connection.run(_FINISH_FRAMES, outcome_rows(outcomes))
        self._commit_frames(
            [one.frame_id for one in outcomes if (one.set_id is None if alone is None else alone)]
        )

    def find_set(self, key: SetKey) -> KnownSet | None:
        """Return the set of this key, if there is one."""
        known = self._connection.execute(
            "SELECT set_id, content_version, state, content_hash, n_frames FROM image_sets "
            "WHERE segment = ? AND position = ? AND t = ? AND coalesce(z, -1) = ?",
            (key.segment, key.position, key.t, -1 if key.z is None else key.z),
        )
        return KnownSet(*known[0]) if known else None

    def claim_set(self, set_id: int, known: KnownSet | None) -> tuple[int, int]:
        """Return the number and content version a set is to be written under.

        One that is in the table already (see `find_set`) is superseded: its rows are removed in
        the transaction that will write the new ones, under the old number and the next content
        version.
        """
        if known is None:
            return set_id, 1
        self._connection.execute("DELETE FROM image_sets WHERE set_id = ?", (known.set_id,))
        for kind in self._objects:
            table = quoted(schema.objects_table(kind))
            self._connection.execute(f"DELETE FROM {table} WHERE set_id = ?", (known.set_id,))
        return known.set_id, known.version + 1

    def add_set(self, set_id: int, version: int, row: SetRow) -> None:
        """Write the row of an image set, its track events and its commit."""
        self._connection.append(
            "image_sets", arrow_batch(schema.IMAGE_SETS, [row.values(set_id, version)])
        )
        for kind, events in row.events.items():
            rows = event_rows(kind, events, set_id, version, self._next.track_event)
            self._connection.append("track_events", rows)
            self._next.track_event += len(events)
            if len(events) and (newest := int(events.track_id.max())) >= self._next.track:
                self._next.track = newest + 1
                self._note("track_id", newest)
        self._commit(
            [{"set_id": set_id, "content_version": version, "content_hash": row.content_hash}]
        )

    def add_rows(self, kind: str, set_id: int, rows: RowBatch, track_ids: Any) -> None:
        """Write the objects of one type in one set; `track_ids` may be None."""
        if len(rows):
            batch = object_rows(self._objects[kind], set_id, rows, track_ids)
            self._connection.append(schema.objects_table(kind), batch)

    def add_event(
        self,
        time_ns: int,
        kind: str,
        message: str,
        *,
        segment: int | None = None,
        first_seq: int | None = None,
        n: int | None = None,
    ) -> None:
        """Write something a person should know about the run."""
        row = {
            "event_id": self._next.event,
            "time_ns": time_ns,
            "kind": kind,
            "message": message,
            "segment": segment,
            "first_seq": first_seq,
            "n": n,
        }
        self._next.event += 1
        self._connection.append("events", arrow_batch(schema.EVENTS, [row]))

    def save_state(self, step: str, place: str, segment: int, set_id: int, state: State) -> None:
        """Keep the state of an ordered step as npz, never pickled."""
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **state)
        row = {
            "step": step,
            "place": place,
            "segment": segment,
            "set_id": set_id,
            "state": buffer.getvalue(),
        }
        batch = arrow_batch(schema.ORDERED_STATE, [row])
        self._connection.append("ordered_state", batch, replace=True)

    def note_set(self, set_id: int) -> None:
        """Note that the number of an image set is used up although no set of that number is kept.

        A run that goes on after a crash then numbers its sets as if it had never ended.
        """
        self._note("set_id", set_id)

    def _note(self, what: str, number: int) -> None:
        row = {"step": NUMBERS, "place": what, "segment": -1, "set_id": number, "state": b""}
        batch = arrow_batch(schema.ORDERED_STATE, [row])
        self._connection.append("ordered_state", batch, replace=True)

    def save_focus(self, scores: Mapping[tuple[str, str], Sequence[float]], set_id: int) -> None:
        """Keep the newest focus scores of some places and channels: their float64, plainly.

        As an npz they would take longer than all the other rows of a small image set.
        """
        rows = [
            {
                "step": FOCUS,
                "place": json.dumps(key, ensure_ascii=False),
                "segment": -1,
                "set_id": set_id,
                "state": np.asarray(values, "<f8").tobytes(),
            }
            for key, values in scores.items()
        ]
        if rows:
            batch = arrow_batch(schema.ORDERED_STATE, rows)
            self._connection.append("ordered_state", batch, replace=True)

    def drop_unfinished(self, reason: str, keep: Collection[int] = frozenset()) -> int:
        """Turn pending rows into dropped, after a crash, but for some; return how many."""
        lost = [one.frame_id for one in self.unfinished_frames() if one.frame_id not in keep]
        self.drop_frames(dict.fromkeys(lost, reason))
        return len(lost)

    def restore_frames(
        self, frame_ids: Collection[int], reason: str = "", detail: str | None = None
    ) -> list[str]:
        """Turn rows that were to be tried again, but cannot be, into what they were before.

        Parameters
        ----------
        frame_ids
            Their numbers.
        reason, detail
            Why those of them that go back into the quarantine are there now; what their rows say by
            default.

        Returns
        -------
        list of str
            The states they are in, in order.
        """
        found = []
        for frame_id in frame_ids:
            self._connection.execute(
                "UPDATE frames SET state = CASE WHEN reason IS NULL AND set_id IS NOT NULL "
                "THEN 'analysed' ELSE 'quarantined' END WHERE frame_id = ? AND state = 'pending'",
                (frame_id,),
            )
            if reason:
                self._connection.execute(
                    "UPDATE frames SET reason = ?, detail = ? "
                    "WHERE frame_id = ? AND state = 'quarantined'",
                    (reason, detail, frame_id),
                )
            (row,) = self._connection.execute(
                "SELECT state FROM frames WHERE frame_id = ?", (frame_id,)
            )
            found.append(str(row[0]))
        self._commit_frames([*frame_ids])
        return found

    def is_in_a_set(self, frame_id: int) -> bool:
        """Whether an image set of the table counts this frame among its own."""
        return bool(
            self._connection.execute(
                "SELECT 1 FROM frames WHERE frame_id = ? AND set_id IS NOT NULL", (frame_id,)
            )
        )

    def drop_frames(self, reasons: Mapping[int, str]) -> None:
        """Turn rows into dropped, each for its reason."""
        now = time.time_ns()
        self.finish_frames(
            [FrameOutcome(i, "dropped", None, now, reason=reason) for i, reason in reasons.items()]
        )

    def start_checkpointer(self, failed: Callable[[StoreError], None]) -> Checkpointer:
        """Fold the log into the table beside this writer from now on, never inside a commit.

        Close what is returned before the writer.

        Parameters
        ----------
        failed
            See `Checkpointer`.
        """
        self._checkpointer = Checkpointer(self._path, failed)
        self._connection.execute("PRAGMA wal_autocheckpoint = 0")
        return self._checkpointer

    def checkpoint(self) -> None:
        """Fold the write-ahead log into the table, outside any transaction."""
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def check_epoch(self) -> None:
        """Raise `StoreError` if another writer has opened the run since."""
        if self.taken_over or self._connection.ask("SELECT max(epoch) FROM epochs") != self.epoch:
            self.taken_over = True
            raise StoreError(f"another process has taken over this run: {self._newest_holder()}")

    def _newest_holder(self) -> str:
        rows = self._connection.execute("SELECT holder FROM epochs ORDER BY epoch DESC LIMIT 1")
        return str(rows[0][0]) if rows else "its table was emptied"

    def _begin(self, holder: str) -> None:
        self.epoch = max(self._max("epochs", "epoch") + 1, 1)
        row = {"epoch": self.epoch, "holder": holder, "begun_ns": time.time_ns()}
        self._connection.append("epochs", arrow_batch(schema.EPOCHS, [row]))

    def _commit_frames(self, frame_ids: Sequence[int]) -> None:
        self._commit([{"frame_id": frame_id} for frame_id in frame_ids])

    def _commit(self, rows: Sequence[Mapping[str, Any]]) -> None:
        if not rows:
            return
        same = {"epoch": self.epoch, "committed_ns": time.time_ns()}
        numbered = [
            {"commit_number": number, **same, **row}
            for number, row in enumerate(rows, self._next.commit)
        ]
        self._next.commit += len(rows)
        self._connection.append("commits", arrow_batch(schema.COMMITS, numbered))

    def _create(self) -> None:
        for statement in schema.create_fixed():
            self._connection.execute(statement)
        for name, one in {**schema.TABLES, "tracks": schema.TRACKS}.items():
            self._describe(name, one)

    def _describe(self, table: str, columns: Schema) -> None:
        rows = [
            dict(zip(schema.COLUMNS.names, row, strict=True))
            for row in schema.describe(table, columns)
        ]
        self._connection.append("columns", arrow_batch(schema.COLUMNS, rows))

    def _columns_of(self, table: str) -> list[tuple[str, str]]:
        rows = self._connection.execute(
            "SELECT name, dtype FROM columns WHERE table_name = ? ORDER BY ordinal", (table,)
        )
        return [(name, dtype) for name, dtype in rows]

    def _check_version(self, path: Path) -> None:
        (version,) = self._connection.execute("PRAGMA user_version")[0]
        if version != schema.SCHEMA_VERSION:
            raise StoreError(
                f"the table {path} has version {version}; this dipstream writes version "
                f"{schema.SCHEMA_VERSION}. Use the dipstream that made it, or start a new run"
            )


def _this_process() -> str:
    return f"process {os.getpid()} on {platform.node() or 'this computer'}"


def _without(columns: Schema, name: str) -> tuple[Column, ...]:
    return tuple(column for column in columns if column.name != name)
