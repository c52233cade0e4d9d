"""Background subtraction by a blur or by one number."""

import math
from typing import Literal

import numpy as np

from dipstream.kernels.linear import Linear, suits_kernels
from dipstream.kernels.order_statistics import percentile as percentile_of
from dipstream.kernels.smooth import smooth
from dipstream.steps.correct import background as reference
from dipstream.steps.correct.planes import as_float32
from dipstream.steps.image import Image

__all__ = ["background"]

_ONE = np.ones((), np.float32)


def background(
    image: Image,
    *,
    method: Literal["gaussian", "rolling_ball", "white_tophat", "percentile"] = "rolling_ball",
    radius_px: float = 50.0,
    percentile: float = 5.0,
) -> Image:
    """Subtract the background, as the step does."""
    found = None
    if suits_kernels(image.linear.raw):
        if method == "gaussian":
            found = _less_blur(image, radius_px)
        elif method == "percentile":
            found = _less_percentile(image, percentile)
    if found is not None:
        return found
    return reference.background(image, method=method, radius_px=radius_px, percentile=percentile)


def _less_blur(image: Image, sigma_px: float) -> Image | None:
    blurred = np.empty(image.linear.shape, np.float32)
    if not all(map(math.isfinite, smooth(image.linear, sigma_px, blurred))):
        return None
    return image.with_pixels(np.subtract(image.pixels, blurred, out=blurred))


def _less_percentile(image: Image, percent: float) -> Image | None:
    pixels = as_float32(image.pixels)
    if not np.isfinite(pixels.min() + pixels.max()):
        return None
    level = np.asarray(np.float32(percentile_of(pixels, percent)))
    return image.with_pixels(Linear(pixels, level, _ONE).pixels())
