"""The power goes after any system call: what was published is there, and the run goes on."""

import json
import random
from typing import Any

import pytest

from tests.faults.children import CAMPAIGN, Ended
from tests.faults.crashed import check_crashed
from tests.faults.null_runs import NullRuns
from tests.faults.power_loss import Disk, read_calls
from tests.faults.strace import record, require_strace

pytestmark = pytest.mark.timeout(4 * 3600 if CAMPAIGN else 300)

EVERY, RESUMED_EVERY = (1, 10) if CAMPAIGN else (29, 25)
SHARES = (0.0, 0.5, 1.0)


def test_power_lost_after_any_write(null_runs: NullRuns) -> None:
    require_strace()
    told: list[dict[str, Any]] = []
    losses = resumed = 0
    with null_runs.new() as (argv, run):
        log = run.with_name("calls")
        record(null_runs.nursery, argv, log, "-f", "-xx", "-s", "1000000")
        disk = Disk(run)
        for n, call in enumerate(read_calls(log)):
            disk.apply(call)
            if call.path.name == "report" and b'"set"' in call.data:
                told.append(json.loads(call.data))
            elif n % EVERY or call.path.parent != run:
                continue
            for share in SHARES:
                with null_runs.new() as (_, lost):
                    losses += 1
                    disk.cut_power(lost, random.Random(n), share)
                    check_crashed(lost, told)
                    if losses % RESUMED_EVERY == 0:
                        resumed += 1
                        null_runs.recover(lost, Ended(0, -9, "", "", list(told)))
    print(f"\n{losses} disks after a power cut, {resumed} resumed: 0 published sets lost, 0 torn")
    assert len(told) > 40, "else little was promised"
    assert losses > 100
