"""What every mirror must do, whether a database or a folder: one suite for both."""

import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dipstream.errors import StoreError
from dipstream.mirror import RunTail, catch_up, open_target
from dipstream.mirror.progress import Batch, Moved, Progress
from dipstream.service import LiveRun
from dipstream.store import RunFolder
from dipstream.store.connection import Connection
from tests.faults.mirroring import assert_equal, compared, paced, rewrite, ship

Started = Callable[..., LiveRun]


@pytest.fixture(params=["postgres", "folder"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "folder":
        return str(tmp_path / "mirror é")
    return str(request.getfixturevalue("server").url())


def test_built_in_slices_of_any_size(
    address: str, run: Started, make_frame: Any, make_bad: Any, to_end: Any
) -> None:
    script = [*(make_frame(t, seq=t) for t in range(50)), make_bad(51)]
    live = run(script)
    to_end(live)
    ship(live.folder, address, commits=3, rows=4)
    assert_equal(live, address)
    ship(live.folder, address)
    assert_equal(live, address)


def test_superseded_sets_take_the_place_of_the_old(
    address: str, run: Started, make_frame: Any, to_end: Any
) -> None:
    live = run([make_frame(t) for t in range(30)])
    to_end(live)
    ship(live.folder, address, commits=4)
    for set_id in (0, 7, 8, 29):
        rewrite(live.folder, set_id)
    found = compared(live.folder, address)
    assert found.behind == 4
    assert found.equal, "what was not shipped yet is behind, not wrong"
    ship(live.folder, address, commits=2)
    found = assert_equal(live, address)
    assert found.rows["objects_nuclei"] == 56


def test_nothing_of_a_slice_that_fails(
    address: str, run: Started, make_frame: Any, to_end: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = run([make_frame(t) for t in range(20)])
    to_end(live)
    folder = RunFolder(live.folder)
    ship(live.folder, address)
    rewrite(live.folder, 3)
    target, tail = open_target(address), RunTail(folder.table)
    progress = target.open(folder.read())
    batch = tail.read(progress)
    assert batch is not None
    broken = replace(batch, after=Progress(10**30, 0, 0))  # no column holds this number
    with monkeypatch.context() as patch:
        patch.setattr("dipstream.mirror.lake.write_manifest", _disk_full)
        with pytest.raises(StoreError):
            target.write(broken)
    target.close()
    found = compared(live.folder, address)
    assert found.behind == 1
    assert found.equal
    ship(live.folder, address)
    assert_equal(live, address)


def _disk_full(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_a_slice_that_was_written_is_not_written_again(
    address: str, run: Started, make_frame: Any, to_end: Any
) -> None:
    live = run([make_frame(t) for t in range(20)])
    to_end(live)
    folder = RunFolder(live.folder)
    target, tail = open_target(address), RunTail(folder.table, commits=5)
    progress = target.open(folder.read())
    batches: list[Batch] = []
    while (batch := tail.read(progress)) is not None:
        batches.append(batch)
        target.write(batch)
        progress = batch.after
    assert len(batches) == 4
    for batch in batches:
        with pytest.raises(Moved) as moved:
            target.write(batch)
        assert moved.value.progress == progress
    target.close()
    assert_equal(live, address)


def test_followed_while_the_run_goes_on(
    address: str, run: Started, make_frame: Any, to_end: Any
) -> None:
    live = run(paced(make_frame, 120, 0.01), mirror=[address], mirror_every_s=0.1)
    time.sleep(0.5)
    found: list[int] = []
    while not live.poll(0.05):
        with suppress(StoreError):  # there is no mirror yet, or a file was exchanged just now
            one = compared(live.folder, address)
            assert one.differences == [], "at every moment, what is there is right"
            found.append(one.rows["image_sets"])
    to_end(live)
    assert found, "it was looked at in between"
    assert_equal(live, address)


def test_a_mirror_that_is_not_there_cannot_be_compared(
    address: str, run: Started, make_frame: Any, to_end: Any
) -> None:
    live = run([make_frame(0)])
    to_end(live)
    with pytest.raises(StoreError, match="build it with `dipstream mirror"):
        compared(live.folder, address)


def test_the_log_is_folded_in_at_the_end(
    address: str, run: Started, make_frame: Any, to_end: Any
) -> None:
    """A reader that held on to the table would keep the writer from it."""
    live = run([make_frame(t) for t in range(30)], mirror=[address], mirror_every_s=0.01)
    to_end(live)
    assert all(path.stat().st_size == 0 for path in live.folder.glob("table.db-wal"))


@pytest.mark.parametrize("lost", ["commits", "events"])
def test_a_run_that_has_lost_what_its_mirror_has(
    address: str, run: Started, make_frame: Any, to_end: Any, tmp_path: Path, lost: str
) -> None:
    """Power was cut with the durability `normal`, and the run went on with the same numbers."""
    live = run([make_frame(t) for t in range(20)])
    to_end(live)
    ship(live.folder, address)
    with Connection(live.folder / "table.db") as table, table.transaction():
        if lost == "commits":
            for name in ("objects_nuclei", "track_events", "image_sets", "frames"):
                table.execute(f"DELETE FROM {name} WHERE set_id >= 15")
            table.execute("DELETE FROM commits WHERE set_id >= 17")
            table.execute("UPDATE commits SET set_id = 3, epoch = 2 WHERE set_id >= 15")
            table.execute("INSERT INTO commits VALUES (18, 1, 1, NULL, 'x', 2, 5)")
        else:
            table.execute("UPDATE events SET time_ns = time_ns + 1 WHERE event_id > 0")
    ship(live.folder, address)
    found = compared(live.folder, address)
    assert found.differences == []
    assert found.rows["image_sets"] == (15 if lost == "commits" else 20)


def test_a_table_of_before_there_were_commits_is_refused(
    address: str, run: Started, make_frame: Any, to_end: Any, tmp_path: Path
) -> None:
    live = run([make_frame(0)])
    to_end(live)
    old = shutil.copytree(live.folder, tmp_path / "old")
    with Connection(old / "table.db") as table:
        table.execute("PRAGMA user_version = 1")
    target = open_target(address)
    with pytest.raises(StoreError, match="a mirror needs version 2"):
        catch_up(RunTail(old / "table.db"), target, RunFolder(old).read())
    target.close()
