"""SQLite through ADBC: one writing connection, any number of read-only ones.

Everything in dipstream talks to SQLite through the copy that ADBC carries. A second copy in the
writer's process (Python's own `sqlite3`) would break SQLite's locks on POSIX systems when it
closes a file of the same name.

What ADBC has for Python's database interface (`adbc_driver_manager.dbapi`) is left alone: importing
it takes as long as all of numpy and pyarrow, for it imports pandas, and every start would wait.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import adbc_driver_manager
import adbc_driver_sqlite
import pyarrow as pa

from dipstream.errors import StoreError
from dipstream.store.arrow import one_row

__all__ = ["Connection", "check_sqlite", "quoted", "sqlite_version"]

_FIXED_LINES = {(3, 44): 6, (3, 50): 7}


class Connection:
    """A connection in autocommit mode with explicit transactions.

    Parameters
    ----------
    path
        The database file.
    read_only
        Open without any right to write.
    durability
        ``full``: a commit is on the disk when it returns; ``normal``: it survives the death of
        the process, but the last ones may be lost with the power.
    busy_ms
        How long to wait for a lock that another connection holds.
    """

    def __init__(
        self,
        path: Path,
        *,
        read_only: bool = False,
        durability: str = "full",
        busy_ms: int = 10_000,
    ) -> None:
        if read_only and not path.is_file():
            raise StoreError(f"there is no table at {path}; is this the folder of a run?")
        # `?`, `#` and `%` in a folder's name would otherwise be read as part of the URI.
        uri = "file:" + quote(path.resolve().as_posix()) + ("?mode=ro" if read_only else "")
        self._path = path
        self._prepared: dict[str, adbc_driver_manager.AdbcStatement] = {}
        try:
            self._database, self._connection = _connected(uri)
        except adbc_driver_manager.Error as error:
            raise StoreError(f"the table {path} cannot be opened: {error}") from error
        try:
            self.execute(f"PRAGMA busy_timeout = {busy_ms}")
            if not read_only:
                self.execute("PRAGMA journal_mode = WAL")
                self.execute(f"PRAGMA synchronous = {'FULL' if durability == 'full' else 'NORMAL'}")
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close; may be called twice."""
        while self._prepared:
            self._prepared.popitem()[1].close()
        self._connection.close()
        self._database.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what happens inside as one, or nothing of it."""
        self.run("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            # SQLite has rolled back by itself after some errors, a full disk for one.
            with suppress(StoreError):
                self.run("ROLLBACK")
            raise
        self.run("COMMIT")

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a statement and return its rows."""
        return _rows(self._answer(sql, parameters))

    def all_rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a query that may have thousands, in columns that may begin with NULL.

        `execute` takes the type of a column from the first 1,024 rows.
        """
        return _rows(self.query(sql, parameters))

    def run(self, sql: str, rows: pa.RecordBatch | None = None) -> None:
        """Run a statement without an answer, once for each row of a batch: its parameters.

        The statement is prepared once and kept, so its text should be one of few. Outside a
        transaction each row is one of its own.
        """
        if rows is not None and rows.num_rows == 0:
            return
        with self._errors():
            try:
                statement = self._prepared.get(sql) or self._prepare(sql)
                if rows is not None:
                    statement.bind(rows)
                statement.execute_update()
            except BaseException:
                # One that failed may still hold the rows it was given.
                if sql in self._prepared:
                    self._prepared.pop(sql).close()
                raise

    def ask(self, sql: str) -> Any:
        """Return the first column of the first row of a query, or None if there is no row.

        The statement is prepared once and kept, as by `run`.
        """
        with self._errors():
            try:
                statement = self._prepared.get(sql) or self._prepare(sql)
                # Read to its end: SQLite keeps a statement that is not in the middle of its answer.
                found = _read(statement)
            except BaseException:
                if sql in self._prepared:
                    self._prepared.pop(sql).close()
                raise
        return found.column(0)[0].as_py() if found.num_rows else None

    def append(self, table: str, rows: pa.RecordBatch, *, replace: bool = False) -> None:
        """Append rows to an existing table by column name; NaN becomes NULL.

        Parameters
        ----------
        table
            Its name.
        rows
            Columns with the names of the table's.
        replace
            Whether a row with the same key is replaced.
        """
        names = rows.schema.names
        verb = "INSERT OR REPLACE" if replace else "INSERT"
        self.run(
            f"{verb} INTO {quoted(table)} ({', '.join(map(quoted, names))}) "
            f"VALUES ({', '.join('?' * len(names))})",
            rows,
        )

    def _prepare(self, sql: str) -> adbc_driver_manager.AdbcStatement:
        statement = adbc_driver_manager.AdbcStatement(self._connection)
        try:
            statement.set_sql_query(sql)
            statement.prepare()
        except BaseException:
            statement.close()
            raise
        self._prepared[sql] = statement
        return statement

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """Return the rows of a query as an Arrow table, typed by its values."""
        # The driver guesses a column's type from the first batch: make that batch all rows. To keep
        # room for them takes longer than a short answer.
        return self._answer(sql, parameters, **{"adbc.sqlite.query.batch_rows": str(2**24)})

    def _answer(self, sql: str, parameters: Sequence[Any], **options: str) -> pa.Table:
        with (
            self._errors(),
            closing(adbc_driver_manager.AdbcStatement(self._connection)) as statement,
        ):
            statement.set_options(**options)
            statement.set_sql_query(sql)
            statement.prepare()
            if parameters:
                statement.bind(one_row(parameters))
            return _read(statement)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (adbc_driver_manager.Error, pa.ArrowException, OSError) as error:
            reason = re.split(r"\nquery(?: was)?: ", str(error))[0]
            raise StoreError(f"the table {self._path} answered: {reason}") from error


def _connected(
    uri: str | None = None,
) -> tuple[adbc_driver_manager.AdbcDatabase, adbc_driver_manager.AdbcConnection]:
    """Return a database and a connection to it, in autocommit mode; without a URI, in memory."""
    database = adbc_driver_sqlite.connect(uri)
    try:
        return database, adbc_driver_manager.AdbcConnection(database)
    except BaseException:
        database.close()
        raise


def _read(statement: adbc_driver_manager.AdbcStatement) -> pa.Table:
    """Run a prepared statement and return its whole answer."""
    return pa.RecordBatchReader.from_stream(statement.execute_query()[0]).read_all()


def _rows(table: pa.Table) -> list[tuple[Any, ...]]:
    # A tuple that is made of a generator, CPython puts aside when it is done with, thousands of
    # each length, and never takes it again: rows are made of whole columns.
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


def quoted(name: str) -> str:
    """Return a table or column name as SQL takes it, whatever characters it has."""
    return '"' + name.replace('"', '""') + '"'


def sqlite_version() -> str:
    """Return the version of the SQLite that ADBC carries."""
    database, connection = _connected()
    with (
        closing(database),
        closing(connection),
        closing(adbc_driver_manager.AdbcStatement(connection)) as statement,
    ):
        statement.set_sql_query("SELECT sqlite_version()")
        return str(_read(statement).column(0)[0].as_py())


def check_sqlite(version: str) -> str | None:
    """Return what is wrong with a version of SQLite, or None.

    Versions 3.7.0 to 3.51.2 can corrupt a database in WAL mode that two connections write or
    checkpoint at once; fixed in 3.51.3 and, backported, in 3.44.6 and 3.50.7.
    """
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:3])
    line, patch = numbers[:2], numbers[2] if len(numbers) > 2 else 0
    if numbers >= (3, 51, 3) or patch >= _FIXED_LINES.get((line[0], line[1]), 1 << 30):
        return None
    return (
        f"SQLite {version} carries the WAL-reset bug, which can corrupt a table; "
        "update adbc-driver-sqlite to one with SQLite 3.51.3 or newer"
    )
