"""Regions of pixels: which belong together, and in what order they are numbered.

Foreground is connected over edges and corners (8 neighbours), background over edges only (4), so
that a diagonal line both separates and holds together.
"""

from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from dipstream.steps import ndimage as ndi
from dipstream.steps.image import Labels, Mask

__all__ = ["EIGHT", "Region", "connected", "drop", "in_raster_order"]

Region = TypeVar("Region", Mask, Labels)
"""What a step accepts that works on a mask's regions as well as on labelled objects."""

EIGHT = np.ones((3, 3), bool)


def connected(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.int32]:
    """Label 8-connected regions 1…n in raster order of their first pixels."""
    labels = np.zeros(mask.shape, np.int32)
    ndi.label(mask, EIGHT, output=labels)
    return in_raster_order(labels)


def in_raster_order(labels: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.int32]:
    """Renumber labels 1…n without gaps, in raster order of their first pixels."""
    flat = labels.ravel()
    inside = np.flatnonzero(flat)
    first = np.full(int(flat.max(initial=0)) + 1, -1, np.int64)
    first[flat[inside[::-1]]] = inside[::-1]  # the last write, the first pixel, stays
    present = np.flatnonzero(first >= 0)
    number = np.zeros(len(first), np.int32)
    number[present[np.argsort(first[present])]] = np.arange(1, len(present) + 1)
    return np.asarray(number[labels], np.int32)


def drop(region: Region, keep: npt.NDArray[np.bool_], labels: npt.NDArray[np.int32]) -> Region:
    """Return `region` without the objects that `keep`, one flag a label, says no to."""
    keep = keep.copy()
    keep[0] = False
    kept = keep[labels]
    if isinstance(region, Mask):
        return region.with_data(kept)
    return region.with_data(in_raster_order(np.where(kept, labels, 0)))
