"""Shape of objects, from their runs."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from dipstream.kernels.ellipse import ellipses_of
from dipstream.kernels.euler import euler_numbers
from dipstream.kernels.hull import convex_areas
from dipstream.kernels.perimeter import perimeters
from dipstream.steps.image import Image, Labels
from dipstream.steps.measure.shape import shape_columns
from dipstream.steps.step import pure

__all__ = ["shape"]

_LENGTHS = (
    "perimeter", "axis_major_length", "axis_minor_length", "equivalent_diameter_area",
)  # fmt: skip


@pure(columns=shape_columns)
def shape(
    labels: Labels,
    images: Mapping[str, Image],  # noqa: ARG001 - shape needs no intensities
) -> dict[str, npt.NDArray[Any]]:
    """Measure the shape of every object, as `dipstream.steps.measure.shape.shape` does.

    Counts are equal, lengths and angles to 1e-9. Where mathematics says 0 (the width of a line,
    the eccentricity of what is as wide as high), or leaves the orientation open (its axes are
    equal), this is exact and the reference's rounding is not: up to 1e-7 of the major axis.
    """
    moments = labels.moments
    ellipse = ellipses_of(moments)
    area, convex = moments.area, convex_areas(moments)
    box = (moments.y1 - moments.y0) * (moments.x1 - moments.x0)
    values: dict[str, npt.NDArray[Any]] = {
        "area": area,
        "perimeter": perimeters(moments),
        "axis_major_length": ellipse.major,
        "axis_minor_length": ellipse.minor,
        "eccentricity": ellipse.eccentricity,
        "orientation": ellipse.orientation,
        "solidity": area / convex,
        "extent": area / box,
        "equivalent_diameter_area": np.sqrt(4 * area / np.pi),
        "area_convex": convex,
        "euler_number": euler_numbers(moments.runs),
        "bbox_y0": moments.y0,
        "bbox_x0": moments.x0,
        "bbox_y1": moments.y1,
        "bbox_x1": moments.x1,
    }
    side = np.nan if labels.pixel_um is None else labels.pixel_um
    values["area_um2"] = area * side**2
    return values | {f"{name}_um": values[name] * side for name in _LENGTHS}
