"""From a z-stack to one plane."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from dipstream.steps.correct.planes import require_image
from dipstream.steps.image import Image
from dipstream.steps.step import pure

__all__ = ["project"]

_METHODS: Mapping[str, Callable[[npt.NDArray[Any]], npt.NDArray[Any]]] = {
    "max": lambda stack: stack.max(axis=0),
    "min": lambda stack: stack.min(axis=0),
    "mean": lambda stack: stack.mean(axis=0, dtype=np.float64).astype(np.float32),
    "median": lambda stack: np.median(stack, axis=0).astype(np.float32),
    "sum": lambda stack: stack.sum(axis=0, dtype=np.float64),
}


@pure()
def project(
    image: Image, *, method: Literal["max", "mean", "sum", "min", "median"] = "max"
) -> Image:
    """Project a z-stack onto one plane; a plane passes through untouched.

    Parameters
    ----------
    image
        Pixels (z, y, x) or (y, x), any dtype.
    method
        ``max`` and ``min`` keep the dtype; ``mean`` and ``median`` give float32 (they fall
        between integers); ``sum`` gives float64, which cannot overflow and is exact up to 2⁵³.

    Returns
    -------
    Image
        Pixels (y, x), in the units of the input.

    Raises
    ------
    StepError
        If the image is neither a plane nor a stack.
    """
    require_image(image, "project")
    if image.pixels.ndim == 2:
        return image
    return image.with_pixels(_METHODS[method](image.pixels))
