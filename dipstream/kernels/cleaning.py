"""Runs of objects that stay, and of those that go."""

from typing import Any

import numpy as np
import numpy.typing as npt

from dipstream.compiled import compiled
from dipstream.kernels.runs import LabelledRuns, Runs, chosen_runs

__all__ = ["at_border", "keep_labels", "keep_runs", "renumbered"]

Flags = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int32]


def keep_runs(runs: Runs, part: Ints, keep: Flags) -> Runs:
    """Return the runs of those parts that stay; `part` is that of each run."""
    return chosen_runs(runs, keep[part])


def keep_labels(labelled: LabelledRuns, part: Ints, keep: Flags) -> LabelledRuns:
    """Return the runs of those parts that stay, with their labels renumbered in raster order."""
    runs = keep_runs(labelled.runs, part, keep)
    # By part: labels may be large, and would take as much room.
    return renumbered(LabelledRuns(runs, part[keep[part]] + np.int32(1)))


def renumbered(labelled: LabelledRuns) -> LabelledRuns:
    """Return the same with labels 1 … n without gaps, in raster order of their first pixels."""
    label = np.empty_like(labelled.label)
    number = np.zeros(int(labelled.label.max(initial=0)) + 1, np.int32)
    _number(labelled.label, number, label)
    return LabelledRuns(labelled.runs, label)


def at_border(runs: Runs, part: Ints, n: int, buffer: int) -> Flags:
    """Return which of `n` parts come within `buffer` px of the outermost pixels, or touch them."""
    touching = np.zeros(n, np.bool_)
    _touch(runs.row, runs.start, runs.stop, part, buffer, runs.shape[1], touching)
    return touching


@compiled
def _number(label: Any, number: Any, new: Any) -> None:
    n = 0
    for i in range(label.size):
        if number[label[i]] == 0:
            n += 1
            number[label[i]] = n
        new[i] = number[label[i]]


@compiled
def _touch(
    row: Any, start: Any, stop: Any, part: Any, buffer: int, width: int, touching: Any
) -> None:
    height = row.size - 1
    for y in range(height):
        beside = y <= buffer or y >= height - buffer - 1
        for i in range(row[y], row[y + 1]):
            if beside or start[i] <= buffer or stop[i] >= width - buffer:
                touching[part[i]] = True
