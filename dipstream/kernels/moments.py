"""Area, bounding box and sums of coordinates of every object, in one pass over its runs."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dipstream.compiled import compiled
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

    def __len__(self) -> int:
        return len(self.label)


def moments_of_runs(labelled: LabelledRuns) -> Moments:
    """Return the moments of the objects that are present, by ascending label."""
    runs = labelled.runs
    most = int(labelled.label.max(initial=0))
    sums = np.zeros((most + 1, 6), np.int64)
    boxes = np.empty((most + 1, 4), np.int64)
    _sum(runs.row, runs.start, runs.stop, labelled.label, sums, boxes)
    present = np.flatnonzero(sums[:, 0])
    area, sum_y, sum_x, sum_yy, sum_yx, sum_xx = sums[present].T
    y0, x0, y1, x1 = boxes[present].T
    return Moments(
        label=present.astype(np.int64),
        area=area,
        y0=y0,
        x0=x0,
        y1=y1,
        x1=x1,
        sum_y=sum_y - area * y0,
        sum_x=sum_x - area * x0,
        sum_yy=sum_yy - 2 * y0 * sum_y + area * y0**2,
        sum_yx=sum_yx - x0 * sum_y - y0 * sum_x + area * y0 * x0,
        sum_xx=sum_xx - 2 * x0 * sum_x + area * x0**2,
    )


@compiled
def _sum(row: Any, start: Any, stop: Any, label: Any, sums: Any, boxes: Any) -> None:
    for y in range(row.size - 1):
        for i in range(row[y], row[y + 1]):
            a, b = np.int64(start[i]), np.int64(stop[i])
            n = b - a
            # Σ x and Σ x² of a … b − 1 in closed form.
            sum_x = (a + b - 1) * n // 2
            sum_xx = (b - 1) * b * (2 * b - 1) // 6 - (a - 1) * a * (2 * a - 1) // 6
            one, box = sums[label[i]], boxes[label[i]]
            if one[0] == 0:
                box[0], box[1], box[3] = y, a, b
            box[2] = y + 1
            box[1] = min(box[1], a)
            box[3] = max(box[3], b)
            one[0] += n
            one[1] += n * y
            one[2] += sum_x
            one[3] += n * y * y
            one[4] += sum_x * y
            one[5] += sum_xx
