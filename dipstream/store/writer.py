"""The one writing connection of a run. Used by one thread; every method needs a transaction."""

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dipstream.errors import StoreError
from dipstream.frame import Origin, Segment, SetKey
from dipstream.source import SeenFrame
from dipstream.steps.step import State
from dipstream.store import schema
from dipstream.store.checkpoint import Checkpointer
from dipstream.store.connection import Connection, quoted
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

_FINISH_FRAMES = (
    f"UPDATE frames SET {', '.join(f'{quoted(name)} = ?' for name in OUTCOME_COLUMNS)} "
    "WHERE frame_id = ?"
)


class KnownSet(NamedTuple):
    """An image set that is in the table."""

    set_id: int
    version: int


class RunWriter:
    """Writes a run's table; creates it if it is not there.

    Parameters
    ----------
    path
        The database file.
    durability
        See `dipstream.store.connection.Connection`.
    """

    def __init__(self, path: Path, durability: str = "full") -> None:
        self._path = path
        self._connection = Connection(path, durability=durability)
        self._objects: dict[str, Schema] = {}
        self._checkpointer: Checkpointer | None = None
        try:
            # A run that was killed at once has left a file without tables.
            if not self._connection.execute("SELECT 1 FROM sqlite_master LIMIT 1"):
                self._create()
            self._check_version(path)
            self._next_event = self._max("events", "event_id") + 1
            self._next_track_event = self._max("track_events", "event_id") + 1
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close; may be called twice."""
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what happens inside as one, or nothing of it."""
        with self._connection.transaction():
            yield
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

    def add_frames(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write the rows of admitted frames."""
        self._connection.append("frames", arrow_batch(schema.FRAMES, rows))

    def finish_frames(self, outcomes: Sequence[FrameOutcome]) -> None:
        """Turn pending rows into their end state."""
        self._connection.run(_FINISH_FRAMES, outcome_rows(outcomes))

    def find_set(self, key: SetKey) -> KnownSet | None:
        """Return the number and content version of the set of this key, if there is one."""
        known = self._connection.execute(
            "SELECT set_id, content_version FROM image_sets "
            "WHERE segment = ? AND position = ? AND t = ? AND coalesce(z, -1) = ?",
            (key.segment, key.position, key.t, -1 if key.z is None else key.z),
        )
        return KnownSet(int(known[0][0]), int(known[0][1])) if known else None

    def claim_set(self, set_id: int, known: KnownSet | None) -> KnownSet:
        """Return the number and content version a set is to be written under.

        One that is in the table already (see `find_set`) is superseded: its rows are removed in
        the transaction that will write the new ones, under the old number and the next content
        version.
        """
        if known is None:
            return KnownSet(set_id, 1)
        self._connection.execute("DELETE FROM image_sets WHERE set_id = ?", (known.set_id,))
        for kind in self._objects:
            table = quoted(schema.objects_table(kind))
            self._connection.execute(f"DELETE FROM {table} WHERE set_id = ?", (known.set_id,))
        return KnownSet(known.set_id, known.version + 1)

    def add_set(self, set_id: int, version: int, row: SetRow) -> None:
        """Write the row of an image set and its track events."""
        self._connection.append(
            "image_sets", arrow_batch(schema.IMAGE_SETS, [row.values(set_id, version)])
        )
        for kind, events in row.events.items():
            rows = event_rows(kind, events, set_id, version, self._next_track_event)
            self._connection.append("track_events", rows)
            self._next_track_event += len(events)

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
            "event_id": self._next_event,
            "time_ns": time_ns,
            "kind": kind,
            "message": message,
            "segment": segment,
            "first_seq": first_seq,
            "n": n,
        }
        self._next_event += 1
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

    def load_states(self) -> dict[tuple[str, str], tuple[State, int]]:
        """Return the states of all ordered steps and their segments, by (step, place)."""
        found: dict[tuple[str, str], tuple[State, int]] = {}
        for step, place, segment, blob in self._connection.execute(
            "SELECT step, place, segment, state FROM ordered_state"
        ):
            with np.load(io.BytesIO(blob), allow_pickle=False) as arrays:
                state = {name: arrays[name] for name in arrays.files}
            found[step, place] = state, int(segment)
        return found

    def tracked_until(self) -> dict[str, int]:
        """Return the last time point that was analysed at each place."""
        found: dict[str, int] = {}
        rows = self._connection.execute(
            "SELECT position, z, max(t) FROM image_sets WHERE state = 'analysed' "
            "GROUP BY position, z"
        )
        for position, z, t in rows:
            found[SetKey(0, position, 0, z).place] = int(t)
        return found

    def live_tracks(self) -> dict[tuple[str, str], npt.NDArray[np.int64]]:
        """Return the tracks that have not ended, in order, by (object type, place)."""
        found: dict[tuple[str, str], list[int]] = {}
        rows = self._connection.execute(
            "SELECT e.object_type, s.position, s.z, e.track_id FROM track_events e "
            "JOIN image_sets s USING (set_id) GROUP BY e.object_type, e.track_id "
            "HAVING max(e.kind = 'end') = 0 ORDER BY e.object_type, e.track_id"
        )
        for kind, position, z, track_id in rows:
            place = SetKey(0, position, 0, z).place
            found.setdefault((kind, place), []).append(int(track_id))
        return {at: np.array(track_ids, np.int64) for at, track_ids in found.items()}

    def drop_unfinished(self, reason: str) -> int:
        """Turn every pending row into dropped, after a crash; return how many there were."""
        (n,) = self._connection.execute("SELECT count(*) FROM frames WHERE state = 'pending'")[0]
        self._connection.execute(
            "UPDATE frames SET state = 'dropped', reason = ? WHERE state = 'pending'", (reason,)
        )
        return int(n)

    def seen_frames(self) -> Iterator[SeenFrame]:
        """Yield the frames from files that are finished with, for a source to pass over."""
        rows = self._connection.query(
            "SELECT path, plane, file_planes, file_size, file_mtime_ns, file_inode, "
            "coalesce(file_hash, '') AS file_hash, position, t, version FROM frames "
            "WHERE path IS NOT NULL AND NOT (state = 'dropped' AND reason LIKE 'crash%')"
        )
        for row in rows.to_pylist():
            origin = Origin(
                path=row["path"],
                plane=row["plane"],
                planes=row["file_planes"],
                size=row["file_size"],
                mtime_ns=row["file_mtime_ns"],
                inode=row["file_inode"],
                content_hash=row["file_hash"],
            )
            yield SeenFrame(origin, row["position"], row["t"], row["version"])

    def segments(self) -> dict[int, Segment]:
        """Return the segments of the run by number."""
        found = {}
        for row in self._connection.query("SELECT * FROM segments").to_pylist():
            roi, affine = row["roi"], row["camera_to_stage"]
            found[int(row["segment"])] = Segment(
                shape=(row["height_px"], row["width_px"]),
                dtype=row["dtype"],
                camera=row["camera"],
                roi=None if roi is None else _four([int(v) for v in roi.split(",")]),
                binning=row["binning"],
                pixel_um=row["pixel_um"],
                bit_depth=row["bit_depth"],
                offset_dn=row["offset_dn"],
                gain_e_per_dn=row["gain_e_per_dn"],
                em_gain=row["em_gain"],
                camera_to_stage=(
                    None if affine is None else _six([float(v) for v in affine.split(",")])
                ),
            )
        return found

    def places(self) -> dict[str, int]:
        """Return the segment of the newest image set of each position."""
        # SQLite takes the other columns of a max() from the row that has it.
        rows = self._connection.execute(
            "SELECT position, segment, max(set_id) FROM image_sets GROUP BY position"
        )
        return {str(position): int(segment) for position, segment, _ in rows}

    def next_numbers(self) -> tuple[int, int, int]:
        """Return the next free frame, image set and track number."""
        return (
            self._max("frames", "frame_id") + 1,
            max(self._max("frames", "set_id"), self._max("image_sets", "set_id")) + 1,
            max(self._max("track_events", "track_id") + 1, 1),
        )

    def state_counts(self) -> dict[str, int]:
        """Return how many frames are in each state: the book itself."""
        rows = self._connection.execute("SELECT state, count(*) FROM frames GROUP BY state")
        return {state: int(n) for state, n in rows}

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

    def _create(self) -> None:
        with self.transaction():
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

    def _max(self, table: str, column: str) -> int:
        (found,) = self._connection.execute(f"SELECT max({column}) FROM {table}")[0]
        return -1 if found is None else int(found)

    def _check_version(self, path: Path) -> None:
        (version,) = self._connection.execute("PRAGMA user_version")[0]
        if version != schema.SCHEMA_VERSION:
            raise StoreError(
                f"the table {path} has version {version}; this dipstream writes version "
                f"{schema.SCHEMA_VERSION}. Use the dipstream that made it, or start a new run"
            )


def _without(columns: Schema, name: str) -> tuple[Column, ...]:
    return tuple(column for column in columns if column.name != name)


def _four(v: list[int]) -> tuple[int, int, int, int]:
    return v[0], v[1], v[2], v[3]


def _six(v: list[float]) -> tuple[float, float, float, float, float, float]:
    return v[0], v[1], v[2], v[3], v[4], v[5]
