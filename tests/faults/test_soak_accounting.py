"""Small frames through the whole line for long: memory, open files and threads stay as they are.

The campaign takes 200,000 frames as fast as they are analysed, and 30 minutes of a camera at 30
frames/s. The book is looked at every second while it is written: no number is missing in it.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.long_line import growth_mb_per_10000

REPOSITORY = Path(__file__).parent.parent.parent
LONG = bool(os.environ.get("DIPSTREAM_CAMPAIGN"))
FRAMES = 200_000 if LONG else 4_000
SECONDS, FPS = (1800, 30) if LONG else (5, 30)
# One frame that is kept for ever takes 5 kB with all that is known of it. The short form sees
# buffers being filled: half of what would grow if every frame were kept.
MOST_MB_PER_10000 = 1.0 if LONG else 25.0


@pytest.mark.timeout(3600 if LONG else 120)
@pytest.mark.parametrize(
    ("frames", "fps"), [(FRAMES, 0), (SECONDS * FPS, FPS)], ids=["fast", "steady"]
)
def test_nothing_grows(frames: int, fps: int, home: Path, say: Callable[[str], None]) -> None:
    found = soak(home, frames, fps)
    growth = growth_mb_per_10000(found["committed"], found["resident_mb"])
    files, threads = (steady(found[name], found["taken"], frames) for name in ("files", "threads"))
    say(
        f"soak: {frames} frames in {found['seconds']:.0f} s ({found['frames_per_s']:.0f}/s), "
        f"memory {np.median(found['resident_mb']):.0f} MB, "
        f"{'unknown' if growth is None else f'{growth:+.2f} MB'} per 10,000 frames, "
        f"{min(files):.0f} to {max(files):.0f} files, "
        f"{min(threads):.0f} to {max(threads):.0f} threads"
    )

    assert found["state"] == "finished", found["reason"]
    assert found["problems"] == [], "the book, seen while it was written"
    assert found["balanced"]
    assert found["received"] == found["analysed"] == found["image_sets"] == frames
    assert found["dropped"] == found["late"] == found["quarantined"] == found["gap"] == 0
    assert found["in_order"] == frames, "the device's numbers, the frames' and the sets' agree"
    assert max(files) <= min(files) + 1, "a checkpoint may have a file open for a moment"
    assert max(threads) <= min(threads)
    assert growth is not None
    if LONG or not fps:
        assert growth < MOST_MB_PER_10000


def steady(samples: list[float], taken: list[float], frames: int) -> list[float]:
    """Leave out the first tenth, in which threads begin, and what follows on the last frame."""
    return samples[max(len(samples) // 10, 3) : sum(n < frames for n in taken)]


def soak(home: Path, frames: int, fps: int) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.soak_child", str(home), str(frames), str(fps)],
        capture_output=True,
        encoding="utf-8",
        check=False,
        cwd=REPOSITORY,
        timeout=3000 if LONG else 100,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
