"""What it costs to commit an image set: objects, track events, the tracker's state, a frame.

Run ``python -m benchmarks.commit``. As many frames a second as a camera gives, one transaction
each, with checkpoints beside the writer.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from dipstream.errors import StoreError
from dipstream.frame import FrameInfo, Segment, SetKey
from dipstream.pipeline.keys import KEY_COLUMNS
from dipstream.steps.objects import EVENT_KINDS, TrackEvents
from dipstream.store import FrameOutcome, RunWriter, SetRow, frame_row
from dipstream.table import Column, RowBatch, Schema

__all__ = ["measure"]

SIZES = (60, 800, 3000)
FRAMES_PER_S = 60
_KIND = "nuclei"
_SEGMENT = Segment(shape=(2048, 2048), dtype="uint16")
_MEASURED = 38
_SCHEMA = Schema((*KEY_COLUMNS, *(Column(f"measured_{k}") for k in range(_MEASURED))))


def measure(*, quick: bool = False) -> list[dict[str, Any]]:
    """Return one row for each number of objects and each durability."""
    commits = 30 if quick else 300
    return [_measure(n, how, commits) for n in SIZES for how in ("full", "normal")]


def _measure(n: int, durability: str, commits: int) -> dict[str, Any]:
    rng = np.random.default_rng(n)
    wall, cpu, process = [], [], []
    with _writer(durability) as writer:
        for t in range(commits):
            time.sleep(1 / FRAMES_PER_S)
            rows, track_ids, events = _objects(n, rng)
            with writer.transaction():
                writer.add_frames([_pending(t)])
            begin = time.perf_counter(), time.thread_time(), time.process_time()
            _commit(writer, t, rows, track_ids, events)
            wall.append(time.perf_counter() - begin[0])
            cpu.append(time.thread_time() - begin[1])
            process.append(time.process_time() - begin[2])
    p50, p99 = np.percentile(wall, [50, 99]) * 1e3
    return {
        "objects": n,
        "columns": len(_SCHEMA.columns) + 2,
        "durability": durability,
        "ms_p50": round(float(p50), 2),
        "ms_p99": round(float(p99), 2),
        "cpu_ms": round(float(np.median(cpu)) * 1e3, 2),
        "cpu_ms_with_checkpoints": round(float(np.mean(process)) * 1e3, 2),
    }


@contextmanager
def _writer(durability: str) -> Iterator[RunWriter]:
    problems: list[StoreError] = []
    with tempfile.TemporaryDirectory() as folder:
        writer = RunWriter(Path(folder) / "table.db", durability)
        try:
            with writer.start_checkpointer(problems.append):
                with writer.transaction():
                    writer.add_objects_table(_KIND, _SCHEMA)
                    writer.add_segment(0, _SEGMENT)
                yield writer
        finally:
            writer.close()
    if problems:
        raise problems[0]


def _objects(
    n: int, rng: np.random.Generator
) -> tuple[RowBatch, np.ndarray[Any, np.dtype[np.int64]], TrackEvents]:
    """Return objects in an order of their own in each frame, all of them linked."""
    values = {
        column.name: rng.integers(0, 999, n) if column.dtype == "int64" else rng.random(n)
        for column in _SCHEMA
    }
    values["label"] = np.arange(1, n + 1)
    track_ids = rng.permutation(n) + 1
    none = np.full(n, -1)
    kind = np.full(n, EVENT_KINDS.index("link"), np.int8)
    events = TrackEvents(kind, track_ids, values["label"], none, none, rng.random(n))
    return RowBatch(_SCHEMA, values), track_ids, events


def _pending(t: int) -> dict[str, Any]:
    info = FrameInfo(_SEGMENT, "DAPI", t=t, received_ns=time.time_ns())
    return frame_row(t, 0, info, state="pending", reason="", detail="")


def _commit(writer: RunWriter, t: int, rows: RowBatch, track_ids: Any, events: TrackEvents) -> None:
    """Write a set as the committer of a run does."""
    key, n, now = SetKey(0, "0", t, 0), len(rows), time.time_ns()
    state = {
        "track_id": track_ids,
        "yx_px": np.stack([rows.column("y_px"), rows.column("x_px")], axis=1),
        "t": np.full(n, t),
        "area": rows.column("measured_0"),
    }
    with writer.transaction():
        set_id, version = writer.claim_set(t, writer.find_set(key))
        writer.add_rows(_KIND, set_id, rows, track_ids)
        writer.save_state(f"track.{_KIND}", key.place, 0, set_id, state)
        outcome = FrameOutcome(t, "analysed", set_id, now, flags="", focus_score=1.0, snr=9.0)
        writer.finish_frames([outcome])
        row = SetRow(
            key=key,
            state="analysed",
            partial=False,
            n_frames=1,
            committed_ns=now,
            n_objects=n,
            estimates={"nuclei_threshold": 123.4},
            events={_KIND: events},
        )
        writer.add_set(set_id, version, row)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = measure(quick=arguments.quick)
    if arguments.json:
        print(json.dumps(rows))
        return
    width = max(map(len, rows[0])) + 2
    print("".join(f"{name:>{width}}" for name in rows[0]))
    for row in rows:
        print("".join(f"{value!s:>{width}}" for value in row.values()))


if __name__ == "__main__":
    main()
