"""From the camera to the table: frames a second and delays of real runs."""

import shutil
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.effort import Effort
from benchmarks.fields import NO_PAIR, Field, generated_field, moving, pair_files, workshop_pair
from benchmarks.pipelines import image_set, plan_for, scratch, threads_rate
from benchmarks.played import played
from benchmarks.player import Player
from benchmarks.report import Block

__all__ = ["DEADLINE_MS", "end_to_end"]

DEADLINE_MS = 60.0
_FPS = 30.0
_WORKERS = 2
_WAITING = 8
_COLUMNS = {
    "what": "what",
    "frames": "image sets",
    "fps": "a second",
    "share": "% of analysis alone",
    "p50_ms": "delay p50 ms",
    "p99_ms": "p99 ms",
    "misses": f"later than {DEADLINE_MS:g} ms",
    "dropped": "dropped",
}
_NOTE = (
    f"{_WORKERS} workers, full durability. Delay: from the arrival of a frame until its rows "
    f"are committed; where frames come as fast as they are taken, most of it is the queue "
    f"({_WAITING} image sets from memory)."
)


def end_to_end(effort: Effort) -> Block:
    """Run sources through the whole line, tracking and one commit a frame included."""
    field = generated_field(*effort.field)
    rows = [
        *_as_fast_as_possible(field, effort),
        _paced(field, effort),
        *(_simulated(*size, effort) for size in effort.simulated),
    ]
    pair = workshop_pair() if effort.pair else None
    if pair is not None:
        rows.append(_replayed(pair, effort))
    notes = [] if pair is not None or not effort.pair else [NO_PAIR]
    notes += [
        _NOTE,
        "The simulator shares the processors with the analysis, and its truth is written too.",
    ]
    return Block("End to end", _COLUMNS, rows, notes)


def _as_fast_as_possible(field: Field, effort: Effort) -> list[dict[str, Any]]:
    """Measure analysis alone and a run in turns."""
    shown, alone, runs = moving(field), [], []
    with scratch() as folder:
        plan = plan_for(field, folder)
        line = plan.compile(tuple(field.planes))
        sets = [image_set(one, number) for number, one in enumerate(shown)]
        queue_mb = _WAITING * sets[0].nbytes / 1e6
        threads_rate(line, sets, _WORKERS, 0)  # compiles
        for _ in range(max(1, effort.rounds // 2)):
            alone.append(threads_rate(line, sets, _WORKERS, effort.seconds / 2))
            player = Player(shown, seconds=effort.seconds)
            runs.append(played(player, plan, folder, workers=_WORKERS, queue_mb=queue_mb))
    middle = sorted(runs, key=lambda run: run.fps)[len(runs) // 2]
    share = median(100 * run.fps / rate for run, rate in zip(runs, alone, strict=True))
    return [
        {"what": f"{field.name}, analysis alone", "key": "alone", "fps": median(alone)},
        {
            "what": f"{field.name}, from memory",
            "key": "line",
            **middle.figures(DEADLINE_MS),
            "fps": median(run.fps for run in runs),
            "share": share,
            "misses": None,
        },
    ]


def _paced(field: Field, effort: Effort) -> dict[str, Any]:
    player = Player(moving(field), fps=_FPS, frames=int(_FPS * 3 * effort.seconds), fresh=True)
    with scratch() as folder:
        run = played(player, plan_for(field, folder), folder, workers=_WORKERS)
    what = f"{field.name}, {_FPS:g} frames/s"
    return {"what": what, "key": "paced", **run.figures(DEADLINE_MS)}


def _simulated(side: int, nuclei: int, effort: Effort) -> dict[str, Any]:
    uri = f"sim:?n={nuclei}&channels=DAPI&width={side}&height={side}&fps=0&seed=7"
    frames = int(effort.seconds * (6 if side > 1000 else 60))
    with scratch() as folder:
        run = played(uri, "nuclei", folder, frames=frames, workers=_WORKERS)
    what = f"sim: {side}² / {nuclei}, preset nuclei"
    return {"what": what, "key": "sim", **run.figures(DEADLINE_MS), "misses": None}


def _replayed(pair: Field, effort: Effort) -> dict[str, Any]:
    """Replay the pair from files, over and over."""
    with scratch() as folder:
        files = folder / "pair"
        _copy_pair(files, times=4 * effort.rounds)
        options = {"pattern": "t{t}-{channel}.png", "channels": "1=nuclei,2=reporter"}
        run = played(files, plan_for(pair, folder), folder, options=options, workers=_WORKERS)
    what = f"{pair.name}, two PNG files each"
    return {"what": what, "key": "pair", **run.figures(DEADLINE_MS), "misses": None}


def _copy_pair(folder: Path, times: int) -> None:
    folder.mkdir()
    for number, source in enumerate(pair_files(), 1):
        for t in range(times):
            shutil.copyfile(source, folder / f"t{t:03d}-{number}.png")
