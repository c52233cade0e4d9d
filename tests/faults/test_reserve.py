"""Room that a run holds on the disk, and gives up when there is none left."""

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dipstream.errors import StoreError
from dipstream.service import LiveRun, resume
from dipstream.store import RunReader, verify_run
from dipstream.store.folder import RunFolder
from dipstream.store.reserve import Reserve, disk_is_full

FULL = OSError(errno.ENOSPC, "No space left on device")


def held(folder: Path) -> list[int]:
    return [path.stat().st_blocks * 512 for path in folder.glob("reserve.*")]


def test_room_is_held_while_the_run_goes_on(tmp_path: Path) -> None:
    with Reserve(tmp_path, 2) as reserve:
        (size,) = held(tmp_path)
        assert size >= 2_000_000, "not a hole: blocks of the disk"
        assert not reserve.release(StoreError("the camera is gone"))
        assert reserve.release(FULL)
        assert held(tmp_path) == []
        assert reserve.release(FULL), "it stays released"
    assert held(tmp_path) == []


def test_none_is_wanted(tmp_path: Path) -> None:
    with Reserve(tmp_path, 0) as reserve:
        assert held(tmp_path) == []
        assert reserve.problem == ""
        assert not reserve.release(FULL)


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / "reserve.1").write_bytes(b"x" * 1000)
    with Reserve(tmp_path, 1):
        assert [path.name for path in tmp_path.glob("reserve.*")] == [f"reserve.{os.getpid()}"]


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.EINVAL])
def test_a_file_system_that_cannot_allocate_is_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "posix_fallocate", refuse, raising=False)
    with Reserve(tmp_path, 1.5) as reserve:
        (path,) = tmp_path.glob("reserve.*")
        assert path.stat().st_size == 1_500_000
        assert len(set(path.read_bytes()[:4096])) > 200, "nothing that could be compressed away"
        assert reserve.problem == ""


def test_a_disk_without_room_is_a_problem_and_no_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise FULL

    monkeypatch.setattr(os, "posix_fallocate", refuse, raising=False)
    with Reserve(tmp_path, 1) as reserve:
        assert "no reserve of 1 MB could be made" in reserve.problem
        assert held(tmp_path) == []


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


ERRORS = {
    "the system's": (FULL, True),
    "a quota": (OSError(errno.EDQUOT, "Disk quota exceeded"), True),
    "SQLite's": (StoreError("the table answered: database or disk is full"), True),
    "behind another": (caused(StoreError("labels"), FULL), True),
    "a broken disk": (OSError(errno.EIO, "Input/output error"), False),
    "SQLite on a broken disk": (StoreError("the table answered: disk I/O error"), False),
}


@pytest.mark.parametrize("name", ERRORS)
def test_only_a_full_disk_is_full(tmp_path: Path, name: str) -> None:
    error, full = ERRORS[name]
    assert disk_is_full(error, tmp_path) is full


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """A file system of so many MB in memory; it may be asked for again with another size."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    place = tmp_path / "disk"
    place.mkdir()

    def mounted(mb: int) -> Path:
        again = ["-o", "remount"] if place.is_mount() else []
        command = ["mount", "-t", "tmpfs", *again, "-o", f"size={mb}m", "tmpfs", str(place)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
        return place

    yield mounted
    if place.is_mount():
        subprocess.run(["umount", "-l", str(place)], check=False)


def test_a_full_disk_is_written_about(
    small_disk: Callable[[int], Path],
    run: Callable[..., LiveRun],
    make_frame: Callable[..., Any],
    scripted: Any,
) -> None:
    home = small_disk(4)
    frames = [make_frame(t) for t in range(3000)]
    live = run(frames, home=home, reserve_mb=1, policy="block", queue_mb=1)
    assert held(live.folder) == [pytest.approx(1e6, rel=0.01)]
    live.wait()
    assert isinstance(live.error, StoreError)
    record = live.reader.record
    assert record.state == "failed"
    assert "full" in record.reason
    assert held(live.folder) == []
    events = RunReader(RunFolder(live.folder)).events()
    assert events["kind"].tolist()[-1] == "failed", "the table says so too"
    last = json.loads((live.folder / "log.jsonl").read_text().splitlines()[-1])
    assert (last["kind"], last["level"]) == ("failed", "error")
    done = verify_run(RunFolder(live.folder))
    assert done.accounting["analysed"] > 0
    wrong = {one.check for one in done.findings}
    assert wrong <= {"frames"}, "frames may be pending; nothing else is wrong"
    small_disk(32)
    with resume(live.folder, source=scripted([], replayable=False)) as again:
        again.wait()
    ended = verify_run(RunFolder(live.folder))
    assert ended.findings == ()
    assert ended.accounting["analysed"] >= done.accounting["analysed"]
