"""A full or broken disk at every system call that writes or syncs: said, stopped, resumed."""

import json
import random
import re
from collections import Counter
from pathlib import Path

import pytest

from tests.faults.children import CAMPAIGN, Ended
from tests.faults.crashed import is_a_run
from tests.faults.null_runs import NullRuns, two_at_a_time
from tests.faults.strace import Target, inject, require_strace

pytestmark = pytest.mark.timeout(4 * 3600 if CAMPAIGN else 300)

TRIES = 6
Fault = tuple[Target, str, int, str, bool]
SAYS = re.compile(r"^(dipstream: |state +failed: )(?P<why>.+)$", re.MULTILINE)
WHY = re.compile("disk I/O error|disk is full|No space left on device|Input/output error")


def faults(counts: list[Counter[Target]]) -> list[Fault]:
    """Return the calls that fail, how, from then on or once, and whether there surely is one.

    All of them in a campaign; else one of each kind, the same ones every time.
    """
    chosen = random.Random(7)
    found: list[Fault] = []
    for target in sorted(set().union(*counts)):
        errors = ["EIO"] if "sync" in target.call else ["ENOSPC", "EIO"]
        least, most = min(one[target] for one in counts), max(one[target] for one in counts)
        sure = least if target.thread == "main" else (least + 1) // 2
        if CAMPAIGN:
            found += [
                (target, error, n, on, n <= sure)
                for n in range(1, most + 1)
                for error in errors
                for on in ("", "+")
            ]
        elif sure:
            which = (
                chosen.choice(errors),
                chosen.randint(1, sure),
                chosen.choice(["", "+"]),
            )
            found.append((target, *which, True))
    return found


def tolerated(target: Target, ended: Ended) -> bool:
    """Return whether the run goes on, rightly: nothing that is lost was promised.

    What SQLite cannot remove, it finds again and reads; the entry of a new log in its folder is
    only of interest to a commit in that log. A run without a reserve says so.
    """
    if target.file.startswith("reserve"):
        return target.call == "unlink" or "no reserve" in ended.stderr
    return target.call == "unlink" or target.file == "."


def check_failed(run: Path, target: Target, ended: Ended) -> None:
    """Check that a run that could not write says so, once and without a traceback."""
    assert ended.code in {1, 2}, ended
    assert "Traceback" not in ended.stderr, ended.stderr
    assert "Exception ignored" not in ended.stderr, ended.stderr
    said = [one["why"] for one in SAYS.finditer(ended.stderr)]
    assert len(said) == 1, ended.stderr
    assert WHY.search(said[0]), ended.stderr
    if is_a_run(run):
        record = json.loads((run / "run.json").read_text(encoding="utf-8"))
        # What cannot be written is not; what was finished before a table could not be read, is.
        allowed = {"failed", "finished"} | ({"running"} if "run.json" in target.file else set())
        assert record["state"] in allowed, record
        assert record["state"] != "failed" or WHY.search(record["reason"]), record


def test_a_disk_that_fails_at_every_write(null_runs: NullRuns) -> None:
    require_strace()
    counts = null_runs.survey

    def attempt(fault: Fault) -> None:
        target, error, n, on, sure = fault
        for _ in range(TRIES if sure else 2):
            with null_runs.new() as (argv, run):
                how = f"error={error}:when={n}{on}"
                ended, fired = inject(null_runs.nursery, argv, run, target, how)
                if not fired or (ended.code == 0 and tolerated(target, ended)):
                    null_runs.check(run, ended)
                else:
                    check_failed(run, target, ended)
                    null_runs.recover(run, ended)
                if fired:
                    return
        assert not sure, "no call ever failed"

    done = two_at_a_time(attempt, faults(counts))
    print(f"\n{done} failed calls of {len(set().union(*counts))} kinds: each run said so, resumed")
