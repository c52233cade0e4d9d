"""Dark and flat-field correction, computed where the pixels are needed."""

from pathlib import Path

import numpy as np

from dipstream.kernels.linear import Linear, suits_kernels
from dipstream.steps.correct import dark_flat as reference
from dipstream.steps.image import Image

__all__ = ["dark_flat"]

_ONE = np.ones((), np.float32)


def dark_flat(
    image: Image,
    *,
    dark: Path | None = None,
    flat: Path | None = None,
    dark_dn: float | None = None,
) -> Image:
    """Subtract the dark signal and divide by the illumination, as the step does."""
    if not (image.linear.is_raw and suits_kernels(image.linear.raw)):
        return reference.dark_flat(image, dark=dark, flat=flat, dark_dn=dark_dn)
    offset, gain = reference.dark_and_gain(image, dark, flat, dark_dn)
    return image.with_pixels(Linear(image.linear.raw, offset, _ONE if gain is None else gain))
