"""Smoothing: Gaussian and median."""

from typing import Annotated

import numpy as np
from pydantic import AfterValidator, Field

from dipstream.errors import ConfigError
from dipstream.steps import ndimage
from dipstream.steps.correct.planes import as_float32, each_plane, require_image
from dipstream.steps.image import Image
from dipstream.steps.step import pure

__all__ = ["gaussian", "median"]


def _odd(size_px: int) -> int:
    if size_px % 2 == 0:
        raise ValueError(f"{size_px} is even; allowed are 3, 5, 7, … (a window needs a centre)")
    return size_px


@pure()
def gaussian(image: Image, *, sigma_px: Annotated[float, Field(gt=0, le=1000)] = 1.0) -> Image:
    """Smooth with a Gaussian.

    A sampled Gaussian, cut off at 4 σ and normalised to 1 (`scipy.ndimage.gaussian_filter`). At
    the border the image is mirrored about the edge of its outermost pixels (``d c b a | a b c d``,
    scipy's ``reflect``), so that a constant image stays constant. A stack is smoothed plane by
    plane.

    Parameters
    ----------
    image
        Pixels (y, x) or (z, y, x), any dtype. Integers become float32 first, never rescaled.
    sigma_px
        Standard deviation σ in px.

    Returns
    -------
    Image
        float32, in the units of the input.

    Raises
    ------
    StepError
        If the image is neither a plane nor a stack.
    """
    require_image(image, "gaussian")
    pixels = as_float32(image.pixels)
    sigmas = (0.0,) * (pixels.ndim - 2) + (sigma_px, sigma_px)
    return image.with_pixels(
        ndimage.gaussian_filter(pixels, sigmas, mode="reflect", truncate=4.0, output=np.float32)
    )


@pure()
def median(
    image: Image, *, size_px: Annotated[int, Field(ge=3, le=101), AfterValidator(_odd)] = 3
) -> Image:
    """Replace each pixel by the median of the square window around it: removes hot pixels.

    `scipy.ndimage.median_filter`; the border is mirrored as in `gaussian`. A stack is filtered
    plane by plane.

    Parameters
    ----------
    image
        Pixels (y, x) or (z, y, x), any dtype.
    size_px
        Side of the window in px, an odd number.

    Returns
    -------
    Image
        The dtype of the input.

    Raises
    ------
    ConfigError
        If `size_px` is even.
    StepError
        If the image is neither a plane nor a stack.
    """
    try:
        _odd(size_px)
    except ValueError as error:
        raise ConfigError(f"median: size_px = {error}") from error
    require_image(image, "median")
    return image.with_pixels(
        each_plane(
            image.pixels, lambda plane: ndimage.median_filter(plane, size_px, mode="reflect")
        )
    )
