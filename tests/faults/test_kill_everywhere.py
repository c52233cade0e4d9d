"""SIGKILL at every system call that writes or syncs, and at any time: nothing lost, twice or torn.

A call is named by its thread, its file and its number, for strace counts the calls of one thread;
the process dies as it enters the call, which is never made.
"""

import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.faults.children import CAMPAIGN, N_SETS, Ended
from tests.faults.crashed import is_a_run
from tests.faults.null_runs import NullRuns, two_at_a_time
from tests.faults.strace import New, Target, inject, require_strace, survey

pytestmark = pytest.mark.timeout(4 * 3600 if CAMPAIGN else 300)

TRIES = 6
RANDOM_KILLS = 1000 if CAMPAIGN else 10
Call = tuple[Target, int, bool]


@pytest.fixture(scope="module")
def half_done(null_runs: NullRuns) -> Iterator[tuple[Path, Ended]]:
    """A run that was killed half-way, and what it had told."""
    require_strace()
    with null_runs.new() as (argv, run):
        log = Target("committer", "table.db-wal", "pwrite64")
        ended, fired = inject(null_runs.nursery, argv, run, log, "signal=SIGKILL:when=150")
        assert fired
        kept = run.with_name("kept")
        run.rename(kept)
        yield kept, ended


def calls(counts: list[Counter[Target]]) -> list[Call]:
    """Return the calls to be killed, and whether there surely is such a call.

    All of them in a campaign; else one of each kind, the same ones every time. What the main thread
    does is always the same. The others commit and fold together what has come, so that the number
    of their calls depends on how busy the machine is; so does whether much is spilled.
    """
    chosen = random.Random(5)
    found: list[Call] = []
    for target in sorted(set().union(*counts)):
        least, most = min(one[target] for one in counts), max(one[target] for one in counts)
        sure = least if target.thread == "main" else (least + 1) // 2
        may_be_none = target.file.startswith("spill/")
        if CAMPAIGN:
            found += [(target, n, n <= sure and not may_be_none) for n in range(1, most + 1)]
        elif sure:
            # Of those that depend on the load, one that comes under any.
            among = sure if target.thread == "main" else (sure + 1) // 2
            found.append((target, chosen.randint(1, among), not may_be_none))
    return found


def kill(runs: NullRuns, new: New, counts: list[Counter[Target]], *earlier: Ended) -> int:
    """Kill a run at each call, resume it, check it; return how many kills there were."""
    never: list[Call] = []

    def attempt(call: Call) -> None:
        target, n, sure = call
        for _ in range(TRIES if sure else 2):
            with new() as (argv, run):
                fault = f"signal=SIGKILL:when={n}"
                ended, fired = inject(runs.nursery, argv, run, target, fault)
                if fired:
                    runs.recover(run, *earlier, ended)
                    return
                runs.check(run, *earlier, ended)
        assert not sure, "the process was never killed"
        never.append(call)

    chosen = calls(counts)
    done = two_at_a_time(attempt, chosen) - len(never)
    assert done >= len(chosen) // 3
    return done


def test_a_run_killed_at_every_write(null_runs: NullRuns) -> None:
    require_strace()
    done = kill(null_runs, null_runs.new, null_runs.survey)
    print(f"\n{done} kills of a run: 0 lost, 0 twice, 0 torn")


def test_a_run_that_spills_killed_at_every_write_of_it(null_runs: NullRuns) -> None:
    require_strace()
    spilling = null_runs.with_options("--policy", "spill", "--queue-mb", "0.004")
    counts = [
        Counter({target: n for target, n in one.items() if target.file.startswith("spill")})
        for one in spilling.survey
    ]
    assert counts[0], "nothing is spilled"
    done = kill(spilling, spilling.new, counts)
    print(f"\n{done} kills at calls on spilled sets: 0 lost, 0 twice, 0 torn")


def test_a_resumed_run_killed_at_every_write(
    null_runs: NullRuns, half_done: tuple[Path, Ended]
) -> None:
    crashed, first = half_done

    def copy() -> AbstractContextManager[tuple[list[str], Path]]:
        return null_runs.copy(crashed)

    counts = survey(null_runs.nursery, copy)
    if not CAMPAIGN:  # what the main thread does is much as in the first test
        counts = [
            Counter({target: n for target, n in one.items() if target.thread != "main"})
            for one in counts
        ]
    done = kill(null_runs, copy, counts, first)
    print(f"\n{done} kills of the resumed run: 0 lost, 0 twice, 0 torn")


def test_killed_at_any_time_again_and_again(null_runs: NullRuns) -> None:
    kills: Counter[int] = Counter()

    def attempt(seed: int) -> None:
        chosen = random.Random(seed)
        with null_runs.new() as (argv, run):
            ended: list[Ended] = []
            for _ in range(1 + seed % 3):
                if ended and not is_a_run(run):
                    break
                child = null_runs.nursery.start(null_runs.resume(run) if ended else argv)
                if chosen.random() < 0.8:
                    child.wait_for(chosen.randint(1, N_SETS))
                time.sleep(chosen.uniform(0, 0.1))
                child.send(signal.SIGKILL)
                ended.append(child.wait())
                kills[ended[-1].code] += 1
            null_runs.recover(run, *ended)

    done = two_at_a_time(attempt, range(RANDOM_KILLS))
    print(f"\n{done} runs killed at any time, once to three times: {kills[-9]} kills")
    assert kills[-9] > done // 2
    assert set(kills) <= {-9, 0}
