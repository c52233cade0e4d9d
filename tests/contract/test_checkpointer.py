"""Checkpoints beside the writer: commits wait for nobody, and the log does not grow for ever."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count, pairwise
from pathlib import Path

import pyarrow as pa
import pytest

from dipstream.errors import StoreError
from dipstream.store import Checkpointer, RunWriter
from dipstream.store.connection import Connection

MB = 1_000_000


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / "table #1.db"


@pytest.fixture
def connection(table: Path) -> Iterator[Connection]:
    with Connection(table, durability="normal") as made:
        made.execute("CREATE TABLE pages (number INTEGER PRIMARY KEY, content BLOB)")
        made.execute("PRAGMA wal_autocheckpoint = 0")
        yield made


@pytest.fixture
def problems() -> list[StoreError]:
    return []


def log_of(table: Path) -> int:
    return table.with_name(table.name + "-wal").stat().st_size


def writes(connection: Connection) -> Callable[[], float]:
    """Return what commits 200 kB more, and says how many seconds that took."""
    numbers = count()

    def write() -> float:
        rows = [next(numbers) for _ in range(50)]
        batch = pa.record_batch({"number": rows, "content": [bytes(4000)] * len(rows)})
        begin = time.monotonic()
        with connection.transaction():
            connection.append("pages", batch)
        return time.monotonic() - begin

    return write


def until(true: Callable[[], bool], meanwhile: Callable[[], object], limit_s: float = 30) -> None:
    end = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < end, "it never happens"
        meanwhile()


def test_the_log_is_folded_in_while_frames_come_without_a_pause(
    table: Path, connection: Connection, problems: list[StoreError]
) -> None:
    write, took, sizes = writes(connection), [0.0], [0]

    def cut_twice() -> bool:
        return sum(after < before for before, after in pairwise(sizes)) >= 2

    def write_more() -> None:
        took.append(write())
        sizes.append(log_of(table))

    with Checkpointer(table, problems.append, every_s=0.02, restart_mb=1, keep_mb=4):
        until(cut_twice, write_more)
        assert sorted(took)[len(took) // 2] < 0.1
        # When it is quiet, nothing stays in a log that is too long.
        until(lambda: log_of(table) <= 4 * MB, lambda: time.sleep(0.01))
    assert problems == []
    assert connection.execute("SELECT count(*) FROM pages") == [((len(took) - 1) * 50,)]


def test_a_log_that_cannot_be_cut_is_begun_anew_between_two_commits(
    table: Path, connection: Connection, problems: list[StoreError]
) -> None:
    write = writes(connection)
    with Checkpointer(table, problems.append, every_s=60, keep_mb=1, patience_ms=0) as checkpointer:

        def checkpoint_in_a_commit(number: int) -> int:
            with connection.transaction():  # whenever the checkpointer looks, the lock is taken
                checkpointer._checkpoint()
                connection.execute("INSERT INTO pages (number) VALUES (?)", (number,))
            return log_of(table)

        for _ in range(10):
            write()
        length = checkpoint_in_a_commit(-1)
        assert length > MB
        write()
        assert log_of(table) > length, "there was something left to copy"
        length = checkpoint_in_a_commit(-2)
        checkpointer.relieve(connection)
        write()
        assert log_of(table) == length
    assert problems == []


def test_a_run_begins_a_log_that_is_overdue_anew(table: Path) -> None:
    with (
        closing(RunWriter(table)) as writer,
        writer.start_checkpointer(lambda error: None) as checkpointer,
    ):
        checkpointer._overdue = True
        with writer.transaction():
            writer.add_event(1, "info", "one")
        assert not checkpointer._overdue


def test_a_reader_of_an_old_state_holds_up_the_log_and_nobody_else(
    table: Path, connection: Connection, problems: list[StoreError]
) -> None:
    write = writes(connection)
    write()
    with Checkpointer(table, problems.append, every_s=0.02, restart_mb=1, keep_mb=4):
        with Connection(table, read_only=True) as reader:
            reader.execute("BEGIN")
            assert reader.execute("SELECT count(*) FROM pages") == [(50,)]
            took = [write() for _ in range(150)]
            assert log_of(table) > 25 * MB, "the reader needs it"
            assert max(took) < 2, "the writer waits neither for the reader nor for its checkpoint"
            assert reader.execute("SELECT count(*) FROM pages") == [(50,)]
        until(lambda: log_of(table) <= 4 * MB, write)
    assert problems == []


def test_a_reader_that_stays_takes_a_twentieth_of_the_time_at_most(
    table: Path,
    connection: Connection,
    problems: list[StoreError],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write, now, cut_at = writes(connection), [100.0], []
    fold = Checkpointer._fold

    def watched(checkpointer: Checkpointer, how: str) -> tuple[int, int]:
        if how == "TRUNCATE":
            cut_at.append(now[0])
        return fold(checkpointer, how)

    monkeypatch.setattr(Checkpointer, "_fold", watched)
    write()
    with (
        Checkpointer(
            table, problems.append, every_s=60, keep_mb=1, patience_ms=1, clock=lambda: now[0]
        ) as checkpointer,
        Connection(table, read_only=True) as reader,
    ):
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM pages") == [(50,)]
        for _ in range(25):
            write()
        for _ in range(1000):
            checkpointer._checkpoint()
            now[0] += 0.001
        rests = [after - before for before, after in pairwise(cut_at)]
        longer = [0.001] * 4  # 1, 2, 4, 8 and 16 ms
        assert rests == pytest.approx([*longer, 0.32, 0.32, 0.32], abs=0.0011)
        assert log_of(table) > 4 * MB
        reader.execute("COMMIT")
        checkpointer._checkpoint()
        assert log_of(table) == 0, "it is gone: nothing is left to rest for"
    assert problems == []


@pytest.mark.parametrize("each_s", [0.005, 0.05])
def test_readers_that_follow_each_other_do_not_keep_the_log(
    table: Path, connection: Connection, problems: list[StoreError], each_s: float
) -> None:
    write, sizes, ended = writes(connection), [0], threading.Event()
    write()

    def read_on_and_on() -> None:
        with Connection(table, read_only=True) as one, Connection(table, read_only=True) as other:
            other.execute("BEGIN")
            while not ended.is_set():
                for reader, before in ((one, other), (other, one)):
                    reader.execute("BEGIN")
                    reader.execute("SELECT count(*) FROM pages")
                    time.sleep(each_s)
                    before.execute("COMMIT")

    def write_more() -> None:
        write()
        sizes.append(log_of(table))
        time.sleep(0.005)

    readers = threading.Thread(target=read_on_and_on)
    readers.start()
    try:
        with Checkpointer(table, problems.append, every_s=0.05, restart_mb=1, keep_mb=1):
            until(lambda: any(after < before for before, after in pairwise(sizes)), write_more)
    finally:
        ended.set()
        readers.join()
    assert problems == []


def test_a_commit_makes_no_checkpoint_itself(table: Path) -> None:
    writer = RunWriter(table)
    with writer.start_checkpointer(lambda error: None) as checkpointer:
        (pages,) = writer._connection.execute("PRAGMA wal_autocheckpoint")[0]
        assert pages == 0
        with writer.transaction():
            writer.add_event(1, "info", "one")
    checkpointer.close()
    writer.checkpoint()
    writer.close()
    writer.close()
    assert [path.name for path in table.parent.iterdir()] == [table.name]


def test_the_end_does_not_wait_for_the_next_checkpoint(
    table: Path, connection: Connection, problems: list[StoreError]
) -> None:
    del connection
    checkpointer = Checkpointer(table, problems.append, every_s=60)
    names = [thread.name for thread in threading.enumerate()]
    begin = time.monotonic()
    checkpointer.close()
    assert time.monotonic() - begin < 5
    assert "checkpointer" in names
    assert "checkpointer" not in [thread.name for thread in threading.enumerate()]


FULL_DISK = """
import resource, signal, sys, time
from pathlib import Path
import pyarrow as pa
from dipstream.store import Checkpointer
from dipstream.store.connection import Connection

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
told = []
with Connection(Path(sys.argv[1]), durability="normal") as connection:
    connection.execute("CREATE TABLE pages (content BLOB)")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, 3_000_000))
    checkpointer = Checkpointer(Path(sys.argv[1]), told.append, every_s=0.01, restart_mb=0.1)
    batch = pa.record_batch({"content": [bytes(4000)] * 100})
    end = time.monotonic() + 20
    while not told and time.monotonic() < end:
        with connection.transaction():
            connection.append("pages", batch)
        time.sleep(0.05)
    checkpointer.close()
print(len(told), type(told[0]).__name__, told[0])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="files have no limit of their size")
def test_a_full_disk_is_told_once(table: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(table)],
        capture_output=True,
        check=False,
        encoding="utf-8",
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("1 StoreError the log could not be folded into the table: ")
    assert str(table) in done.stdout
