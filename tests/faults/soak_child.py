"""A process that takes small frames for long and watches itself; prints one JSON object.

``python -m tests.faults.soak_child HOME FRAMES FPS``: so many frames as fast as they are taken, or
at a rate if FPS is not 0.
"""

import gc
import json
import sys
import time
from array import array
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import psutil

from dipstream.frame import Frame, FrameInfo, Segment, bytes_held
from dipstream.pipeline import open_plan
from dipstream.service import LiveRun, start
from dipstream.source import BaseSource, SourceInfo, now_ns
from dipstream.store import RunReader
from tests.faults.simple import SHAPE, SIMPLE, two_squares

WAITING = 64
SAMPLE_S = 0.1
KEPT = ("taken", "committed", "resident_mb", "files", "threads")


class Camera(BaseSource):
    """Shows two squares that wander, each frame in memory of its own."""

    def __init__(self, frames: int, fps: float) -> None:
        super().__init__(SourceInfo("soak:", ("DAPI",), live=fps > 0, grouped=True, frames=frames))
        self._segment = Segment(SHAPE, "uint16", camera="soak")
        self._frames = frames
        self._fps = fps

    def frames(self) -> Iterator[Frame]:
        begun = time.monotonic()
        for t in count():
            if t == self._frames or self._stopping.is_set():
                return
            if self._fps:
                self._stopping.wait(max(begun + t / self._fps - time.monotonic(), 0))
            utc, monotonic = now_ns()
            yield Frame(
                two_squares(t),
                FrameInfo(
                    self._segment,
                    "DAPI",
                    seq=t,
                    t=t,
                    received_ns=utc,
                    received_monotonic_ns=monotonic,
                ),
            )


def watch(run: LiveRun) -> tuple[dict[str, "array[float]"], list[str]]:
    """Sample the process until the run ends; return the samples and what did not add up."""
    process = psutil.Process()
    samples = {name: array("d") for name in KEPT}
    problems: list[str] = []
    checked = 0.0
    while not run.poll(SAMPLE_S):
        accounting = run.status().accounting
        values = (
            accounting.received,
            accounting.analysed,
            process.memory_info().rss / 1e6,
            process.num_fds() if hasattr(process, "num_fds") else process.num_handles(),
            process.num_threads(),
        )
        for name, value in zip(KEPT, values, strict=True):
            samples[name].append(value)
        if time.monotonic() - checked > 1:
            checked = time.monotonic()
            problems += book_problems(run.reader)
    return samples, problems[:10]


def book_problems(reader: RunReader) -> list[str]:
    """Return what is wrong with the book while it is being written: numbers missing, or twice."""
    with reader._open() as table:
        ((frames, newest),) = table.execute("SELECT count(*), max(frame_id) FROM frames")
        ((sets, newest_set),) = table.execute("SELECT count(*), max(set_id) FROM image_sets")
    found = []
    if frames != (-1 if newest is None else newest) + 1:
        found.append(f"{frames} frames in the book, but the newest is number {newest}")
    if newest_set is not None and sets != newest_set + 1:
        found.append(f"{sets} image sets in the book, but the newest is number {newest_set}")
    return found


def main() -> None:
    home, frames, fps = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    pipeline = home / "simple.yaml"
    pipeline.write_text(SIMPLE, encoding="utf-8")
    # Few may wait: what grows must not hide behind a queue that fills and empties.
    settings: dict[str, Any] = {
        "home": home,
        "workers": 2,
        "mailbox": False,
        "queue_mb": WAITING * bytes_held(2 * SHAPE[0] * SHAPE[1]) / 1e6,
    }
    gc.collect()
    with start(Camera(frames, fps), open_plan(pipeline), **settings) as run:
        samples, problems = watch(run)
        summary = run.summary()
    with run.reader._open() as table:
        ((in_order,),) = table.execute(
            "SELECT count(*) FROM frames f JOIN image_sets s USING (set_id) "
            "WHERE f.seq = f.frame_id AND f.set_id = f.frame_id AND s.t = f.seq"
        )
    told = {name: list(values) for name, values in samples.items()}
    problems += summary["problems"]
    print(json.dumps({**summary, **told, "problems": problems, "in_order": in_order}))


if __name__ == "__main__":
    main()
