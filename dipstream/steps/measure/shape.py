"""Shape of objects."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from skimage import measure

from dipstream.steps.image import Image, Labels
from dipstream.steps.step import pure
from dipstream.table import Column

__all__ = ["shape", "shape_columns"]

_PIXELS = (
    Column("area", "int64", "px²", "Number of pixels of the object."),
    Column("perimeter", "float64", "px", "Length of the border through pixel centres, weighted for "
           "diagonals (4-neighbourhood)."),
    Column("axis_major_length", "float64", "px", "Major axis of the ellipse with the same second "
           "moments."),
    Column("axis_minor_length", "float64", "px", "Minor axis of the ellipse with the same second "
           "moments."),
    Column("eccentricity", "float64", "", "Eccentricity of that ellipse: 0 a circle, towards 1 a "
           "line."),
    Column("orientation", "float64", "rad", "Angle between the y axis and the major axis, from "
           "−π/2 to π/2, counter-clockwise."),
    Column("solidity", "float64", "", "Area divided by the area of the convex hull."),
    Column("extent", "float64", "", "Area divided by the area of the bounding box."),
    Column("equivalent_diameter_area", "float64", "px", "Diameter of the circle of the same area."),
    Column("area_convex", "int64", "px²", "Number of pixels of the convex hull."),
    Column("euler_number", "int64", "", "Connected parts minus holes (8-neighbourhood)."),
    Column("bbox_y0", "int64", "px", "First row of the bounding box."),
    Column("bbox_x0", "int64", "px", "First column of the bounding box."),
    Column("bbox_y1", "int64", "px", "Row after the last of the bounding box."),
    Column("bbox_x1", "int64", "px", "Column after the last of the bounding box."),
)  # fmt: skip
_PHYSICAL = (
    Column("area_um2", "float64", "µm²", "Area; empty where the pixel size is unknown."),
    Column("perimeter_um", "float64", "µm", "Perimeter; empty where the pixel size is unknown."),
    Column("axis_major_length_um", "float64", "µm", "Major axis; empty where the pixel size is "
           "unknown."),
    Column("axis_minor_length_um", "float64", "µm", "Minor axis; empty where the pixel size is "
           "unknown."),
    Column("equivalent_diameter_area_um", "float64", "µm", "Diameter of the circle of the same "
           "area; empty where the pixel size is unknown."),
)  # fmt: skip
# regionprops' name for ours, where they differ
_BBOX = {"bbox_y0": "bbox-0", "bbox_x0": "bbox-1", "bbox_y1": "bbox-2", "bbox_x1": "bbox-3"}
_PROPERTIES = (*(column.name for column in _PIXELS if column.name not in _BBOX), "bbox")


def shape_columns(run_channels: tuple[str, ...], /, **_parameters: Any) -> tuple[Column, ...]:  # noqa: ARG001
    """Return the columns of `shape`; they do not depend on the channels."""
    return _PIXELS + _PHYSICAL


@pure(columns=shape_columns)
def shape(
    labels: Labels,
    images: Mapping[str, Image],  # noqa: ARG001 - shape needs no intensities
) -> dict[str, npt.NDArray[Any]]:
    """Measure the shape of every object.

    The values and names are those of `skimage.measure.regionprops` (perimeter: Benkrid and
    Crookes, 2000), in px; lengths and area also in µm, where the pixel size is known.

    Parameters
    ----------
    labels
        Objects, int32 (y, x).
    images
        Not used.

    Returns
    -------
    dict
        One value for each label that is present, ascending, for every column.
    """
    # A line has no width: regionprops' moments may round to a tiny negative number there.
    with np.errstate(divide="ignore", invalid="ignore"):
        table: Mapping[str, npt.NDArray[Any]] = measure.regionprops_table(
            labels.dense, properties=_PROPERTIES
        )
    values: dict[str, npt.NDArray[Any]] = {
        column.name: np.asarray(table[_BBOX.get(column.name, column.name)]).astype(column.dtype)
        for column in _PIXELS
    }
    return values | _physical(values, labels.pixel_um)


def _physical(
    values: Mapping[str, npt.NDArray[Any]], pixel_um: float | None
) -> dict[str, npt.NDArray[Any]]:
    side = np.nan if pixel_um is None else pixel_um
    lengths = ("perimeter", "axis_major_length", "axis_minor_length", "equivalent_diameter_area")
    return {"area_um2": values["area"] * side**2} | {
        f"{name}_um": values[name] * side for name in lengths
    }
