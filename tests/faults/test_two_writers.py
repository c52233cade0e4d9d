"""A process that writes a run is paused, another takes the run over, the first one wakes."""

import os
import random
import re
import signal
import struct
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.faults.children import CAMPAIGN, N_SETS, Child, Ended
from tests.faults.crashed import check_crashed, is_a_run, opened_copy
from tests.faults.null_runs import NullRuns, two_at_a_time
from tests.faults.strace import Target, require_strace, traced

if sys.platform != "win32":
    import fcntl

pytestmark = pytest.mark.timeout(4 * 3600 if CAMPAIGN else 300)

RACES = 100 if CAMPAIGN else 3
TRIES = 12
WRITE_LOCK = 120
"""The byte of the index that SQLite locks to write: see "WAL-mode File Format" in its manual."""


def in_a_commit(run: Path) -> bool:
    """Return whether somebody holds SQLite's lock for writing, as the index of its log tells."""
    ask = struct.pack("hhqqi", fcntl.F_WRLCK, os.SEEK_SET, WRITE_LOCK, 1, 0)
    try:
        with (run / "table.db-shm").open("rb+") as index:
            answer = fcntl.fcntl(index, fcntl.F_GETLK, ask)
    except FileNotFoundError:
        return False
    return bool(struct.unpack("hhqqi", answer)[0] != fcntl.F_UNLCK)


def state(child: Child) -> str:
    """Return the letter of a process's state: T is paused, Z ended."""
    try:
        said = Path(f"/proc/{child.pid}/stat").read_text(encoding="ascii")
    except (FileNotFoundError, ProcessLookupError):
        return "Z"
    return said.rsplit(")", 1)[1].split()[0]


def pause(holder: Child, run: Path, *, between_commits: bool) -> None:
    """Pause a writer, wherever it is, or where another one can begin at once."""
    for _ in range(200):
        holder.send(signal.SIGSTOP)
        while holder.running and state(holder) not in "TZ":
            time.sleep(0.001)
        if not (between_commits and holder.running and in_a_commit(run)):
            return
        holder.send(signal.SIGCONT)
        time.sleep(0.001)


def writers(run: Path) -> tuple[int, int]:
    """Return how many have opened the run, and how many of them have committed."""
    with opened_copy(run) as table:
        opened = table.execute("SELECT count(*) FROM epochs").fetchone()
        committed = table.execute("SELECT count(DISTINCT epoch) FROM commits").fetchone()
        return int(opened[0]), int(committed[0])


def steal(null_runs: NullRuns, argv: list[str], run: Path, chosen: random.Random) -> str:
    """Pause a writer somewhere, take its run over, wake it up; return what has become of it."""
    holder = null_runs.nursery.start(argv)
    holder.wait_for(chosen.randint(0, N_SETS // 3))
    time.sleep(chosen.uniform(0, 0.02))
    between = chosen.random() < 0.8
    pause(holder, run, between_commits=between)
    if not is_a_run(run):
        holder.send(signal.SIGCONT)
        assert holder.wait().code == 0
        return "too early"
    thief = null_runs.nursery.start([*null_runs.resume(run), "--take-over"])
    # In the middle of a commit it holds SQLite's lock: then it must wake before anybody can steal.
    when = chosen.choice(["opens", "writes", "has ended"]) if between else "opens"
    if when == "opens":
        time.sleep(chosen.uniform(0, 0.3))
    else:
        thief.wait_for(chosen.randint(1, 10) if when == "writes" else N_SETS + 1)
    holder.send(signal.SIGCONT)
    return judge(null_runs, run, holder.wait(), thief.wait(), thief.pid)


def judge(null_runs: NullRuns, run: Path, first: Ended, second: Ended, thief: int) -> str:
    """Check that two writers have made one run."""
    assert second.code == 0, second
    null_runs.check(run, first, second)
    opened, committed = writers(run)
    if first.code == 0 or opened == 1:
        # It was paused behind its last commit, or it woke in time to end before the other began.
        assert (first.code, second.published, committed) == (0, [], 1), (first, second)
        return "had ended"
    assert first.code in {1, 2}, (first, second)
    assert re.search(rf"taken over this run.*process {thief}\b", first.stderr), first.stderr
    assert "Traceback" not in first.stderr, first.stderr
    return "taken over"


def test_a_paused_writer_that_wakes_commits_nothing(null_runs: NullRuns) -> None:
    became: Counter[str] = Counter()

    def race(seed: int) -> None:
        chosen = random.Random(seed)
        for _ in range(TRIES):
            with null_runs.new() as (argv, run):
                became[how := steal(null_runs, argv, run, chosen)] += 1
            if how == "taken over":
                return
        pytest.fail("the run was never taken over")

    done = two_at_a_time(race, range(RACES))
    print(f"\n{done} races ({dict(became)}): 0 stale commits")


def test_the_second_one_that_does_not_steal_exits_and_names_the_first(null_runs: NullRuns) -> None:
    with null_runs.new() as (argv, run):
        holder = null_runs.nursery.start(argv)
        holder.wait_for(5)
        holder.send(signal.SIGSTOP)
        try:
            second = null_runs.nursery.run(null_runs.resume(run))
            check_crashed(run, [])
        finally:
            holder.send(signal.SIGCONT)
        assert second.code == 2, second
        assert re.search(rf"is being written by .*process {holder.pid}\b", second.stderr), second
        null_runs.check(run, holder.wait())


@pytest.mark.skipif(not CAMPAIGN, reason="waits ten seconds for a lock")
def test_a_writer_paused_in_a_commit_keeps_its_run(null_runs: NullRuns) -> None:
    require_strace()
    log = Target("committer", "table.db-wal", "pwrite64")
    with null_runs.new() as (argv, run):
        holder = null_runs.nursery.start(argv, gate=log.thread)
        with traced(holder, run, log, "signal=SIGSTOP:when=150"):
            while not in_a_commit(run) or state(holder) not in "tT":
                time.sleep(0.01)
            thief = null_runs.nursery.run([*null_runs.resume(run), "--take-over"])
            holder.send(signal.SIGCONT)
            first = holder.wait()
        assert thief.code == 2, thief
        assert re.search(rf"process {holder.pid}\b.* in the middle of a commit", thief.stderr), (
            thief
        )
        null_runs.check(run, first)
