"""Reads a run's table from where a mirror has left off, in slices that nobody notices."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from dipstream.errors import StoreError
from dipstream.mirror.progress import Batch, Progress
from dipstream.store import schema as stored
from dipstream.store.connection import Connection, quoted
from dipstream.table import Column, Schema

__all__ = ["KEYS", "RunTail", "arrow_schema", "range_key", "unique_key"]

KEYS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "frames": ("frame_id", ("frame_id",)),
    "image_sets": ("set_id", ("set_id",)),
    "track_events": ("set_id", ("event_id",)),
    "commits": ("commit_number", ("commit_number",)),
    "events": ("event_id", ("event_id",)),
    "epochs": ("epoch", ("epoch",)),
    "segments": ("", ("segment",)),
    "columns": ("", ("table_name", "name")),
}
"""Of every table that is mirrored: the column it is read by in ranges, and its key."""

_OBJECTS = ("set_id", ("set_id", "label"))
_WHOLE = ("segments", "columns")
_ARROW = {"int64": pa.int64(), "float64": pa.float64(), "text": pa.string(), "blob": pa.binary()}


def range_key(table: str) -> str:
    """Return the column a table is read by in ranges; empty for a small one, read as a whole."""
    return KEYS.get(table, _OBJECTS)[0]


def unique_key(table: str) -> tuple[str, ...]:
    """Return the columns that tell the rows of a table apart."""
    return KEYS.get(table, _OBJECTS)[1]


class RunTail:
    """A run's table as slices after a given commit; used by one thread.

    Every slice is read from one state of the table by a connection of its own, which is closed
    before anything is sent anywhere: no reader keeps the write-ahead log from being folded in.

    Parameters
    ----------
    table
        The database file.
    commits, rows
        A slice ends after so many commits or about so many rows, whichever comes first.
    """

    def __init__(self, table: Path, *, commits: int = 512, rows: int = 20_000) -> None:
        self._table = table
        self._commits = commits
        self._rows = rows
        self._schemas: dict[str, Schema] = {}
        self._sizes: tuple[int, ...] = ()

    def restart(self) -> None:
        """Forget what was shipped of the small tables; they come again with the next slice."""
        self._sizes = ()

    def newest(self) -> int:
        """Return the newest commit number, or -1."""
        with self._open() as connection:
            return _max(connection, "commits", "commit_number")

    def read(self, before: Progress) -> Batch | None:
        """Return the slice after `before`, or None if there is nothing new."""
        with self._open() as connection:
            sizes = tuple(_count(connection, name) for name in _WHOLE)
            changed = sizes != self._sizes
            if changed:
                self._schemas = _schemas(connection)
            upto, full = self._upto(connection, before.commit_number)
            after = Progress(
                upto,
                max(_max(connection, "events", "event_id"), before.event_id),
                max(_max(connection, "epochs", "epoch"), before.epoch),
            )
            if after == before and not changed:
                return None
            batch = Batch(
                before=before,
                after=after,
                schemas=self._schemas,
                rows=self._read_rows(connection, before, after),
                whole=self._read_whole(connection) if changed else {},
                set_ids=_numbers(connection, "set_id", before, after),
                frame_ids=_numbers(connection, "frame_id", before, after),
                full=full,
            )
        self._sizes = sizes
        return batch

    def range(self, table: str, columns: Schema, low: int | None, high: int | None) -> pa.Table:
        """Return the finished rows of a table whose range key is in [low, high)."""
        conditions = ["state <> 'pending'"] if table == "frames" else []
        if low is not None and high is not None:
            key = quoted(range_key(table))
            conditions.append(f"{key} >= {low} AND {key} < {high}")
        with self._open() as connection:
            return _select(connection, table, columns, " AND ".join(conditions) or "1")

    def schemas(self) -> dict[str, Schema]:
        """Return the columns of every table that is mirrored."""
        with self._open() as connection:
            return _schemas(connection)

    def last_key(self, table: str) -> int:
        """Return the greatest range key of a table, or -1."""
        with self._open() as connection:
            return _max(connection, table, range_key(table))

    def count(self, table: str) -> int:
        """Return how many rows a table has."""
        with self._open() as connection:
            return _count(connection, table)

    def unsettled(self, commit_number: int) -> tuple[set[int], set[int]]:
        """Return the image sets and frames that have changed since a commit, or wait again."""
        with self._open() as connection:
            rows = connection.execute(
                "SELECT set_id, frame_id FROM commits WHERE commit_number > ?", (commit_number,)
            )
            sets = {int(set_id) for set_id, _ in rows if set_id is not None}
            frames = {int(frame_id) for _, frame_id in rows if frame_id is not None}
            found = connection.execute("SELECT frame_id FROM frames WHERE state = 'pending'")
            frames |= {int(frame_id) for (frame_id,) in found}
            return sets, frames

    @contextmanager
    def _open(self) -> Iterator[Connection]:
        with Connection(self._table, read_only=True) as connection:
            (version,) = connection.execute("PRAGMA user_version")[0]
            if version < 2:
                raise StoreError(
                    f"the table {self._table} has version {version}, which keeps no order of "
                    "commits; a mirror needs version 2. Analyse the frames again in a new run"
                )
            connection.execute("BEGIN")
            yield connection

    def _upto(self, connection: Connection, last: int) -> tuple[int, bool]:
        rows = connection.execute(
            "SELECT c.commit_number, coalesce(s.n_objects, 0) + coalesce(s.n_frames, 1) "
            "FROM commits c LEFT JOIN image_sets s USING (set_id) "
            "WHERE c.commit_number > ? ORDER BY c.commit_number LIMIT ?",
            (last, self._commits),
        )
        total = 0
        for number, size in rows:
            last = int(number)
            total += int(size)
            if total >= self._rows:
                return last, True
        return last, len(rows) == self._commits

    def _read_rows(
        self, connection: Connection, before: Progress, after: Progress
    ) -> dict[str, pa.Table]:
        span = f"commit_number > {before.commit_number} AND commit_number <= {after.commit_number}"
        sets = f"SELECT set_id FROM commits WHERE set_id IS NOT NULL AND {span}"
        frames = (
            f"SELECT frame_id FROM frames WHERE set_id IN ({sets}) UNION "
            f"SELECT frame_id FROM commits WHERE frame_id IS NOT NULL AND {span}"
        )
        conditions = {
            "frames": f"state <> 'pending' AND frame_id IN ({frames})",
            "commits": span,
            "events": f"event_id > {before.event_id} AND event_id <= {after.event_id}",
            "epochs": f"epoch > {before.epoch} AND epoch <= {after.epoch}",
        }
        return {
            name: _select(connection, name, columns, conditions.get(name, f"set_id IN ({sets})"))
            for name, columns in self._schemas.items()
            if name not in _WHOLE
        }

    def _read_whole(self, connection: Connection) -> dict[str, pa.Table]:
        return {name: _select(connection, name, self._schemas[name], "1") for name in _WHOLE}


def arrow_schema(columns: Schema) -> pa.Schema:
    """Return the types of columns, with what they mean."""
    return pa.schema(
        [
            pa.field(
                column.name,
                _ARROW[column.dtype],
                metadata={"unit": column.unit, "definition": column.definition},
            )
            for column in columns
        ]
    )


def _schemas(connection: Connection) -> dict[str, Schema]:
    found: dict[str, list[Column]] = {}
    present = {
        str(name)
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    }
    for table, *about in connection.execute(
        "SELECT table_name, name, dtype, unit, definition, step FROM columns "
        "ORDER BY table_name, ordinal"
    ):
        if table in present and (table in KEYS or str(table).startswith(stored.objects_table(""))):
            found.setdefault(str(table), []).append(Column(*about))
    return {table: Schema(tuple(columns)) for table, columns in found.items()}


def _select(connection: Connection, table: str, columns: Schema, condition: str) -> pa.Table:
    """Return rows in the order of their key, typed as the columns say."""
    names = ", ".join(map(quoted, columns.names))
    order = ", ".join(map(quoted, unique_key(table)))
    found = connection.query(
        f"SELECT {names} FROM {quoted(table)} WHERE {condition} ORDER BY {order}"
    )
    return found.cast(arrow_schema(columns)).combine_chunks()


def _numbers(
    connection: Connection, column: str, before: Progress, after: Progress
) -> tuple[int, ...]:
    rows = connection.execute(
        f"SELECT DISTINCT {column} FROM commits WHERE {column} IS NOT NULL "
        "AND commit_number > ? AND commit_number <= ?",
        (before.commit_number, after.commit_number),
    )
    return tuple(int(number) for (number,) in rows)


def _max(connection: Connection, table: str, column: str) -> int:
    (found,) = connection.execute(f"SELECT max({quoted(column)}) FROM {quoted(table)}")[0]
    return -1 if found is None else int(found)


def _count(connection: Connection, table: str) -> int:
    return int(connection.execute(f"SELECT count(*) FROM {quoted(table)}")[0][0])
