"""Area, bounding box and sums of coordinates of every object, in one pass over its runs."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dipstream.compiled import compiled
from dipstream.kernels.object_runs import ObjectRuns, runs_by_object
from dipstream.kernels.runs import LabelledRuns

__all__ = ["Moments", "moments_of_runs"]

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Exact integers, one of each an object, by ascending label.

    Attributes
    ----------
    label
        The labels that are present.
    area
        Pixels.
    y0, x0, y1, x1
        Bounding box: first row and column, and those after the last.
    sum_y, sum_x, sum_yy, sum_yx, sum_xx
        Sums over the pixels of y − y0, x − x0 and of their products.
    runs
        The runs of each object, from which they were summed.
    """

    label: Ints
    area: Ints
    y0: Ints
    x0: Ints
    y1: Ints
    x1: Ints
    sum_y: Ints
    sum_x: Ints
    sum_yy: Ints
    sum_yx: Ints
    sum_xx: Ints
    runs: ObjectRuns

    def __len__(self) -> int:
        return len(self.label)


def moments_of_runs(labelled: LabelledRuns) -> Moments:
    """Return the moments of the objects that are present, by ascending label."""
    runs = runs_by_object(labelled)
    table = np.empty((10, len(runs)), np.int64)
    _sum(runs.first, runs.row, runs.start, runs.stop, table)
    area, y0, x0, y1, x1, sum_y, sum_x, sum_yy, sum_yx, sum_xx = table
    return Moments(runs.label, area, y0, x0, y1, x1, sum_y, sum_x, sum_yy, sum_yx, sum_xx, runs)


@compiled
def _sum(first: Any, row: Any, start: Any, stop: Any, table: Any) -> None:
    for k in range(first.size - 1):
        begin, end = first[k], first[k + 1]
        y0, y1 = np.int64(row[begin]), np.int64(row[end - 1]) + 1
        x0, x1 = np.int64(start[begin]), np.int64(stop[begin])
        for i in range(begin, end):
            x0 = min(x0, np.int64(start[i]))
            x1 = max(x1, np.int64(stop[i]))
        area = sum_y = sum_x = sum_yy = sum_yx = sum_xx = np.int64(0)
        for i in range(begin, end):
            y, a, b = row[i] - y0, start[i] - x0, stop[i] - x0
            n = b - a
            # Σ x and Σ x² of a … b − 1 in closed form; both are whole numbers.
            line_x = (a + b - 1) * n >> 1
            area += n
            sum_y += n * y
            sum_x += line_x
            sum_yy += n * y * y
            sum_yx += line_x * y
            sum_xx += (b * (b - 1) * (2 * b - 1) - a * (a - 1) * (2 * a - 1)) // 6
        table[0, k], table[1, k], table[2, k], table[3, k], table[4, k] = area, y0, x0, y1, x1
        table[5, k], table[6, k], table[7, k] = sum_y, sum_x, sum_yy
        table[8, k], table[9, k] = sum_yx, sum_xx
