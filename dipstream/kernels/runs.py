"""Foreground as runs, pixels side by side in a row: what everything after a threshold works on."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dipstream.compiled import compiled
from dipstream.errors import StepError
from dipstream.kernels.linear import as_input

__all__ = [
    "LabelledRuns",
    "Runs",
    "chosen_runs",
    "labels_of_runs",
    "mask_of_runs",
    "runs_of_labels",
    "runs_of_mask",
]

Ints = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """The foreground of a plane, in raster order; no two runs of a row touch.

    Attributes
    ----------
    shape
        Rows and columns of the plane.
    row
        int32 (rows + 1): the runs of row y are ``row[y]`` to ``row[y + 1] - 1``.
    start, stop
        int32 (n): first column of a run, and the one after its last.
    """

    shape: tuple[int, int]
    row: Ints
    start: Ints
    stop: Ints

    def __len__(self) -> int:
        return len(self.start)

    @property
    def area(self) -> int:
        """Number of pixels."""
        return int(self.stop.sum(dtype=np.int64) - self.start.sum(dtype=np.int64))


@dataclass(frozen=True, slots=True, eq=False)
class LabelledRuns:
    """The objects of a plane, as runs of one label each, in raster order.

    Runs of different labels may touch; two of the same label that touch are one.

    Attributes
    ----------
    runs
        Where they lie.
    label
        int32 (n): the label of each run, above 0.
    """

    runs: Runs
    label: Ints

    def __len__(self) -> int:
        return len(self.label)


def chosen_runs(runs: Runs, chosen: npt.NDArray[np.bool_]) -> Runs:
    """Return the runs that are chosen; `chosen` is bool (runs)."""
    before = np.zeros(len(runs) + 1, np.int32)
    np.cumsum(chosen, out=before[1:])
    return Runs(runs.shape, before[runs.row], runs.start[chosen], runs.stop[chosen])


def runs_of_mask(mask: npt.NDArray[np.bool_]) -> Runs:
    """Return the runs of a dense mask (y, x)."""
    found = runs_of_labels(np.ascontiguousarray(mask, dtype=np.bool_).view(np.uint8))
    return found.runs


def runs_of_labels(labels: npt.NDArray[Any]) -> LabelledRuns:
    """Return the runs of dense labels (y, x): integers from 0 to 2³¹ − 1.

    Raises
    ------
    StepError
        If they are anything else. Kernels use labels as places in arrays, unchecked.
    """
    _require_labels(labels)
    labels = as_input(labels)
    height, width = labels.shape
    row = np.zeros(height + 1, np.int32)
    _count_runs(labels, row)
    n = int(row[height])
    start, stop, label = (np.empty(n, np.int32) for _ in range(3))
    _find_runs(labels, row, start, stop, label)
    if label.min(initial=1) < 1:
        raise StepError(f"the labels begin at {label.min()}; allowed are 0 (background) and above")
    return LabelledRuns(Runs((height, width), row, start, stop), label)


def _require_labels(labels: npt.NDArray[Any]) -> None:
    if labels.ndim != 2 or labels.dtype.kind not in "biu":
        raise StepError(
            f"the labels are {labels.dtype} of shape {labels.shape}; allowed are integers (y, x)"
        )
    most = np.iinfo(np.int32).max
    if labels.dtype.itemsize >= 4 and labels.dtype.name != "int32" and labels.size:
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or high > most:
            raise StepError(f"the labels go from {low} to {high}; allowed are 0 to {most}")


def mask_of_runs(runs: Runs) -> npt.NDArray[np.bool_]:
    """Return a dense mask (y, x)."""
    dense = np.zeros(runs.shape, np.bool_)
    _fill(runs.row, runs.start, runs.stop, np.True_, dense)
    return dense


def labels_of_runs(labelled: LabelledRuns) -> npt.NDArray[np.int32]:
    """Return dense labels (y, x)."""
    dense = np.zeros(labelled.runs.shape, np.int32)
    runs = labelled.runs
    _fill_labels(runs.row, runs.start, runs.stop, labelled.label, dense)
    return dense


@compiled
def _count_runs(labels: Any, row: Any) -> None:
    height, width = labels.shape
    for y in range(height):
        line = labels[y]
        n = 1 if width > 0 and line[0] != 0 else 0
        for x in range(1, width):
            n += (line[x] != 0) & (line[x] != line[x - 1])
        row[y + 1] = row[y] + n


@compiled
def _find_runs(labels: Any, row: Any, start: Any, stop: Any, label: Any) -> None:
    height, width = labels.shape
    for y in range(height):
        line = labels[y]
        i = row[y]
        x = 0
        while x < width:
            value = line[x]
            first = x
            x += 1
            while x < width and line[x] == value:
                x += 1
            if value != 0:
                start[i], stop[i], label[i] = first, x, value
                i += 1


@compiled
def _fill(row: Any, start: Any, stop: Any, value: Any, dense: Any) -> None:
    for y in range(row.size - 1):
        line = dense[y]
        for i in range(row[y], row[y + 1]):
            line[start[i] : stop[i]] = value


@compiled
def _fill_labels(row: Any, start: Any, stop: Any, label: Any, dense: Any) -> None:
    for y in range(row.size - 1):
        line = dense[y]
        for i in range(row[y], row[y + 1]):
            line[start[i] : stop[i]] = label[i]
