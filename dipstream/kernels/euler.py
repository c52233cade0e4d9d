"""Connected parts minus holes of every object."""

from typing import Any

import numpy as np
import numpy.typing as npt

from dipstream.compiled import compiled
from dipstream.kernels.object_runs import ObjectRuns
from dipstream.kernels.parallel import share

__all__ = ["euler_numbers"]

_LEAST = 256


def euler_numbers(runs: ObjectRuns) -> npt.NDArray[np.int64]:
    """Return the Euler number of each object, pixels joined by sides and corners.

    An object is the union of its runs, each a closed strip of squares; strips of two rows that
    follow each other meet in one segment or corner, those of one row never, no three at once. So
    the Euler characteristic is the number of runs less the number of meetings, by inclusion and
    exclusion (Hatcher, Algebraic Topology, 2002, section 2.2).
    """
    numbers = np.empty(len(runs), np.int64)

    def work(begin: int, end: int) -> None:
        _count(runs.first, runs.row, runs.start, runs.stop, begin, end, numbers)

    share(len(runs), work, _LEAST)
    return numbers


@compiled
def _count(first: Any, row: Any, start: Any, stop: Any, begin: Any, end: Any, numbers: Any) -> None:
    for k in range(begin, end):
        number = first[k + 1] - first[k]
        above = first[k]
        for i in range(first[k], first[k + 1]):
            y, a, b = row[i] - 1, start[i], stop[i]
            while row[above] < y or (row[above] == y and stop[above] < a):
                above += 1
            j = above
            while row[j] == y and start[j] <= b:
                number -= 1
                j += 1
        numbers[k] = number
