"""Linking: what following the objects adds to a frame."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.effort import Effort, Size
from benchmarks.fields import generated_field, moving
from benchmarks.optional import optional
from benchmarks.pipelines import image_set, in_turn, plan_for, scratch, timed_ms
from benchmarks.report import NOT_INSTALLED, Block
from dipstream.pipeline import Analysis, Pipeline
from dipstream.run.linking import Linker
from dipstream.table import RowBatch

__all__ = ["linking"]

Positions = npt.NDArray[np.float64]

_KIND = "nuclei"
_STEP_PX = 2.0
_LOST = 0.02
_GATE_PX = 20.0
_COLUMNS = {
    "objects": "objects",
    "dipstream_ms": "dipstream ms",
    "analysis_ms": "analysis ms",
    "share": "% of the frame",
    "laptrack_ms": "laptrack ms",
    "ratio": "laptrack ÷ dipstream",
}
_NOTE = (
    f"Medians. Objects move by σ {_STEP_PX:g} px from frame to frame, and {_LOST:.0%} are "
    "missing in each; with divisions, gaps, events and the tracker's state."
)


def linking(effort: Effort) -> Block:
    """Time linking beside the analysis of a frame with as many objects."""
    rows = [_measure(size, effort) for size in effort.linked]
    notes = [_NOTE]
    return Block("Linking", _COLUMNS, rows, notes)


def _measure(size: Size, effort: Effort) -> dict[str, Any]:
    field = generated_field(*size)
    frames = 6 * effort.rounds
    with scratch() as folder:
        line = plan_for(field, folder).compile(tuple(field.planes))
        sets = [image_set(one, number) for number, one in enumerate(moving(field))]
        analyse = in_turn(sets, line.analyse)
        first = line.analyse(sets[0])
        linked = _linked_ms(line, first, size, frames)
        analysed = median(timed_ms(analyse) for _ in range(max(3, 3 * effort.rounds)))
    laptrack = _laptrack_ms(_positions(size, frames))
    return {
        "objects": size[1],
        "side_px": size[0],
        "dipstream_ms": linked,
        "analysis_ms": analysed,
        "share": 100 * linked / analysed,
        "laptrack_ms": NOT_INSTALLED if laptrack is None else laptrack,
        "ratio": None if laptrack is None else laptrack / linked,
    }


def _linked_ms(line: Pipeline, first: Analysis, size: Size, frames: int) -> float:
    """Return how long one frame's objects take to be linked to those before."""
    linker = Linker({}, {}, {}, 1)
    shown = [_moved(first, number, at) for number, at in enumerate(_positions(size, frames))]
    times = [timed_ms(partial(linker.link, line, done)) for done in shown]
    return median(times[2:])  # the first two compile


def _positions(size: Size, frames: int) -> list[Positions]:
    """Return (y, x) of every object that is seen, frame by frame."""
    side, n = size
    rng = np.random.default_rng(side + n)
    places = rng.uniform(0, side, (n, 2))
    seen = []
    for _ in range(frames):
        places = np.clip(places + rng.normal(0, _STEP_PX, places.shape), 0, side - 1)
        seen.append(places[rng.random(n) >= _LOST])
    return seen


def _moved(first: Analysis, number: int, at: Positions) -> Analysis:
    """Return an analysis with the columns of a real one, and objects at these places."""
    rows = first.tables[_KIND]
    take = np.arange(len(at)) % len(rows)
    values = {name: column[take] for name, column in rows.values.items()}
    values |= {"label": np.arange(1, len(at) + 1), "y_px": at[:, 0].copy(), "x_px": at[:, 1].copy()}
    key = replace(first.image_set.key, t=number)
    moved = replace(first.image_set, set_id=number, key=key)
    return Analysis(image_set=moved, tables={_KIND: RowBatch(rows.schema, values)})


def _laptrack_ms(seen: Sequence[Positions]) -> float | None:
    """Return laptrack's time a frame for frame-to-frame linking with one gap."""
    laptrack = optional("laptrack")
    if laptrack is None:
        return None
    tracker = laptrack.LapTrack(
        cutoff=_GATE_PX**2, gap_closing_cutoff=_GATE_PX**2, gap_closing_max_frame_count=1
    )
    return timed_ms(lambda: tracker.predict(list(seen))) / len(seen)
