"""What the correct steps share: float32 pixels, and stacks taken plane by plane."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from dipstream.errors import StepError
from dipstream.steps.image import Image

__all__ = ["as_float32", "each_plane", "require_image"]


def as_float32(pixels: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return the same numbers as float32: never rescaled, integers exact up to 2²⁴."""
    return np.asarray(pixels, dtype=np.float32)


def each_plane(
    pixels: npt.NDArray[Any], function: Callable[[npt.NDArray[Any]], npt.NDArray[Any]]
) -> npt.NDArray[Any]:
    """Apply a function to a (y, x) plane, or to every plane of a (z, y, x) stack."""
    if pixels.ndim == 2:
        return function(pixels)
    return np.stack([function(plane) for plane in pixels])


def require_image(image: Image, step: str) -> None:
    """Raise `StepError` unless the pixels are a plane (y, x) or a stack (z, y, x), not empty."""
    if image.pixels.ndim not in (2, 3) or image.pixels.size == 0:
        raise StepError(
            f"{step}: channel {image.channel!r} has pixels of shape {image.pixels.shape}; "
            "allowed are (y, x) and (z, y, x), not empty; hand in one channel at a time"
        )
