"""A run whose camera is ten times too fast, in a process of its own: memory, drops, order.

``python hurried.py '{"policy": "thin", …}'`` prints what was found as one JSON object.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import numpy as np

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))

from dipstream.frame import Frame, FrameInfo, Segment
from dipstream.pipeline import Pipeline, open_plan
from dipstream.service import LiveRun, start
from dipstream.source import BaseSource, SourceInfo, now_ns
from dipstream.store import RunFolder
from dipstream.store.connection import Connection
from tests.faults.golden import content

SIMPLE = """\
dipstream: 1
objects:
  nuclei:
    channel: DAPI
    steps: [{threshold: {method: manual, value: 50}}, {split: {method: none}}]
measure: [{intensity: {}}]
track: {nuclei: {lap: {max_distance_px: 20}}}
"""
SIDE = 384
SET_MB = SIDE * SIDE * 2 / 1e6


@dataclass(frozen=True)
class Hurry:
    """How fast frames come, and how slow their analysis is."""

    policy: str
    seconds: float
    queue_mb: float
    spill_mb: float
    home: str
    workers: int = 2
    analysis_s: float = 0.12
    times: float = 10.0
    die_after: int = 0

    @property
    def frames(self) -> int:
        """How many frames come; of a camera that has to wait, what takes as long."""
        if self.policy == "block":
            return int(self.queue_mb / SET_MB + self.seconds * self.workers / self.analysis_s)
        return int(self.seconds * self.per_s)

    @property
    def per_s(self) -> float:
        """Frames a second of the camera: so many times what the workers can do."""
        return self.times * self.workers / self.analysis_s


class Camera(BaseSource):
    """Delivers frames at a fixed rate; as fast as it can where it had to wait."""

    def __init__(self, frames: int, per_s: float, first: int = 0) -> None:
        info = SourceInfo("hurried:", ("DAPI",), shape=(SIDE, SIDE), dtype="uint16", live=True)
        super().__init__(info)
        self._frames, self._per_s, self._first = frames, per_s, first
        self.ended = threading.Event()

    def frames(self) -> Iterator[Frame]:
        begun = time.monotonic()
        for t in range(self._first, self._first + self._frames):
            time.sleep(max(begun + (t - self._first) / self._per_s - time.monotonic(), 0))
            if self._stopping.is_set():
                break
            pixels = np.full((SIDE, SIDE), 10, "uint16")
            y, x = 7 * t % 370, 11 * t % 370
            pixels[y : y + 9, x : x + 9] = 100 + t % 100
            utc, monotonic = now_ns()
            info = FrameInfo(
                Segment((SIDE, SIDE), "uint16"),
                "DAPI",
                t=t,
                seq=t,
                received_ns=utc,
                received_monotonic_ns=monotonic,
            )
            yield Frame(pixels, info)
        self.ended.set()

    def stop(self) -> None:
        """Nobody asks for another frame."""
        super().stop()
        self.ended.set()


class Memory:
    """The largest resident memory while it is entered, in MB, looked at every 10 ms."""

    def __enter__(self) -> Self:
        self.most_mb, self._over = 0.0, threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        page = 4096 / 1e6
        while True:
            resident = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
            self.most_mb = max(self.most_mb, resident * page)
            if self._over.wait(0.01):
                return


def slow_down(seconds: float, camera: Camera) -> None:
    """Make each analysis take longer for as long as the camera takes frames."""
    real = getattr(Pipeline, "unhurried", Pipeline.analyse)

    def analyse(self: Pipeline, image_set: Any, ordered: Any = None) -> Any:
        if not camera.ended.is_set():
            time.sleep(seconds)
        return real(self, image_set, ordered)

    Pipeline.unhurried = real  # type: ignore[attr-defined]
    Pipeline.analyse = analyse  # type: ignore[method-assign]


def run(hurry: Hurry, camera: Camera, **settings: Any) -> tuple[LiveRun, dict[str, Any]]:
    slow_down(settings.pop("analysis_s", 0), camera)
    plan = Path(hurry.home) / "simple.yaml"
    plan.write_text(SIMPLE, encoding="utf-8")
    most: dict[str, Any] = {"queue_fill": 0.0, "spill_fill": 0.0}
    with Memory() as memory:
        live = start(
            camera,
            open_plan(plan),
            mailbox=False,
            home=hurry.home,
            workers=hurry.workers,
            queue_mb=hurry.queue_mb,
            spill_mb=hurry.spill_mb,
            **settings,
        )
        while not live.poll(0.02):
            status = live.status()
            most = {name: max(value, getattr(status, name)) for name, value in most.items()}
            if hurry.die_after and status.spilled >= hurry.die_after:
                print(live.folder, flush=True)
                os._exit(9)
        live.wait()
    return live, {**most, "memory_mb": memory.most_mb}


def order_of(folder: Path) -> dict[str, Any]:
    """Return whether image sets were committed in the order of the camera, and the frames' ends."""
    with Connection(RunFolder(folder).table, read_only=True) as connection:
        rows = connection.execute(
            "SELECT c.set_id, f.seq FROM commits c JOIN frames f USING (set_id) "
            "WHERE c.set_id IS NOT NULL ORDER BY c.commit_number"
        )
        states = connection.execute("SELECT state, count(*) FROM frames GROUP BY state")
        reasons = connection.execute(
            "SELECT DISTINCT reason FROM frames WHERE state <> 'analysed' ORDER BY reason"
        )
        kinds = connection.execute("SELECT DISTINCT kind FROM events ORDER BY kind")
    return {
        "in_order": all(a < b for a, b in pairwise(rows)),
        "sets": len(rows),
        "states": {state: int(n) for state, n in states},
        "reasons": [str(reason) for (reason,) in reasons],
        "kinds": [str(kind) for (kind,) in kinds],
    }


def main() -> None:
    hurry = Hurry(**json.loads(sys.argv[1]))
    frames = hurry.frames
    # What the process holds without a load: code, buffers of the workers, the table's cache.
    _, calm = run(hurry, Camera(60, 60), policy="block", analysis_s=0.025)
    live, found = run(
        hurry, Camera(frames, hurry.per_s), policy=hurry.policy, analysis_s=hurry.analysis_s
    )
    accounting, status = live.wait(), live.status()
    found |= order_of(live.folder) | {
        "calm_mb": calm["memory_mb"],
        "frames": frames,
        "accounting": accounting.frames(),
        "counted": status.accounting.frames(),
        "problems": list(accounting.problems),
        "spilled": status.spilled,
        "left_on_disk": [path.name for path in live.folder.glob("spill/*")],
        "state": live.reader.record.state,
        "policy": live.reader.record.settings["policy"],
        "hurry": asdict(hurry),
    }
    if hurry.policy in {"block", "spill"}:
        unhurried, _ = run(hurry, Camera(frames, 1e9), policy="block")
        found["as_unhurried"] = content(unhurried.folder) == content(live.folder)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
