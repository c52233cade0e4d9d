"""Photo-electrons, computed where the pixels are needed."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from dipstream.kernels.linear import Linear, suits_kernels
from dipstream.steps.correct import electrons as reference
from dipstream.steps.image import Image

__all__ = ["electrons"]


def electrons(
    image: Image,
    *,
    camera: Path | None = None,
    offset_dn: float | None = None,
    gain_e_per_dn: float | None = None,
    em_gain: float | None = None,
) -> Image:
    """Turn DN into photo-electrons, as the step does."""
    if not (image.linear.is_raw and suits_kernels(image.linear.raw)):
        return reference.electrons(
            image,
            camera=camera,
            offset_dn=offset_dn,
            gain_e_per_dn=gain_e_per_dn,
            em_gain=em_gain,
        )
    offset, factor = reference.offset_and_factor(image, camera, offset_dn, gain_e_per_dn, em_gain)
    pixels = Linear(image.linear.raw, np.asarray(offset), np.asarray(factor))
    return replace(image, data=pixels, offset_dn=None, gain_e_per_dn=None, em_gain=None)
