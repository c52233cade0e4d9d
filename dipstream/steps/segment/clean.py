"""Removing what is too small, too large, hollow or cut off."""

from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field

from dipstream.errors import ConfigError
from dipstream.steps import ndimage as ndi
from dipstream.steps.image import Mask
from dipstream.steps.segment.regions import Region, connected, drop, in_raster_order
from dipstream.steps.step import pure

__all__ = ["clean", "clear_border", "fill_holes"]


@pure()
def clean(
    region: Region,
    *,
    min_area_px: Annotated[int, Field(ge=0)] = 0,
    max_area_px: Annotated[int | None, Field(ge=0)] = None,
    opening_px: Annotated[int, Field(ge=0)] = 0,
) -> Region:
    """Remove thin parts, then regions that are too small or too large.

    Works on a mask, where regions are 8-connected, and on labelled objects, each by itself
    (area opening: Vincent, Proc. EURASIP Workshop on Mathematical Morphology, 1993).

    Parameters
    ----------
    region
        Mask or labels.
    min_area_px
        Smallest area that stays, in pixels.
    max_area_px
        Largest area that stays, in pixels; None for any.
    opening_px
        Radius of a disk, in px: only pixels stay that such a disk covers while it lies wholly
        within one object. Outside the image an object is taken to go on. 0 opens nothing.
    """
    if max_area_px is not None and max_area_px < min_area_px:
        raise ConfigError(
            f"clean: max_area_px is {max_area_px}, less than min_area_px ({min_area_px}); "
            "no region could stay."
        )
    if opening_px:
        region = _opened(region, opening_px)
    labels = _labels_of(region)
    areas = np.bincount(labels.ravel())
    keep = areas >= min_area_px
    if max_area_px is not None:
        keep &= areas <= max_area_px
    return drop(region, keep, labels)


@pure()
def fill_holes(mask: Mask, *, max_area_px: Annotated[int | None, Field(ge=0)] = None) -> Mask:
    """Fill background that is enclosed by foreground.

    A hole is a 4-connected region of background that does not touch the border of the image
    (Soille, Morphological Image Analysis, 2nd ed., 6.3.7).

    Parameters
    ----------
    mask
        Foreground.
    max_area_px
        Fill holes up to this area only, in pixels; None for any.
    """
    filled = ndi.binary_fill_holes(mask.dense)
    if max_area_px is not None:
        holes, _ = ndi.label(filled & ~mask.dense)
        filled &= (np.bincount(holes.ravel()) <= max_area_px)[holes] | mask.dense
    return mask.with_data(np.asarray(filled, bool))


@pure()
def clear_border(region: Region, *, buffer_px: Annotated[int, Field(ge=0)] = 0) -> Region:
    """Remove objects that touch the border of the image: they may be cut off.

    Works on a mask, where regions are 8-connected, and on labelled objects (as
    ``skimage.segmentation.clear_border`` does).

    Parameters
    ----------
    region
        Mask or labels.
    buffer_px
        Objects that come within this many px of the outermost pixels go too.
    """
    labels = _labels_of(region)
    inner = (slice(buffer_px + 1, -buffer_px - 1),) * 2
    frame = np.ones(labels.shape, bool)
    frame[inner] = False
    keep = np.ones(int(labels.max(initial=0)) + 1, bool)
    keep[labels[frame]] = False
    return drop(region, keep, labels)


def _labels_of(region: Region) -> npt.NDArray[np.int32]:
    return connected(region.dense) if isinstance(region, Mask) else region.dense


def _opened(region: Region, radius_px: int) -> Region:
    """Open every object by a disk; objects cannot lend each other pixels."""
    pixels = region.dense.astype(np.int32)
    reach = np.arange(-radius_px, radius_px + 1)
    disk = reach[:, None] ** 2 + reach**2 <= radius_px**2
    lowest = ndi.minimum_filter(pixels, footprint=disk, mode="nearest")
    highest = ndi.maximum_filter(pixels, footprint=disk, mode="nearest")
    centres = np.where(lowest == highest, pixels, 0)
    opened = ndi.maximum_filter(centres, footprint=disk, mode="constant")
    if isinstance(region, Mask):
        return region.with_data(opened > 0)
    return region.with_data(in_raster_order(opened))
