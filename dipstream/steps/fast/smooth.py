"""Gaussian smoothing in one pass over the raw pixels, and the median of 3 × 3."""

import math

import numpy as np

from dipstream.kernels.linear import suits_kernels
from dipstream.kernels.median import median_of_nine
from dipstream.kernels.smooth import smooth
from dipstream.steps.correct import smooth as reference
from dipstream.steps.image import Image

__all__ = ["gaussian", "median"]


def gaussian(image: Image, *, sigma_px: float = 1.0) -> Image:
    """Smooth with a Gaussian, as the step does."""
    linear = image.linear
    if suits_kernels(linear.raw):
        smoothed = np.empty(linear.shape, np.float32)
        low, high = smooth(linear, sigma_px, smoothed)
        if math.isfinite(low) and math.isfinite(high):
            return image.with_pixels(smoothed)
    # How NaN and infinity spread is the reference's to say.
    return reference.gaussian(image, sigma_px=sigma_px)


def median(image: Image, *, size_px: int = 3) -> Image:
    """Replace each pixel by the median of the window around it, as the step does."""
    if size_px == 3 and suits_kernels(image.linear.raw):
        pixels = image.pixels
        if pixels.dtype.kind == "u" or not np.isnan(pixels.min()):
            return image.with_pixels(median_of_nine(pixels))
    return reference.median(image, size_px=size_px)
