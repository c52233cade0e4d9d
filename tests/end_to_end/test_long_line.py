"""Thousands of frames from memory through the whole line: the memory stays flat, counters add up.

`DIPSTREAM_LONG_LINE` is how many frames of 512² and of 2048², 20000,8000 in the campaign; by
default they are some seconds' worth each.
"""

import os
from collections.abc import Callable

import pytest

from benchmarks.long_line import long_line

LONG = os.environ.get("DIPSTREAM_LONG_LINE", "")
MANY, FEW = (int(n) for n in (LONG or "1500,300").split(","))
FRAME_MB = {512: 0.524, 2048: 8.39}


@pytest.mark.timeout(3600 if LONG else 300)
@pytest.mark.parametrize(("side", "nuclei", "frames"), [(512, 60, MANY), (2048, 800, FEW)])
def test_memory_is_flat(side: int, nuclei: int, frames: int, say: Callable[[str], None]) -> None:
    found = long_line(side, nuclei, frames)
    growth = found["growth_mb_per_10000"]
    say(
        f"long line {side}²: {frames} frames, {found['frames_per_s']:.0f}/s, "
        f"delay {found['lag_ms_p50']:.0f}/{found['lag_ms_p99']:.0f} ms, memory "
        f"{found['resident_mb']:.0f} MB (peak {found['peak_mb']:.0f}), "
        f"{growth:+.2f} MB per 10,000 frames"
    )

    assert found["state"] == "finished"
    assert found["balanced"], found["problems"]
    assert found["in_order"], "the device's numbers have no gap"
    assert found["received"] == found["analysed"] == found["image_sets"] == frames
    assert found["dropped"] == found["late"] == found["quarantined"] == found["gap"] == 0
    # In the short form: half of what one frame kept in a hundred would be.
    assert growth < (1 if LONG else 50 * FRAME_MB[side])
