"""A large table costs no more than an empty one: commits, and going on after a kill.

The campaign measures 1 and 10 million objects; the short form 100,000.
"""

import os
from collections.abc import Callable
from dataclasses import asdict
from statistics import median

import pytest

from benchmarks import restart as restarting
from benchmarks.scale import SIZES, measure

LONG = bool(os.environ.get("DIPSTREAM_CAMPAIGN"))
ROWS = 1_000_000 if LONG else 100_000
MOST_RESTART_S = 2.0
# The short form runs beside other tests: it is there for what grows with the rows.
SLACK = 1.2 if LONG else 1.5


@pytest.mark.timeout(7200 if LONG else 240)
def test_commits_take_as_long_as_in_an_empty_table(say: Callable[[str], None]) -> None:
    found = measure(
        SIZES if LONG else (0, ROWS),
        rounds=15 if LONG else 7,
        commits=200 if LONG else 60,
        durabilities=("normal", "full") if LONG else ("normal",),
    )
    for one in found:
        values = ", ".join(f"{name} {value}" for name, value in asdict(one).items())
        say(f"scale: {values}")
    for one in found:
        assert one.of_empty < SLACK, one
        # Means and tails tell of what else runs on the machine as well.
        if LONG:
            assert one.rate_of_empty > 1 / SLACK, one
            assert one.of_empty_p99 < SLACK, one


@pytest.mark.timeout(3600 if LONG else 240)
@pytest.mark.parametrize("source", restarting.SOURCES)
def test_a_killed_run_goes_on_at_once(source: str, say: Callable[[str], None]) -> None:
    found = restarting.restart(ROWS, source, times=6 if LONG else 2)
    say(f"restart: {restarting.in_words(found)}")
    assert found.comparable, "each time it was killed when nothing was due"
    # In the short form other tests run beside, and nothing is said of how fast the machine is.
    assert median(found.comparable) < (MOST_RESTART_S if LONG else 5 * MOST_RESTART_S)
