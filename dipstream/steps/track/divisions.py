"""Which new objects are the second daughter of a track that divided."""

import numpy as np
import numpy.typing as npt

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
) -> tuple[Indices, Indices]:
    """Return mothers, and for each the new object that is a daughter besides the linked one.

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
    # Here and not above, so that a pipeline can be shown without numba.
    from dipstream.kernels.assignment import each_once  # noqa: PLC0415
    from dipstream.kernels.near_pairs import near_pairs  # noqa: PLC0415

    (was, area_before), (now, area) = mothers, objects
    first, near, _ = near_pairs(now[new], was, gate_px)
    mother, daughter = near.astype(np.int64), np.repeat(new, np.diff(first))
    sister = linked[mother]
    small = np.minimum(area[daughter], area[sister])
    large = np.maximum(area[daughter], area[sister])
    fits = (large <= LARGEST_DAUGHTER * area_before[mother]) & (small >= LEAST_EQUAL * large)
    mother, daughter, sister = mother[fits], daughter[fits], sister[fits]
    off_centre_px = np.hypot(*((now[daughter] + now[sister]) / 2 - was[mother]).T)
    order = np.lexsort((daughter, mother, off_centre_px))
    mother, daughter = mother[order], daughter[order]
    kept = each_once(mother, daughter)
    return mother[kept], daughter[kept]
