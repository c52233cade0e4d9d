"""A simulated camera at 30 frames/s through the whole line: nothing lost, nothing piling up.

`DIPSTREAM_SOAK_S` sets how long, 20 s by default; the campaign takes ten minutes.
"""

import json
import os
import re
import statistics
import time
from itertools import pairwise

import numpy as np
import psutil
import pytest

import dipstream as ds

SECONDS = int(os.environ.get("DIPSTREAM_SOAK_S", "20"))
FPS = 30
SOURCE = f"sim:?specimen=nuclei&n=8&width=192&height=192&fps={FPS}&seed=5"
GROWTH_MB = 10.0
TRUTH = re.compile(r"truth: .*sets=(\d+)")


@pytest.mark.timeout(SECONDS * 3 + 240)
def test_a_camera_through_the_whole_line(cli, say) -> None:
    frames = FPS * SECONDS
    process = cli.fresh.start("run", SOURCE, "--frames", frames, "--json")
    watched = psutil.Process(process.pid)
    resident_mb: list[float] = []
    deadline = time.monotonic() + SECONDS * 3 + 180
    while process.poll() is None and time.monotonic() < deadline:
        try:
            resident_mb.append(watched.memory_info().rss / 1e6)
        except psutil.NoSuchProcess:
            break
        time.sleep(0.5)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr

    summary = json.loads(stdout.splitlines()[-1])
    assert summary["received"] == summary["analysed"] == frames
    assert summary["dropped"] == summary["quarantined"] == summary["late"] == summary["gap"] == 0
    assert summary["balanced"]

    run = ds.open_run(summary["folder"])
    assert run.frames()["seq"].tolist() == list(range(frames)), "the device's numbers have no gap"

    told = [int(found[1]) for line in stderr.splitlines() if (found := TRUTH.search(line))]
    assert len(told) >= 3, "the score is printed while it runs"
    assert all(one <= other for one, other in pairwise(told))
    assert summary["count_error_percent"] < 5

    growth = growth_mb(resident_mb)
    say(
        f"soak: {frames} frames in {summary['seconds']:.0f} s, memory "
        f"{statistics.median(resident_mb):.0f} MB, grown by {growth:+.1f} MB after the first "
        f"tenth, lag {summary['lag_ms_p50']:.0f}/{summary['lag_ms_p99']:.0f} ms, "
        f"count error {summary['count_error_percent']} %"
    )
    assert growth < GROWTH_MB


def growth_mb(resident_mb: list[float]) -> float:
    """Slope of the memory after the first tenth (which fills caches), times its duration."""
    steady = resident_mb[max(len(resident_mb) // 10, 8) : -2]
    slope, _ = np.polyfit(np.arange(len(steady)), steady, 1)
    return float(slope * len(steady))
