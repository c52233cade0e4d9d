"""Two processes never write one run: the lock names the holder, the epoch decides."""

import os
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from dipstream.errors import ConfigError, StoreError
from dipstream.pipeline import open_plan
from dipstream.pipeline.plan import stored_plan
from dipstream.run.log import RunLog
from dipstream.service import resume
from dipstream.store import RunFolder, RunLock, RunReader, RunRecord, RunWriter
from dipstream.store.connection import Connection


def test_a_writer_that_was_taken_over_never_commits_again(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    first = RunWriter(folder.table, holder="process 1 on bench")
    with first.transaction():
        first.add_event(1, "info", "mine")
    second = RunWriter(folder.table, holder="process 2 on desk")
    with second.transaction():
        second.add_event(2, "info", "theirs")

    def commit() -> None:
        with first.transaction():
            first.add_event(3, "info", "too late")

    for _ in range(2):
        with pytest.raises(StoreError, match="taken over this run: process 2 on desk"):
            commit()
    assert first.taken_over
    assert not second.taken_over
    first.close()
    with second.transaction():
        second.add_event(4, "info", "still theirs")
    second.close()
    third = RunWriter(folder.table)
    assert third.epoch == 3
    third.close()


def test_numbers_of_a_commit_that_failed_are_given_again(tmp_path: Path) -> None:
    writer = RunWriter(tmp_path / "table.db")

    def fail() -> None:
        with writer.transaction():
            writer.add_event(1, "info", "never")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    with writer.transaction():
        writer.add_event(1, "info", "first")
    assert writer._connection.execute("SELECT event_id FROM events") == [(0,)]
    writer.close()


@pytest.mark.skipif(sys.platform == "win32", reason="a file in use cannot be replaced")
def test_a_lock_is_taken_from_a_holder_that_hangs(tmp_path: Path) -> None:
    with RunLock(tmp_path) as hanging:
        with RunLock(tmp_path, steal=True) as thief:
            assert thief.stolen_from == hanging.holder
            assert not thief.problem
            assert RunLock(tmp_path).current_holder == thief.holder
            with pytest.raises(StoreError, match="--take-over"), RunLock(tmp_path):
                pass
        assert RunLock(tmp_path).current_holder is None, "the old lock holds nothing any more"
        with RunLock(tmp_path):
            pass


@pytest.mark.skipif(sys.platform == "win32", reason="there is no flock")
def test_where_there_are_no_locks_the_run_goes_on_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    with RunLock(tmp_path) as lock:
        assert "No locks available" in lock.problem


@pytest.mark.skipif(sys.platform == "win32", reason="a file in use cannot be replaced")
def test_a_run_that_is_taken_over_ends_and_says_by_whom(
    run: Callable[..., Any], scripted: Any, make_frame: Any, book: Any, to_end: Any
) -> None:
    go_on: list[Any] = []

    def hang(source: Any) -> None:
        go_on.append(source)
        while len(go_on) < 2:
            source._stopping.wait(0.01)

    frames = [make_frame(t) for t in range(8)]
    first = run(scripted([*frames[:3], hang, *frames[3:]]), channels=("DAPI",))
    while len(first.frames()) < 3 or first.reader.accounting().get("pending"):
        first.poll(0.01)
    second = resume(first.folder, source=scripted(frames[3:]), steal=True, mailbox=False)
    assert second.poll(20)
    accounting = second.wait()
    assert accounting.analysed == 8
    go_on.append("now")
    assert first.poll(20)
    first.wait()
    assert first.error is not None
    assert f"taken over this run: process {os.getpid()} on" in str(first.error)
    assert first.reader.record.state == "finished", "what is said of the run is the new holder's"
    assert first.frames()["t"].tolist() == list(range(8))
    commits = RunReader(RunFolder(first.folder)).table("commits")
    assert commits["epoch"].is_monotonic_increasing
    assert commits["commit_number"].tolist() == list(range(1, 9))


def test_a_run_taken_over_behind_its_last_commit_leaves_the_record_to_the_new_holder(
    run: Callable[..., Any], make_frame: Any, to_end: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = RunLog.write
    taken: list[RunFolder] = []

    def take_over(log: RunLog, kind: str, *said: Any, **fields: Any) -> None:
        write(log, kind, *said, **fields)
        if kind == "finished":  # the table is at its end, and only the record is still to come
            folder = RunFolder(Path(live.folder))
            thief = RunWriter(folder.table, holder="process 2 on desk")
            with thief.transaction():
                folder.update(state="running", reason="theirs")
            thief.close()
            taken.append(folder)

    monkeypatch.setattr(RunLog, "write", take_over)
    live = run([make_frame(t) for t in range(3)])
    assert to_end(live).analysed == 3
    (folder,) = taken
    record = folder.read()
    assert (record.state, record.reason) == ("running", "theirs")


def test_nobody_takes_a_run_over_while_its_record_is_written(
    run: Callable[..., Any], make_frame: Any, to_end: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = RunFolder.write
    states: list[str] = []

    def try_to_begin(folder: RunFolder, record: RunRecord) -> None:
        if folder.table.exists():  # not the first one, of a run that nobody else knows of
            with closing(Connection(folder.table, busy_ms=0)) as other:
                with pytest.raises(StoreError, match="locked"), other.transaction():
                    pass
                states.append(f"{record.state} {' '.join(record.channels)}")
        write(folder, record)

    monkeypatch.setattr(RunFolder, "write", try_to_begin)
    channels = "assemble: {channels: [DAPI]}\n"  # the source has none before its first frame
    live = run([make_frame(t) for t in range(3)], channels, channels=())
    assert to_end(live).analysed == 3
    assert states == ["running DAPI", "finished DAPI"]


def test_resume_of_a_run_at_its_end_changes_nothing(tmp_path: Path, cli: Any) -> None:
    done = cli("run", "sim:?fps=0&width=64&height=64&n=3&frames=6&channels=DAPI", "--json")
    assert done.code == 0, done.stderr
    table = Path(done.json["folder"]) / "table.db"
    before = table.read_bytes()
    again = cli("resume", "--json")
    assert again.code == 0
    assert "is finished: there is nothing to resume" in again.stderr
    assert again.json["run_id"] == done.json["run_id"]
    assert table.read_bytes() == before


def test_a_pipeline_that_is_not_what_it_was_is_refused() -> None:
    plan = open_plan("nuclei")
    same = stored_plan(plan.canonical, plan.folder, plan.name, plan.sha256)
    assert same.canonical == plan.canonical
    with pytest.raises(ConfigError, match="would not give the same numbers any more"):
        stored_plan(plan.canonical, plan.folder, plan.name, "0" * 64)


def test_an_unsound_sqlite_is_not_written_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dipstream.store.writer.sqlite_version", lambda: "3.50.4")
    with pytest.raises(StoreError, match=r"not written: SQLite 3\.50\.4 carries the WAL-reset bug"):
        RunWriter(tmp_path / "table.db")
    assert not (tmp_path / "table.db").exists()
