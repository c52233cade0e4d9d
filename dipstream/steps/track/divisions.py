"""Which new objects are the second daughter of a track that divided."""

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

__all__ = ["find_divisions"]

LARGEST_DAUGHTER = 0.9
"""Largest area of a daughter, in areas of the mother."""

LEAST_EQUAL = 0.5
"""Least ratio of the daughters' areas: debris and slivers of a neighbour are no daughters."""

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


def find_divisions(
    mothers: tuple[Floats, Floats],
    objects: tuple[Floats, Floats],
    linked: Indices,
    new: Indices,
    gate_px: float,
) -> list[tuple[int, int]]:
    """Return pairs of a mother and of the new object that is a daughter besides the linked one.

    A new object is a daughter if it lies within the gate of where the mother was, both daughters
    have at most 0.9 of her area, and the smaller has at least half the area of the larger. Of
    several such pairs the one goes first whose daughters lie most evenly about the mother.

    Parameters
    ----------
    mothers, objects
        Positions (n, 2) in px and areas (n,) in px².
    linked
        The object that each mother was linked to.
    new
        The objects without a track.
    gate_px
        Largest distance from mother to daughter, in px.
    """
    (was, area_before), (now, area) = mothers, objects
    if len(was) == 0 or len(new) == 0:
        return []
    tree = cKDTree(was)
    found: list[tuple[float, int, int]] = []
    for daughter in new.tolist():
        for mother in tree.query_ball_point(now[daughter], gate_px, return_sorted=True):
            pair = [daughter, int(linked[mother])]
            small, large = sorted(area[pair].tolist())
            if large <= LARGEST_DAUGHTER * area_before[mother] and small >= LEAST_EQUAL * large:
                off_centre_px = float(np.linalg.norm(now[pair].mean(axis=0) - was[mother]))
                found.append((off_centre_px, mother, daughter))
    return _each_once(sorted(found))


def _each_once(found: list[tuple[float, int, int]]) -> list[tuple[int, int]]:
    chosen: dict[int, int] = {}
    for _, mother, daughter in found:
        if mother not in chosen and daughter not in chosen.values():
            chosen[mother] = daughter
    return list(chosen.items())
