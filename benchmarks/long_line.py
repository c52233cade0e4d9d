"""A long run in a process of its own, whose memory is watched.

``python -m benchmarks.long_line --side 512 --nuclei 60 --frames 20000`` prints one JSON object.
"""

import argparse
import ctypes
import json
import os
import subprocess
import sys
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

import dipstream as ds
from benchmarks.fields import generated_field, moving
from benchmarks.optional import optional
from benchmarks.pipelines import plan_for, scratch
from benchmarks.player import Player
from dipstream.run import Result
from dipstream.service import LiveRun

__all__ = ["growth_mb_per_10000", "long_line"]

_SAMPLE_S = 0.02
_RESTS = 100
_LEAST_BETWEEN = 10
_WAITING = 8
_MOST_POINTS = 2000
_PR_SET_THP_DISABLE = 41  # linux/prctl.h


def long_line(side: int, nuclei: int, frames: int, leak_every: int = 0) -> dict[str, Any]:
    """Run frames through the whole line in a child process; return what it prints.

    Parameters
    ----------
    side, nuclei, frames
        Size of the frames, objects in each, and how many there are.
    leak_every
        Keep one frame in so many for ever, to see that it is noticed; 0 for none.
    """
    given = {"side": side, "nuclei": nuclei, "frames": frames, "leak-every": leak_every}
    flags = [f"--{name}={value}" for name, value in given.items()]
    done = subprocess.run(  # noqa: S603 - our own module, our own numbers
        [sys.executable, "-m", __name__, *flags],
        capture_output=True,
        encoding="utf-8",
        check=False,
        cwd=Path(__file__).parent.parent,
        # As `dipstream.one_heap` has it; here numpy is imported first.
        env={**os.environ, "MALLOC_ARENA_MAX": "1"},
    )
    if done.returncode:
        raise RuntimeError(f"the long run failed:\n{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def growth_mb_per_10000(committed: Sequence[float], resident_mb: Sequence[float]) -> float | None:
    """Return the slope of the memory over the frames, after the first tenth of them.

    None: the run was so short that its memory was never seen twice.

    The median of the slopes between all pairs of points (Sen, J. Am. Stat. Assoc. 63 (1968)
    1379).

    Parameters
    ----------
    committed, resident_mb
        Image sets in the table and resident memory, seen along the run.
    """
    n, memory = np.asarray(committed, float), np.asarray(resident_mb, float)
    steady = np.flatnonzero(n >= n[-1] / 10)
    # All pairs of the samples of half an hour would take gigabytes.
    steady = steady[:: len(steady) // _MOST_POINTS + 1]
    n, memory = n[steady], memory[steady]
    first, second = np.triu_indices(len(n), 1)
    apart = n[second] > n[first]
    if not apart.any():
        return None
    first, second = first[apart], second[apart]
    return float(np.median((memory[second] - memory[first]) / (n[second] - n[first]))) * 1e4


def _watch(run: LiveRun, player: Player) -> tuple[Sequence[float], Sequence[float], float]:
    """Wait for the end of a run; return what was committed and resident at each rest, and the peak.

    While the player rests and all it has shown is committed, no frame is on its way: some frames
    more or less of 8 MB each would hide what grows. What watches must hardly grow itself: two
    numbers a point; all else is in the run's table.
    """
    process = optional("psutil").Process()
    committed, resident_mb = array("d"), array("d")
    peak_mb = 0.0
    while not run.poll(_SAMPLE_S):
        peak_mb = max(peak_mb, process.memory_info().rss / 1e6)
        if player.rests and run.status().image_sets == player.shown:
            committed.append(player.shown)
            resident_mb.append(process.memory_info().rss / 1e6)
            player.go_on()
    return committed, resident_mb, peak_mb


def _without_huge_pages() -> None:
    """Have Linux count what is used: else it joins pages to some of 2 MB whenever it likes."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_THP_DISABLE, 1, 0, 0, 0)


def main() -> None:
    """Run, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("side", "nuclei", "frames", "leak-every"):
        parser.add_argument(f"--{name}", type=int, default=0)
    given = parser.parse_args()
    print(json.dumps(_run(given), allow_nan=False))


def _run(given: argparse.Namespace) -> dict[str, Any]:
    pa.set_memory_pool(pa.system_memory_pool())
    _without_huge_pages()
    field = generated_field(given.side, given.nuclei)
    rest_every = max(given.frames // _RESTS, _LEAST_BETWEEN)
    player = Player(moving(field), frames=given.frames, fresh=True, rest_every=rest_every)
    kept = []

    def leak(result: Result) -> None:
        if given.leak_every and result.t % given.leak_every == 0:
            kept.append(result.image_set)

    queue_mb = _WAITING * next(iter(field.planes.values())).nbytes / 1e6
    with scratch() as folder:
        settings: dict[str, Any] = {
            "home": folder,
            "workers": 2,
            "queue_mb": queue_mb,
            "mailbox": False,
        }
        with ds.start(player, plan_for(field, folder), subscribers=[leak], **settings) as run:
            committed, resident_mb, peak_mb = _watch(run, player)
            summary = run.summary()
        seqs = run.frames()["seq"].tolist()
    return {
        **summary,
        "in_order": seqs == list(range(summary["received"])),
        "peak_mb": peak_mb,
        "resident_mb": float(np.median(resident_mb)),
        "growth_mb_per_10000": growth_mb_per_10000(committed, resident_mb),
    }


if __name__ == "__main__":
    main()
