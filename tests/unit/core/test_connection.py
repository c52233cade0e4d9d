"""The one way to SQLite: values in and out, and errors that say which table."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dipstream.errors import StoreError
from dipstream.store.connection import Connection


@pytest.fixture
def connection(tmp_path: Path) -> Any:
    with Connection(tmp_path / "table.db") as opened:
        yield opened


def test_a_column_that_begins_with_thousands_of_nulls(connection: Connection) -> None:
    """SQLite has no types; the driver would take the first 1,024 rows for the whole answer."""
    sql = (
        "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) "
        "SELECT i, CASE WHEN i = 3000 THEN 'µ' END, CASE WHEN i > 2000 THEN i / 2.0 END FROM n"
    )
    rows = connection.all_rows(sql)
    assert len(rows) == 3001
    assert rows[0] == (0, None, None)
    assert rows[-1] == (3000, "µ", 1500.0)
    assert connection.query(sql).column(1)[3000].as_py() == "µ"


def test_statements_without_an_answer_and_answers_without_rows(connection: Connection) -> None:
    assert connection.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)") == []
    assert connection.execute("INSERT INTO t VALUES (?, ?)", (1, "x")) == []
    assert connection.execute("SELECT * FROM t WHERE a > 5") == []
    assert connection.execute("INSERT INTO t VALUES (2, 'y') RETURNING a, b") == [(2, "y")]
    assert connection.ask("SELECT b FROM t WHERE a = 7") is None


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        (7, 7), (-(2**63), -(2**63)), (1.5, 1.5), ("µm", "µm"), (b"\0\1", b"\0\1"), (None, None),
        (np.int64(7), 7), (np.uint16(7), 7), (np.float64(1.5), 1.5), (np.str_("a"), "a"),
        (True, 1),
    ],
)  # fmt: skip
def test_parameters(connection: Connection, given: Any, stored: Any) -> None:
    """A driver of another package may well count its time points with numpy."""
    ((found, kind),) = connection.execute("SELECT ?1, typeof(?1)", (given,))
    assert (found, type(found)) == (stored, type(stored))
    names = {int: "integer", float: "real", str: "text", bytes: "blob", type(None): "null"}
    assert kind == names[type(stored)]


@pytest.mark.parametrize("ask", ["execute", "query", "ask", "run"])
def test_errors_name_the_table(connection: Connection, ask: str, tmp_path: Path) -> None:
    connection.execute("CREATE TABLE t (a INTEGER PRIMARY KEY)")
    for wrong in ("SELECT b FROM t", "SELEKT 1", "INSERT INTO t VALUES ('x')"):
        with pytest.raises(StoreError, match=str(tmp_path / "table.db")):
            getattr(connection, ask)(wrong)
    assert connection.execute("SELECT count(*) FROM t") == [(0,)], "nothing is left open"


def test_an_answer_that_breaks_off_is_an_error(tmp_path: Path) -> None:
    """Pages that are damaged are met while the answer is read, long after the question."""
    table = tmp_path / "table.db"
    with Connection(table) as connection:
        connection.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)")
        with connection.transaction():
            for n in range(300):
                connection.execute("INSERT INTO t VALUES (?, ?)", (n, "x" * 400))
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = bytearray(table.read_bytes())
    content[20 * 4096 : 24 * 4096] = b"\xff" * (4 * 4096)
    table.write_bytes(content)
    with Connection(table, read_only=True) as connection:
        for ask in (connection.execute, connection.query):
            with pytest.raises(StoreError, match="malformed"):
                ask("SELECT * FROM t")
