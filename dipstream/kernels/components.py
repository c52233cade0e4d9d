"""Which runs of foreground belong together: 8-connected regions."""

from typing import Any

import numpy as np
import numpy.typing as npt

from dipstream.compiled import compiled
from dipstream.kernels.disjoint import number, unite
from dipstream.kernels.runs import Runs

__all__ = ["components", "sizes"]

Ints = npt.NDArray[np.int32]


def components(runs: Runs) -> Ints:
    """Return the 8-connected region of every run.

    Runs are united with those of the row before that they touch over an edge or a corner
    (He, Chao & Suzuki, IEEE Trans. Image Process. 17, 2008).

    Parameters
    ----------
    runs
        The foreground.

    Returns
    -------
    int32 (runs): 0 … n − 1, in raster order of the regions' first pixels.
    """
    region = np.arange(len(runs), dtype=np.int32)
    _connect(runs.row, runs.start, runs.stop, region)
    number(region)
    return region


def sizes(runs: Runs, region: Ints, n: int) -> npt.NDArray[np.int64]:
    """Return the area of each of `n` regions, in pixels, from the region of every run."""
    areas = np.zeros(n, np.int64)
    _add(runs.start, runs.stop, region, areas)
    return areas


@compiled
def _connect(row: Any, start: Any, stop: Any, parent: Any) -> None:
    for y in range(1, row.size - 1):
        i, j = row[y], row[y - 1]
        while i < row[y + 1] and j < row[y]:
            if start[i] <= stop[j] and start[j] <= stop[i]:
                unite(parent, i, j)
            # The one that ends first can touch no further one.
            if stop[i] < stop[j]:
                i += 1
            else:
                j += 1


@compiled
def _add(start: Any, stop: Any, region: Any, areas: Any) -> None:
    for i in range(start.size):
        areas[region[i]] += stop[i] - start[i]
