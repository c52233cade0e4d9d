"""A run's folder: one writer at a time, run.json, how runs are found again."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from dipstream.errors import StoreError
from dipstream.store import RunFolder, RunLock, RunRecord, find_run, list_runs, new_run

# One writer a run.

HOLDER = """
import sys, time
from pathlib import Path
from dipstream.store import RunLock
with RunLock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, encoding="utf-8"
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate(timeout=10)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_second_writer_is_refused_until_the_first_is_gone(
    tmp_path: Path, holder: "subprocess.Popen[str]"
) -> None:
    def enter() -> None:
        with RunLock(tmp_path):
            pass

    with pytest.raises(StoreError, match=f"is being written by process {holder.pid} on .* since "):
        enter()
    assert RunLock(tmp_path).taken
    with pytest.raises(StoreError, match=f"process {holder.pid} on "):
        enter()  # asking does not wipe out who holds it
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait(10)
    enter()
    assert not RunLock(tmp_path).taken


def test_a_run_that_cannot_be_locked_says_why(tmp_path: Path) -> None:
    (tmp_path / "run.lock").mkdir()  # what nobody can write into, not even root
    with pytest.raises(StoreError, match="cannot be locked"), RunLock(tmp_path):
        pass
    assert RunLock(tmp_path).taken


def test_a_lock_is_taken_once_in_a_process_too(tmp_path: Path) -> None:
    def enter() -> None:
        with RunLock(tmp_path):
            pass

    (tmp_path / "run.lock").write_text("process 123456789012345 of long ago")
    with RunLock(tmp_path), pytest.raises(StoreError, match=f"by process {os.getpid()} on "):
        enter()
    enter()


# Folders.


def test_run_json_is_replaced_as_one(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    before = folder.read()

    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(StoreError, match=r"run\.json cannot be written: No space"):
        folder.update(state="failed")
    assert folder.read() == before
    monkeypatch.undo()
    assert folder.update(state="finished", accounting={"received": 2}) == folder.read()
    assert folder.read().state == "finished"
    assert asdict(folder.read())["channels"] == ("DAPI", "µ")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"run_id": "a"}', '{"channels": 3}'])
def test_a_run_json_that_is_none(folder: RunFolder, text: str) -> None:
    (folder.path / "run.json").write_text(text)
    with pytest.raises(StoreError, match=r"run\.json is not what a run writes"):
        folder.read()


@pytest.fixture
def three(home: Path, record: Callable[..., RunRecord]) -> list[RunFolder]:
    made = []
    for k in range(3):
        one = new_run(home, f"nuclei{k}")
        one.write(record(one.run_id, created_ns=k))
        made.append(one)
    return made


def test_runs_are_found(home: Path, three: list[RunFolder], tmp_path: Path) -> None:
    assert [folder for folder, _ in list_runs(home)] == three[::-1], "newest first"
    assert find_run(home, "latest") == three[2]
    assert find_run(home, three[0].run_id) == three[0]
    assert find_run(tmp_path, three[1].path) == three[1]
    with pytest.raises(StoreError) as refused:
        find_run(home, three[0].run_id[:-1])
    for word in [f"no run '{three[0].run_id[:-1]}'", "3 runs", f"did you mean {three[0].run_id}"]:
        assert word in str(refused.value)


def test_no_runs_yet(home: Path) -> None:
    with pytest.raises(StoreError, match=r"no runs under .* yet; start with `dipstream demo`"):
        find_run(home, "latest")
    assert list(list_runs(home)) == []


@pytest.mark.parametrize("text", ["", "{", '{"from": "a later version"}'])
def test_a_folder_that_is_no_run_is_passed_over(
    home: Path, three: list[RunFolder], text: str
) -> None:
    other = home / "runs" / "zzz"
    other.mkdir()
    (other / "run.json").write_text(text)
    assert [folder for folder, _ in list_runs(home)] == three[::-1]
    assert find_run(home, "latest") == three[2]


def test_a_place_where_no_run_can_be_kept(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(StoreError, match=r"no run can be kept under .*DIPSTREAM_HOME"):
        new_run(tmp_path, "nuclei")
