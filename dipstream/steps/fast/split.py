"""From foreground to objects, on runs."""

from typing import Annotated, Literal

from pydantic import Field

from dipstream.kernels.split import label
from dipstream.kernels.split import split as split_runs
from dipstream.steps.image import Labels, Mask
from dipstream.steps.segment.split import (
    H_PX,
    SMOOTH_PX,
    height_levels,
    refuse,
    smoothing_weights,
)
from dipstream.steps.step import pure

__all__ = ["split"]


@pure(version=2)
def split(
    mask: Mask,
    *,
    method: Literal["distance", "none"] = "distance",
    smooth_px: Annotated[float | None, Field(ge=0)] = None,
    h_px: Annotated[float | None, Field(gt=0)] = None,
) -> Labels:
    """Label objects, as `dipstream.steps.segment.split.split` does."""
    if method == "none":
        refuse(smooth_px=smooth_px, h_px=h_px)
        return mask.labels(label(mask.runs))
    weights = smoothing_weights(SMOOTH_PX if smooth_px is None else smooth_px)
    least_rise = height_levels(H_PX if h_px is None else h_px)
    return mask.labels(split_runs(mask.runs, weights, least_rise))
