"""How long a killed run with a large table takes to go on.

Run ``python -m benchmarks.restart``: a real run is started and killed, its table is filled as if it
had gone on for long, and ``dipstream resume`` is timed from the start of its process to its first
image set in the table.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import psutil
import tifffile
import xxhash

from benchmarks.filler import KIND, PER_SET, Filler
from dipstream.frame import Origin
from dipstream.pipeline import open_plan
from dipstream.store import RunWriter
from dipstream.store.connection import Connection

__all__ = ["SOURCES", "Restart", "in_words", "restart"]

SOURCES = ("watch", "sim")
_PIPELINE = """\
dipstream: 1
objects:
  nuclei:
    channel: DAPI
    steps: [{threshold: {method: manual, value: 50}}, {split: {method: none}}]
measure: [{intensity: {}}]
track: {nuclei: {lap: {max_distance_px: 10}}}
"""
# Beads stay where they are: nuclei live, and have to be walked through all time points again.
_SIMULATED = "sim:?specimen=beads&n=2&width=64&height=64&channels=DAPI&fps=10"
_SETS = 3
_PATIENCE_S = 120


@dataclass(frozen=True, slots=True)
class Restart:
    """How long a killed run took to go on.

    Attributes
    ----------
    source, rows, frames
        One of `SOURCES`, and the objects and frames in the table.
    seconds
        From the start of the process to its first analysed image set, each time it was killed.
    cpu_seconds
        What the process and all its threads had computed by then: hardly more where others compute
        beside it.
    due
        Frames that waited for their analysis when it was killed. Without any, a watched folder's
        next file is one that nobody has seen yet: it is read once it has not changed for a second.
    """

    source: str
    rows: int
    frames: int
    seconds: tuple[float, ...]
    cpu_seconds: tuple[float, ...]
    due: tuple[int, ...]

    @property
    def comparable(self) -> tuple[float, ...]:
        """The seconds of those times in which nothing had to be waited for."""
        waits = self.source == "watch"
        return tuple(s for s, n in zip(self.seconds, self.due, strict=True) if n or not waits)


def restart(rows: int, source: str = "watch", *, times: int = 3) -> Restart:
    """Kill a run whose table has so many objects, and take the time until it goes on."""
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch)
        pipeline = home / "simple.yaml"
        pipeline.write_text(_PIPELINE, encoding="utf-8")
        if source == "sim":
            begin = ["run", _SIMULATED]
        else:
            _write_files(home / "in", -(-rows // PER_SET) + 1000 * (times + 1))
            begin = ["watch", str(home / "in"), "--channels", "DAPI"]
        _goes_on(home, [*begin, "--pipeline", str(pipeline), "--json"])
        (run,) = (home / "runs").iterdir()
        _fill(run / "table.db", pipeline, rows, None if source == "sim" else home / "in")
        took = []
        for _ in range(times):
            due = _states(run).get("pending", 0)
            took.append((*_goes_on(home, ["resume", str(run), "--json"]), due))
        frames = sum(_states(run).values())
    seconds, cpu, dues = zip(*took, strict=True)
    return Restart(source, rows, frames, seconds, cpu, dues)


def _states(run: Path) -> dict[str, int]:
    with Connection(run / "table.db", read_only=True) as table:
        return dict(table.execute("SELECT state, count(*) FROM frames GROUP BY state"))


def _goes_on(home: Path, command: Sequence[str]) -> tuple[float, float]:
    """Kill a command after some image sets.

    Returns the seconds from its start to the first one, and what it had computed when that was
    noticed.
    """
    before, begun = _newest(home)[0], time.time_ns()
    process = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", "dipstream", *command],
        env=_environment(home),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    watched, cpu = psutil.Process(process.pid), 0.0
    try:
        while (newest := _newest(home, begun))[0] < before + _SETS or not newest[1]:
            if newest[0] == before:
                cpu = sum(watched.cpu_times()[:2])
            if process.poll() is not None or time.time_ns() - begun > _PATIENCE_S * 1e9:
                process.kill()
                raise RuntimeError(f"{command} analysed nothing: {process.communicate()[1]}")
            time.sleep(0.02)
    finally:
        process.kill()
        process.communicate()
    return round((newest[1] - begun) / 1e9, 2), round(cpu, 2)


def _environment(home: Path) -> dict[str, str]:
    """Return that of a user, whose modules are compiled once and not at each start."""
    given = {name: v for name, v in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**given, "DIPSTREAM_HOME": str(home), "DIPSTREAM_TRUTH": "none"}


def _newest(home: Path, since_ns: int = 0) -> tuple[int, int]:
    """Return the number of the newest image set, and when one since then was first analysed."""
    for table in (home / "runs").glob("*/table.db"):
        with Connection(table, read_only=True) as connection:
            if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'columns_key'"):
                ((newest,),) = connection.execute("SELECT max(set_id) FROM image_sets")
                # Few image sets are newer: from the newest on, nothing else is read.
                ((first,),) = connection.execute(
                    "SELECT min(committed_ns) FROM image_sets WHERE set_id > ? - ? "
                    "AND committed_ns > ? AND state = 'analysed'",
                    (newest or 0, 100, since_ns),
                )
                return -1 if newest is None else int(newest), int(first or 0)
    return -1, 0


def _write_files(folder: Path, n: int) -> None:
    """Write n copies of one small image."""
    folder.mkdir()
    pixels = np.full((64, 64), 10, "uint16")
    pixels[10:20, 10:20] = pixels[40:50, 30:40] = 200
    tifffile.imwrite(folder / _name(0), pixels)
    content = (folder / _name(0)).read_bytes()
    for t in range(1, n):
        (folder / _name(t)).write_bytes(content)


def _name(t: int) -> str:
    return f"img_{t:07d}.tif"


def _fill(table: Path, pipeline: Path, rows: int, folder: Path | None) -> None:
    """Write the table of a killed run on, as if it had not been killed."""
    content = b"" if folder is None else (folder / _name(0)).read_bytes()
    content_hash = xxhash.xxh3_64_hexdigest(content)

    def origin(t: int) -> Origin:
        path = (folder or Path()) / _name(t)
        stat = path.stat()
        return Origin(
            str(path), 0, stat.st_size, stat.st_mtime_ns, stat.st_ino, content_hash, planes=1
        )

    measured = open_plan(pipeline).compile(("DAPI",)).schemas
    writer = RunWriter(table, "normal")
    try:
        with writer.transaction():
            for kind, columns in measured.items():
                writer.add_objects_table(kind, columns)
            # What the killed process had not analysed is not what is timed here.
            writer.drop_unfinished("crash: filled")
        first_t = max(writer.tracked_until().values()) + 1
        Filler(
            writer,
            columns=measured[KIND],
            segment=writer.segments()[0],
            first_t=first_t,
            origin=None if folder is None else origin,
        ).fill(rows)
    finally:
        writer.close()


def main() -> None:
    """Print one line a source, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    for source in SOURCES:
        one = restart(given.rows, source, times=given.times)
        print(json.dumps(asdict(one)) if given.json else in_words(one))


def in_words(one: Restart) -> str:
    """Return a line for people."""
    seconds = ", ".join(f"{s:.2f}" for s in one.seconds)
    return (
        f"{one.source}, {one.rows:,} objects, {one.frames:,} frames: first image set after "
        f"{seconds} s ({', '.join(f'{s:.2f}' for s in one.cpu_seconds)} s computed; "
        f"{', '.join(map(str, one.due))} frames were due)"
    )


if __name__ == "__main__":
    main()
