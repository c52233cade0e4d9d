"""The runs of a plane, object by object: what everything that is measured of one object walks."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dipstream.compiled import compiled
from dipstream.kernels.runs import LabelledRuns

__all__ = ["ObjectRuns", "dense_index", "runs_by_object"]

_FEW = 65_536


@dataclass(frozen=True, slots=True, eq=False)
class ObjectRuns:
    """Runs sorted by label, those of one object in raster order.

    Attributes
    ----------
    label
        int64 (objects): the labels that are present, ascending.
    first
        int64 (objects + 1): the runs of object k are ``first[k]`` to ``first[k + 1] - 1``.
    row, start, stop
        int32 (runs): row, first column and the one after the last. Two runs of one object that lie
        in one row never touch.
    """

    label: npt.NDArray[np.int64]
    first: npt.NDArray[np.int64]
    row: npt.NDArray[np.int32]
    start: npt.NDArray[np.int32]
    stop: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.label)


def runs_by_object(labelled: LabelledRuns) -> ObjectRuns:
    """Return the runs object by object."""
    runs = labelled.runs
    index, names = dense_index(labelled.label)
    most = int(index.max(initial=-1)) + 1
    place = np.zeros(most + 1, np.int64)
    _count(index, place)
    present = np.flatnonzero(place[1:])
    first = np.zeros(len(present) + 1, np.int64)
    np.cumsum(place[1:][present], out=first[1:])
    place[present] = first[:-1]
    row, start, stop = (np.empty(len(index), np.int32) for _ in range(3))
    _sort(runs.row, runs.start, runs.stop, index, place, row, start, stop)
    label = present.astype(np.int64) if names is None else names[present].astype(np.int64)
    return ObjectRuns(label, first, row, start, stop)


def dense_index(
    label: npt.NDArray[np.int32],
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32] | None]:
    """Return the labels themselves, or numbers from 0 and their labels where labels are sparse."""
    if int(label.max(initial=0)) <= 4 * len(label) + _FEW:
        return label, None
    names, index = np.unique(label, return_inverse=True)
    return index.astype(np.int32), names


@compiled
def _count(index: Any, counts: Any) -> None:
    for i in range(index.size):
        counts[index[i] + 1] += 1


@compiled
def _sort(
    row: Any, start: Any, stop: Any, index: Any, place: Any, rows: Any, starts: Any, stops: Any
) -> None:
    """Put each run where the next one of its object belongs (counting sort, stable)."""
    for y in range(row.size - 1):
        for i in range(row[y], row[y + 1]):
            to = place[index[i]]
            place[index[i]] = to + 1
            rows[to], starts[to], stops[to] = y, start[i], stop[i]
