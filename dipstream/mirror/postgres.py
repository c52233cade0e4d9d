"""A mirror in PostgreSQL: one schema a run, filled with COPY through ADBC."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import adbc_driver_manager
import pyarrow as pa

from dipstream.errors import StoreError
from dipstream.mirror import ddl
from dipstream.mirror.address import Secrets, with_defaults
from dipstream.mirror.progress import Batch, Moved, Progress
from dipstream.mirror.tail import range_key, unique_key
from dipstream.mirror.values import without_nul
from dipstream.settings import without_password
from dipstream.store import RunRecord
from dipstream.store.connection import quoted
from dipstream.store.schema import objects_table
from dipstream.table import Schema

if TYPE_CHECKING:
    from adbc_driver_manager.dbapi import Connection

__all__ = ["PostgresTarget"]


class PostgresTarget:
    """One run in a database.

    Every slice is a transaction that holds the row of the mirror's progress from its beginning to
    its end. A commit whose answer was lost is therefore known by that row when the connection is
    made again, one that is still under way is waited for, and of two that ship the same run at the
    same time the second goes on where the first has left off.

    Parameters
    ----------
    url
        ``postgresql://USER@HOST/DATABASE``; what it does not say comes from the environment
        (PGPASSWORD and others) and from ``~/.pgpass``.
    statement_s
        The server gives up a statement that takes longer.
    """

    def __init__(self, url: str, *, statement_s: float = 60.0) -> None:
        self.name = without_password(url)
        self._url = with_defaults(url)
        self._secrets = Secrets(url)
        self._statement_s = statement_s
        self._schema = ""
        self._made: dict[str, Schema] = {}
        self._dbapi: Connection | None = None

    def open(self, record: RunRecord, *, make: bool = True) -> Progress:
        """Connect, make the schema, and return how far the mirror is; raises `StoreError`."""
        import adbc_driver_postgresql.dbapi  # noqa: PLC0415

        self.close()
        self._made = {}
        self._schema = ddl.short(record.run_id)
        with self._errors():
            self._dbapi = adbc_driver_postgresql.dbapi.connect(self._url, autocommit=True)
        limit_ms = int(self._statement_s * 1000)
        self._run(f"SET statement_timeout = {limit_ms}")
        self._run(f"SET lock_timeout = {limit_ms // 2}")
        # What a connection that nobody answers for has locked is free again after this.
        self._run(f"SET idle_in_transaction_session_timeout = {2 * limit_ms}")
        self._run("SET client_min_messages = warning")
        # Made in one transaction: where this table is, all is.
        if not make or self._made_before():
            return self._found(record)
        with self._transaction():
            # Two that make the same schema at once would both find it missing.
            self._run(f"SELECT pg_advisory_xact_lock(hashtext({ddl.literal(self._schema)}))")
            return self._make_schema(record)

    def _make_schema(self, record: RunRecord) -> Progress:
        if not self._run(f"SELECT 1 FROM pg_namespace WHERE nspname = {ddl.literal(self._schema)}"):
            self._run(f"CREATE SCHEMA {quoted(self._schema)}")
            about = f"dipstream run {record.run_id} of {record.source}"
            self._run(f"COMMENT ON SCHEMA {quoted(self._schema)} IS {ddl.literal(about)}")
        self._run(ddl.create_progress(self._schema))
        self._run(
            f"INSERT INTO {self._full(ddl.PROGRESS)} VALUES (1, {ddl.literal(record.run_id)}, "
            f"{record.created_ns}, -1, -1, -1, now()) ON CONFLICT DO NOTHING"
        )
        return self._found(record)

    def _found(self, record: RunRecord) -> Progress:
        """Return how far the mirror of a run is that must be there."""
        if not self._made_before():
            raise StoreError(
                f"{self.name} has no mirror of the run {record.run_id}; build it with "
                f'`dipstream mirror {record.run_id} "{self.name}"`'
            )
        known = self._run(f"SELECT run_id, created_ns FROM {self._full(ddl.PROGRESS)}")
        if known != [(record.run_id, record.created_ns)]:
            raise StoreError(
                f"the schema {self._schema!r} in {self.name} holds another run; mirror into "
                "another database, or remove that schema first"
            )
        return self._progress()

    def _made_before(self) -> bool:
        found = self._run(
            "SELECT 1 FROM pg_tables WHERE "
            f"schemaname = {ddl.literal(self._schema)} AND tablename = {ddl.literal(ddl.PROGRESS)}"
        )
        return bool(found)

    def write(self, batch: Batch) -> None:
        """Ship a slice in one transaction; raises `Moved` or `StoreError`."""
        with self._transaction():
            at = self._progress(" FOR UPDATE")
            if at != batch.before:
                raise Moved(at)
            self._make_tables(batch.schemas)
            for table, rows in {**batch.rows, **batch.whole}.items():
                self._remove(table, rows, batch)
                self._copy(table, rows)
            after = batch.after
            self._run(
                f"UPDATE {self._full(ddl.PROGRESS)} SET "
                f"commit_number = {after.commit_number}, event_id = {after.event_id}, "
                f"epoch = {after.epoch}, shipped_at = now()"
            )
        self._made = dict(batch.schemas)

    def rows(self, table: str, columns: Schema, low: int | None, high: int | None) -> pa.Table:
        """Return rows in the order of their key, under the run's own names."""
        names = ", ".join(quoted(ddl.short(name)) for name in columns.names)
        order = ", ".join(quoted(ddl.short(name)) for name in unique_key(table))
        condition = ""
        if low is not None and high is not None:
            key = quoted(ddl.short(range_key(table)))
            condition = f" WHERE {key} >= {low} AND {key} < {high}"
        with self._errors(), self._open().cursor() as cursor:
            cursor.execute(f"SELECT {names} FROM {self._full(table)}{condition} ORDER BY {order}")
            found: pa.Table = cursor.fetch_arrow_table()
        return found.rename_columns(list(columns.names))

    def last_key(self, table: str) -> int:
        """Return the greatest range key of a table, or -1."""
        key = quoted(ddl.short(range_key(table)))
        (found,) = self._run(f"SELECT max({key}) FROM {self._full(table)}")[0]
        return -1 if found is None else int(found)

    def clear(self) -> None:
        """Empty every table of the run in one transaction and begin anew."""
        with self._transaction():
            self._progress(" FOR UPDATE")
            for (table,) in self._run(
                f"SELECT tablename FROM pg_tables WHERE schemaname = {ddl.literal(self._schema)}"
            ):
                if table != ddl.PROGRESS:
                    self._run(f"DELETE FROM {self._full(table)}")
            self._run(
                f"UPDATE {self._full(ddl.PROGRESS)} "
                "SET commit_number = -1, event_id = -1, epoch = -1"
            )

    def close(self) -> None:
        """Disconnect; may be called twice."""
        dbapi, self._dbapi = self._dbapi, None
        if dbapi is not None:
            with suppress(adbc_driver_manager.Error):
                dbapi.close()

    def _progress(self, lock: str = "") -> Progress:
        found = self._run(
            f"SELECT commit_number, event_id, epoch FROM {self._full(ddl.PROGRESS)} "
            f"WHERE one = 1{lock}"
        )
        return Progress(*(int(number) for number in found[0]))

    def _make_tables(self, schemas: Mapping[str, Schema]) -> None:
        fresh = [table for table in schemas if table not in self._made]
        for table in fresh:
            for statement in ddl.create_table(self._schema, table, schemas[table]):
                self._run(statement)
        if fresh:
            prefix = objects_table("")
            kinds = [table.removeprefix(prefix) for table in schemas if table.startswith(prefix)]
            for statement in ddl.create_views(self._schema, kinds):
                self._run(statement)

    def _remove(self, table: str, rows: pa.Table, batch: Batch) -> None:
        """Remove what the rows take the place of."""
        full = self._full(table)
        if table in batch.whole:
            self._run(f"DELETE FROM {full}")
        elif table == "frames":
            numbers = {*rows.column("frame_id").to_pylist(), *batch.frame_ids}
            if numbers:
                self._run(f"DELETE FROM {full} WHERE frame_id = ANY({_array(numbers)})")
        elif range_key(table) == "set_id" and batch.set_ids:
            self._run(f"DELETE FROM {full} WHERE set_id = ANY({_array(batch.set_ids)})")

    def _copy(self, table: str, rows: pa.Table) -> None:
        if rows.num_rows == 0:
            return
        named = without_nul(rows).rename_columns([ddl.short(n) for n in rows.column_names])
        with self._errors(), self._open().cursor() as cursor:
            cursor.adbc_ingest(ddl.short(table), named, mode="append", db_schema_name=self._schema)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._run("BEGIN")
        try:
            yield
        except BaseException:
            with suppress(StoreError):
                self._run("ROLLBACK")
            raise
        self._run("COMMIT")

    def _run(self, sql: str) -> list[tuple[Any, ...]]:
        with self._errors(), self._open().cursor() as cursor:
            cursor.execute(sql)
            return [tuple(row) for row in cursor.fetchall()] if cursor.description else []

    def _open(self) -> "Connection":
        if self._dbapi is None:
            raise StoreError(f"the mirror {self.name} is not connected")
        return self._dbapi

    def _full(self, table: str) -> str:
        return f"{quoted(self._schema)}.{quoted(ddl.short(table))}"

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except adbc_driver_manager.Error as error:
            reason = str(error).split("\n\nQuery was:", maxsplit=1)[0].strip()
            raise StoreError(
                f"the mirror {self.name} answered: {self._secrets.hide(' '.join(reason.split()))}"
            ) from None  # what was raised may hold the URL


def _array(numbers: Iterable[int]) -> str:
    return "'{" + ",".join(str(int(number)) for number in sorted(numbers)) + "}'::int8[]"
