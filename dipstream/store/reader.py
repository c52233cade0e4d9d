"""Reads a run, from any process, while it grows: pandas in, nothing locked."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dipstream.config import near
from dipstream.errors import StoreError
from dipstream.store.connection import Connection, quoted
from dipstream.store.folder import RunFolder, RunRecord

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["RunReader"]

_ORDER = {
    "frames": "frame_id",
    "image_sets": "set_id",
    "tracks": "object_type, track_id",
    "track_events": "event_id",
    "events": "event_id",
    "segments": "segment",
    "commits": "commit_number",
    "epochs": "epoch",
    "columns": "table_name, ordinal",
}


class RunReader:
    """A run as pandas tables. Each call sees the newest committed rows.

    Parameters
    ----------
    folder
        The run's folder.
    """

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        folder.read()

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return self._folder.path

    @property
    def record(self) -> RunRecord:
        """What `run.json` says now."""
        return self._folder.read()

    def object_types(self) -> list[str]:
        """Return the types of objects the run measures."""
        with self._open() as connection:
            return _object_types(connection)

    def objects(
        self,
        kind: str | None = None,
        *,
        where: str | None = None,
        columns: Sequence[str] | None = None,
    ) -> "pd.DataFrame":
        """Return the objects of a type, with position, t and z of their image set.

        Parameters
        ----------
        kind
            The type of objects; may be left out where there is one.
        where
            An SQL condition on the columns, for instance ``"area > 300 AND t < 5"``.
        columns
            Which columns; all of them by default.

        Raises
        ------
        StoreError
            If there is no such type or column, or the condition is no SQL.
        """
        with self._open() as connection:
            kinds = _object_types(connection)
            if not kinds:
                raise StoreError("this run has no objects yet: no image set has been analysed")
            if kind is None:
                if len(kinds) > 1:
                    raise StoreError(
                        f"this run has several types of objects; name one of {', '.join(kinds)}"
                    )
                kind = kinds[0]
            if kind not in kinds:
                raise StoreError(
                    f"there are no objects {kind!r}; this run has {', '.join(kinds)}"
                    f"{near(kind, kinds)}"
                )
            return self._select(connection, kind, where, columns, "set_id, label")

    def frames(
        self, *, where: str | None = None, columns: Sequence[str] | None = None
    ) -> "pd.DataFrame":
        """Return one row a frame: its state, reason, times and quality."""
        return self.table("frames", where=where, columns=columns)

    def tracks(self, kind: str | None = None) -> "pd.DataFrame":
        """Return one row a track: first and last t, objects, parent, way."""
        where = None if kind is None else f"object_type = '{kind.replace(chr(39), chr(39) * 2)}'"
        return self.table("tracks", where=where)

    def image_sets(self) -> "pd.DataFrame":
        """Return one row an image set."""
        return self.table("image_sets")

    def events(self) -> "pd.DataFrame":
        """Return what happened during the run, in order."""
        return self.table("events")

    def columns(self) -> "pd.DataFrame":
        """Return what every column means, with its unit."""
        return self.table("columns")

    def table(
        self,
        name: str,
        *,
        where: str | None = None,
        columns: Sequence[str] | None = None,
    ) -> "pd.DataFrame":
        """Return any table or view of the run."""
        with self._open() as connection:
            names = (*_ORDER, *_object_types(connection))
            if name not in names:
                raise StoreError(
                    f"there is no table {name!r}; this run has {', '.join(names)}"
                    f"{near(name, names)}"
                )
            order = _ORDER.get(name, "set_id, label")
            return self._select(connection, name, where, columns, order)

    def accounting(self) -> dict[str, int]:
        """Return how many frames are in each state, counted now in the book."""
        with self._open() as connection:
            rows = connection.execute("SELECT state, count(*) FROM frames GROUP BY state")
            return {state: int(n) for state, n in rows}

    def summary(self) -> dict[str, Any]:
        """Return sets, objects, lags (ms) and flagged frames of the run, counted in the table."""
        with self._open() as connection:
            kinds = {
                kind: _one(connection, f"SELECT count(*) FROM {quoted('objects_' + kind)}")
                for kind in _object_types(connection)
            }
            flags: dict[str, int] = {}
            for (text,) in connection.execute("SELECT flags FROM frames WHERE flags <> ''"):
                for flag in text.split(","):
                    flags[flag] = flags.get(flag, 0) + 1
            return {
                "image_sets": _one(connection, "SELECT count(*) FROM image_sets"),
                "objects": sum(kinds.values()),
                "objects_by_type": kinds,
                "lag_ms_p50": _lag_ms(connection, 0.5),
                "lag_ms_p99": _lag_ms(connection, 0.99),
                "flags": flags,
            }

    def _open(self) -> Connection:
        return Connection(self._folder.table, read_only=True)

    def _select(
        self,
        connection: Connection,
        name: str,
        where: str | None,
        columns: Sequence[str] | None,
        order: str,
    ) -> "pd.DataFrame":
        known = _dtypes(connection, name)
        for column in columns or ():
            if column not in known:
                raise StoreError(
                    f"there is no column {column!r} in {name}{near(column, list(known))}; it has "
                    f"{', '.join(known)}"
                )
        chosen = ", ".join(quoted(column) for column in (columns or known))
        condition = f" WHERE ({where})" if where else ""
        # The connection is read-only: a condition can ask, but change nothing.
        sql = f"SELECT {chosen} FROM {quoted(name)}{condition} ORDER BY {order}"
        try:
            rows = connection.query(sql)
        except StoreError as error:
            if where is None:
                raise
            raise StoreError(_about_condition(where, str(error), name, list(known))) from error
        from dipstream.store.as_pandas import as_pandas  # noqa: PLC0415 - a run starts without

        return as_pandas(rows, known)


def _about_condition(where: str, error: str, table: str, columns: list[str]) -> str:
    problem = error.rsplit("query: ", maxsplit=1)[-1]
    word = problem.removeprefix("no such column:").strip()
    hint = near(word, columns)
    return (
        f"the condition {where!r} cannot be used: {problem}{hint}. Write it in SQL, "
        f'for instance "area > 300 AND t < 5", with the columns of {table}: {", ".join(columns)}'
    )


def _one(connection: Connection, sql: str) -> int:
    return int(connection.execute(sql)[0][0])


def _lag_ms(connection: Connection, quantile: float) -> float | None:
    """Return a quantile of arrival → row over the analysed frames, in ms."""
    n = _one(connection, "SELECT count(*) FROM frames WHERE state = 'analysed'")
    if not n:
        return None
    rows = connection.execute(
        "SELECT committed_ns - received_ns AS lag FROM frames WHERE state = 'analysed' "
        "ORDER BY lag LIMIT 1 OFFSET ?",
        (min(int(n * quantile), n - 1),),
    )
    return round(float(rows[0][0]) / 1e6, 3)


def _object_types(connection: Connection) -> list[str]:
    rows = connection.execute(
        "SELECT substr(name, 9) FROM sqlite_master "
        "WHERE type = 'table' AND name LIKE 'objects\\_%' ESCAPE '\\' ORDER BY rowid"
    )
    return [str(name) for (name,) in rows]


def _dtypes(connection: Connection, name: str) -> dict[str, str]:
    described = dict(
        connection.execute(
            "SELECT name, dtype FROM columns WHERE table_name = ? ORDER BY ordinal", (name,)
        )
    )
    # A view may add columns of the image set to those that are described.
    present = [row[1] for row in connection.execute(f"PRAGMA table_info({quoted(name)})")]
    return {one: described.get(one, "text" if one == "position" else "int64") for one in present}
