"""A watched folder: from the moment at which a file is complete until its rows are committed."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

import dipstream as ds
from benchmarks.effort import Effort
from benchmarks.fields import generated_field, moving
from benchmarks.pipelines import plan_for, scratch
from benchmarks.report import Block
from dipstream.run import Result

__all__ = ["watched_folder"]

_POLL_S = 0.5
_EVERY_S = 1.7 * _POLL_S
_COLUMNS = {
    "what": "frame / nuclei",
    "frames": "files",
    "p50_ms": "delay p50 ms",
    "longest_ms": "longest ms",
    "polls": "longest, polls",
}


def watched_folder(effort: Effort) -> Block:
    """Write files into a folder that dipstream watches, at no multiple of its polls."""
    field = generated_field(*effort.small)
    shown, files = moving(field), 1 + 2 * effort.rounds
    arrived: dict[int, float] = {}
    with scratch() as folder:
        place = folder / "watched"
        place.mkdir()
        run = ds.start(
            place,
            plan_for(field, folder),
            driver="watch",
            options={"pattern": "t{t}.tif", "poll_s": _POLL_S},
            frames=files,
            home=folder,
            subscribers=[lambda result: _note(arrived, result)],
            mailbox=False,
        )
        with run:
            complete = _write(place, [next(iter(one.planes.values())) for one in shown], files)
            run.wait()
    lags_ms = [1e3 * (arrived[t] - complete[t]) for t in range(files)]
    row: dict[str, Any] = {
        "what": field.name,
        "frames": files,
        "p50_ms": float(np.median(lags_ms)),
        "longest_ms": max(lags_ms),
        "polls": max(lags_ms) / 1e3 / _POLL_S,
    }
    title = f"Watched folder, looked at every {_POLL_S:g} s: file complete → rows committed"
    return Block(title, _COLUMNS, [row])


def _note(arrived: dict[int, float], result: Result) -> None:
    arrived[result.t] = time.monotonic()


def _write(folder: Path, planes: list[Any], files: int) -> list[float]:
    """Write the files one by one; return when each was complete."""
    complete = []
    for t in range(files):
        time.sleep(_EVERY_S)
        tifffile.imwrite(folder / f"t{t:03d}.tif", planes[t % len(planes)])
        complete.append(time.monotonic())
    return complete
