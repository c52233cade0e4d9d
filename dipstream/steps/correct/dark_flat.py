"""Dark and flat-field correction."""

from functools import lru_cache
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt

from dipstream.errors import ConfigError, StepError
from dipstream.steps.correct.planes import as_float32, require_image
from dipstream.steps.correct.reference import FileVersion, read_reference, version_of
from dipstream.steps.image import Image
from dipstream.steps.step import FileInput, pure

__all__ = ["dark_and_gain", "dark_flat"]

Plane = npt.NDArray[np.float32]


@pure()
def dark_flat(
    image: Image,
    *,
    dark: Annotated[Path | None, FileInput()] = None,
    flat: Annotated[Path | None, FileInput()] = None,
    dark_dn: float | None = None,
) -> Image:
    """Subtract the dark signal and divide by the illumination.

    corrected = (raw − dark) / (flat − dark) · mean(flat − dark), the two-point correction
    (shading correction as in Model and Burkhardt, Cytometry 44 (2001) 309).
    The factor keeps the result in the units of the raw image, DN above dark. Without `flat`:
    raw − dark. The result may be negative where the noise is, and is never clipped.

    Parameters
    ----------
    image
        Pixels (y, x) or (z, y, x), any dtype.
    dark
        Image taken without light, at the exposure time of the run. It serves for the flat image
        too. A stack is averaged over its planes.
    flat
        Image of an even fluorescent layer: vignetting and dust. A stack is averaged. Each filter
        set has its own.
    dark_dn
        Dark signal as one number in DN, instead of `dark`. Neither: 0.

    Returns
    -------
    Image
        float32, in DN.

    Raises
    ------
    ConfigError
        If neither or both kinds of dark are given, a file cannot be used, or the flat image has
        pixels that are not brighter than the dark (they would become infinite).
    StepError
        If the image's shape differs from the references'.
    """
    offset, gain = dark_and_gain(image, dark, flat, dark_dn)
    pixels = image.pixels - offset
    if gain is not None:
        pixels = pixels * gain
    return image.with_pixels(as_float32(pixels))


def dark_and_gain(
    image: Image, dark: Path | None, flat: Path | None, dark_dn: float | None
) -> tuple[Plane, Plane | None]:
    """Return what `dark_flat` subtracts, of shape () or (y, x), and multiplies by, (y, x) or None.

    Raises as `dark_flat` does.
    """
    require_image(image, "dark_flat")
    _check(dark, flat, dark_dn)
    offset, gain = _references(
        None if dark is None else version_of(dark),
        None if flat is None else version_of(flat),
        dark_dn or 0.0,
    )
    _require_shape(image, offset, dark)
    if gain is not None:
        _require_shape(image, gain, flat)
    return offset, gain


@lru_cache(maxsize=8)
def _references(
    dark: FileVersion | None, flat: FileVersion | None, dark_dn: float
) -> tuple[Plane, Plane | None]:
    offset = np.asarray(dark_dn, dtype=np.float64) if dark is None else read_reference(dark)
    gain = None if flat is None else _gain(read_reference(flat), offset, flat.path, dark)
    return as_float32(offset), gain


def _gain(
    flat: npt.NDArray[np.float64],
    offset: npt.NDArray[np.float64],
    path: Path,
    dark: FileVersion | None,
) -> Plane:
    if dark is not None and flat.shape != offset.shape:
        raise ConfigError(
            f"dark_flat: {path} has shape {flat.shape}, {dark.path} has {offset.shape}; "
            "take both with the same region and binning"
        )
    light = flat - offset
    unlit = np.count_nonzero(light <= 0)
    if unlit:
        raise ConfigError(
            f"dark_flat: {path} has {unlit} of {light.size} pixels that are not above the dark "
            "signal; take a brighter flat image or average several, and replace dead pixels by "
            "the median of their neighbours"
        )
    return as_float32(light.mean() / light)


def _check(dark: Path | None, flat: Path | None, dark_dn: float | None) -> None:
    if dark is not None and dark_dn is not None:
        raise ConfigError("dark_flat: dark and dark_dn are both given; keep one of them")
    if dark is None and flat is None and dark_dn is None:
        raise ConfigError("dark_flat: nothing to correct with; give dark, dark_dn or flat")


def _require_shape(image: Image, reference: Plane, path: Path | None) -> None:
    if path is not None and image.pixels.shape[-2:] != reference.shape:
        rows, columns = image.pixels.shape[-2:]
        raise StepError(
            f"dark_flat: the image of channel {image.channel!r} has {rows} × {columns} px, "
            f"{path.name} has {reference.shape[0]} × {reference.shape[1]}; take the reference "
            "with the camera's present region and binning"
        )
