"""From foreground to objects: touching ones are cut apart."""

from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field
from scipy import ndimage as ndi
from skimage.morphology import local_maxima, reconstruction
from skimage.segmentation import watershed

from dipstream.errors import ConfigError
from dipstream.steps.image import Labels, Mask
from dipstream.steps.segment.regions import EIGHT, connected, in_raster_order
from dipstream.steps.step import pure

__all__ = ["split"]

_LEVELS_PER_PX = 64
_SMOOTH_PX, _H_PX = 1.0, 0.75


@pure()
def split(
    mask: Mask,
    *,
    method: Literal["distance", "none"] = "distance",
    smooth_px: Annotated[float | None, Field(ge=0)] = None,
    h_px: Annotated[float | None, Field(gt=0)] = None,
) -> Labels:
    """Label objects, cutting touching ones at their necks.

    ``none`` labels 8-connected regions. ``distance`` floods the distance to the background from
    its maxima (Beucher & Lantuéjoul 1979; Meyer, Signal Processing 38, 1994):

    1. Euclidean distance of each pixel to the nearest background pixel; the border of the image
       is no background, so an object cut by it goes on beyond.
    2. Smoothed by a Gaussian (mirrored at the border, cut off at 4 σ), then rounded to 1/64 px,
       which makes plateaus, and therefore results, the same on any machine.
    3. One seed for each maximum that rises at least `h_px` above the saddle to a higher one
       (h-maxima: Soille, Morphological Image Analysis, 2nd ed., 6.3.4). Each region has a seed.
    4. Watershed from the highest level down over 8 neighbours; within a level pixels are taken
       in the order in which the flood reached them, seeds in raster order
       (``skimage.segmentation.watershed``). Every foreground pixel gets a label.

    Labels are numbered 1…n in raster order of their first pixels.

    Parameters
    ----------
    mask
        Foreground.
    method
        ``distance`` or ``none``.
    smooth_px
        σ of the Gaussian in px, default 1: about the roughness of the outlines.
    h_px
        Depth of a neck, in px of radius, that separates two objects, default 0.75. Larger cuts
        less.
    """
    if method == "none":
        _refuse(smooth_px=smooth_px, h_px=h_px)
        return mask.labels(connected(mask.dense))
    smooth = _SMOOTH_PX if smooth_px is None else smooth_px
    levels = _distance_levels(mask.dense, smooth)
    seeds = _seeds(mask.dense, levels, _H_PX if h_px is None else h_px)
    flooded = watershed(-levels, seeds, mask=mask.dense, connectivity=EIGHT)
    return mask.labels(in_raster_order(flooded))


def _distance_levels(mask: npt.NDArray[np.bool_], smooth_px: float) -> npt.NDArray[np.int32]:
    """Return the smoothed distance in 1/64 px; 0 in the background."""
    if mask.all():  # no background to measure from: one object
        return np.full(mask.shape, _LEVELS_PER_PX, np.int32)
    distance = ndi.distance_transform_edt(mask)
    if smooth_px:
        distance = ndi.gaussian_filter(distance, smooth_px, mode="reflect", truncate=4.0)
    return np.where(mask, np.rint(distance * _LEVELS_PER_PX), 0).astype(np.int32)


def _seeds(
    mask: npt.NDArray[np.bool_], levels: npt.NDArray[np.int32], h_px: float
) -> npt.NDArray[np.int32]:
    h = max(1, round(h_px * _LEVELS_PER_PX))
    # Background far below everything, also around the image: no path leads through it, and each
    # region keeps its maximum, even one that fills the image.
    relief = np.pad(np.where(mask, levels, -h - 1), 1, constant_values=-h - 1)
    leveled = reconstruction(relief - h, relief, method="dilation", footprint=EIGHT)
    tops = local_maxima(leveled, connectivity=2)[1:-1, 1:-1]
    return connected(tops & mask)


def _refuse(**parameters: float | None) -> None:
    given = [name for name, value in parameters.items() if value is not None]
    if given:
        raise ConfigError(
            f"split: {' and '.join(given)} belong to method: distance, not to method: none; "
            "leave them out or change the method."
        )
