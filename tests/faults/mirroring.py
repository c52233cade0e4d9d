"""What the tests of mirrors share: a server for the session, runs to mirror, the comparison."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dipstream.mirror import Comparison, RunTail, catch_up, compare, open_target
from dipstream.service import LiveRun
from dipstream.store import RunFolder
from dipstream.store.connection import Connection
from tests.faults.database import Server

__all__ = ["assert_equal", "compared", "paced", "rewrite", "rows_in", "settled", "ship"]


def compared(folder: Path, address: str) -> Comparison:
    """Every row of a run beside that of its mirror."""
    run, target = RunFolder(folder), open_target(address)
    try:
        return compare(RunTail(run.table), target, run.read())
    finally:
        target.close()


def ship(folder: Path, address: str, **sizes: int) -> None:
    """Bring a mirror up to date, in slices of this size."""
    run, target = RunFolder(folder), open_target(address)
    try:
        catch_up(RunTail(run.table, **sizes), target, run.read())
    finally:
        target.close()


def assert_equal(run: LiveRun, address: str) -> Comparison:
    """The mirror has every row of the run, as it is there, and none twice."""
    found = compared(run.folder, address)
    assert found.differences == []
    assert found.behind == 0
    frames = run.frames()
    assert found.rows["frames"] == len(frames)
    assert found.rows["image_sets"] == frames["set_id"].nunique()
    return found


def paced(make_frame: Callable[..., Any], n: int, pause_s: float) -> list[Any]:
    """A script of frames with a pause before each."""
    script: list[Any] = []
    for t in range(n):
        script += [lambda source: source._stopping.wait(pause_s), make_frame(t, seq=t)]
    return script


def rows_in(server: Server, run: LiveRun, table: str) -> int:
    """How many rows the database has; counted by itself, not by what is tested."""
    return int(server.ask(f'SELECT count(*) FROM "{run.run_id}"."{table}"')[0][0])


def settled(true: Callable[[], bool], seconds: float = 20) -> None:
    """Wait until something is so, but not for ever."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


def rewrite(folder: Path, set_id: int) -> None:
    """Supersede an image set by one with fewer objects, as a rewritten file does."""
    with Connection(RunFolder(folder).table) as table, table.transaction():
        table.execute("DELETE FROM objects_nuclei WHERE set_id = ? AND label = 2", (set_id,))
        table.execute(
            "UPDATE image_sets SET content_version = content_version + 1, n_objects = 1 "
            "WHERE set_id = ?",
            (set_id,),
        )
        table.execute("UPDATE frames SET snr = 0.5 WHERE set_id = ?", (set_id,))
        table.execute(
            "INSERT INTO commits SELECT max(commit_number) + 1, ?, 2, NULL, 'x', 1, 0 FROM commits",
            (set_id,),
        )
