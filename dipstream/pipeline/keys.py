"""The columns every object has, whatever is measured: its label and where it lies."""

from typing import Any

import numpy as np
import numpy.typing as npt

from dipstream.frame import ImageSet
from dipstream.steps.image import Labels
from dipstream.table import Column

__all__ = ["KEY_COLUMNS", "key_values"]

KEY_COLUMNS = (
    Column("label", "int64", "", "number of the object in the labels of its image set", "split"),
    Column("y_px", "float64", "px", "row of the centroid in the corrected image", "centroid"),
    Column("x_px", "float64", "px", "column of the centroid in the corrected image", "centroid"),
    Column("y_um", "float64", "µm", "y_px in µm; NaN where the pixel size is unknown", "centroid"),
    Column("x_um", "float64", "µm", "x_px in µm; NaN where the pixel size is unknown", "centroid"),
    Column("world_y_um", "float64", "µm", "y on the stage; NaN where it is unknown", "centroid"),
    Column("world_x_um", "float64", "µm", "x on the stage; NaN where it is unknown", "centroid"),
)


def key_values(labels: Labels, image_set: ImageSet) -> dict[str, npt.NDArray[Any]]:
    """Return label and centroid of every object, in px, µm and on the stage.

    The centroid is the mean row and column of the object's pixels, as scikit-image's
    ``regionprops`` defines it.
    """
    moments = labels.moments
    # From exact sums of whole numbers, so that it does not matter in which order they were added.
    y_px = (moments.sum_y + moments.area * moments.y0) / moments.area
    x_px = (moments.sum_x + moments.area * moments.x0) / moments.area
    pixel_um = image_set.segment.pixel_um
    scale = np.nan if pixel_um is None else pixel_um
    y_um, x_um = y_px * scale, x_px * scale
    world_y_um, world_x_um = _world(y_um, x_um, image_set)
    return {
        "label": moments.label,
        "y_px": y_px,
        "x_px": x_px,
        "y_um": y_um,
        "x_um": x_um,
        "world_y_um": world_y_um,
        "world_x_um": world_x_um,
    }


def _world(
    y_um: npt.NDArray[np.float64], x_um: npt.NDArray[np.float64], image_set: ImageSet
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    affine = image_set.segment.camera_to_stage
    stage = image_set.frames[0].info.stage_um
    if affine is None or stage is None:
        return np.full_like(y_um, np.nan), np.full_like(x_um, np.nan)
    xx, xy, x0, yx, yy, y0 = affine
    world_x = stage[0] + xx * x_um + xy * y_um + x0
    world_y = stage[1] + yx * x_um + yy * y_um + y0
    return world_y, world_x
