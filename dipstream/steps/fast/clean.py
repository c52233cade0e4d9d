"""Removing what is too small, too large, hollow or cut off, on runs."""

from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field

from dipstream.errors import ConfigError
from dipstream.kernels import Runs
from dipstream.kernels.cleaning import at_border, keep_labels, keep_runs, renumbered
from dipstream.kernels.components import components, sizes
from dipstream.kernels.holes import fill_holes as fill_holes_of_runs
from dipstream.kernels.object_runs import dense_index
from dipstream.kernels.opening import opened
from dipstream.steps.image import Mask
from dipstream.steps.segment.regions import Region
from dipstream.steps.step import pure

__all__ = ["clean", "clear_border", "fill_holes"]

Ints = npt.NDArray[np.int32]


@pure()
def clean(
    region: Region,
    *,
    min_area_px: Annotated[int, Field(ge=0)] = 0,
    max_area_px: Annotated[int | None, Field(ge=0)] = None,
    opening_px: Annotated[int, Field(ge=0)] = 0,
) -> Region:
    """Remove thin parts and regions, as `dipstream.steps.segment.clean.clean` does."""
    if max_area_px is not None and max_area_px < min_area_px:
        raise ConfigError(
            f"clean: max_area_px is {max_area_px}, less than min_area_px ({min_area_px}); "
            "no region could stay."
        )
    if opening_px:
        region = _opened(region, opening_px)
    runs, part, n = _parts(region)
    areas = sizes(runs, part, n)
    keep = areas >= min_area_px
    if max_area_px is not None:
        keep &= areas <= max_area_px
    return _keep(region, part, keep)


@pure()
def fill_holes(mask: Mask, *, max_area_px: Annotated[int | None, Field(ge=0)] = None) -> Mask:
    """Fill enclosed background, as `dipstream.steps.segment.clean.fill_holes` does."""
    return mask.with_data(fill_holes_of_runs(mask.runs, max_area_px))


@pure()
def clear_border(region: Region, *, buffer_px: Annotated[int, Field(ge=0)] = 0) -> Region:
    """Remove objects at the border, as `dipstream.steps.segment.clean.clear_border` does."""
    runs, part, n = _parts(region)
    return _keep(region, part, ~at_border(runs, part, n, buffer_px))


def _parts(region: Region) -> tuple[Runs, Ints, int]:
    """Return the runs, the region or object of each, and how many of these there may be."""
    if isinstance(region, Mask):
        runs, part = region.runs, components(region.runs)
    else:
        runs, part = region.runs.runs, _objects(region.runs.label)
    return runs, part, int(part.max(initial=-1)) + 1


def _objects(label: Ints) -> Ints:
    """Return numbers from 0 instead of labels, few enough to have an entry each."""
    index, names = dense_index(label)
    return index - np.int32(1) if names is None else index


def _keep(region: Region, part: Ints, keep: npt.NDArray[np.bool_]) -> Region:
    if isinstance(region, Mask):
        return region.with_data(keep_runs(region.runs, part, keep))
    return region.with_data(keep_labels(region.runs, part, keep))


def _opened(region: Region, radius_px: int) -> Region:
    if isinstance(region, Mask):
        # A disk within the mask lies within one of its regions.
        left = opened(region.runs, components(region.runs), radius_px)
        return region.with_data(left.runs)
    labelled = region.runs
    left = opened(labelled.runs, _objects(labelled.label), radius_px)
    return region.with_data(renumbered(left))
