"""Photo-electrons: from what the camera says to what its pixels held."""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from dipstream.calibrate.camera_file import CameraFile, read_camera
from dipstream.errors import ConfigError
from dipstream.steps.correct.camera_match import require_match
from dipstream.steps.correct.planes import as_float32, require_image
from dipstream.steps.correct.reference import FileVersion, version_of
from dipstream.steps.image import Image
from dipstream.steps.step import FileInput, pure

__all__ = ["electrons", "offset_and_factor"]


@pure(unit="e⁻")
def electrons(
    image: Image,
    *,
    camera: Annotated[Path | None, FileInput()] = None,
    offset_dn: float | None = None,
    gain_e_per_dn: Annotated[float | None, Field(gt=0)] = None,
    em_gain: Annotated[float | None, Field(ge=1)] = None,
) -> Image:
    """Turn DN into photo-electrons.

    electrons = (raw − offset) · gain / EM gain. The result may be negative where the noise is, and
    is never clipped. It belongs before all other corrections: it takes raw pixels.

    Parameters
    ----------
    image
        Raw pixels (y, x) or (z, y, x), in DN, any dtype.
    camera
        Camera file of ``dipstream calibrate``. One with several channels gives each its own mode.
    offset_dn
        The camera's offset in DN, instead of a file.
    gain_e_per_dn
        Conversion in e⁻/DN at the sensor's output, instead of a file.
    em_gain
        EM gain; None: that of the source, or else of the file, or else 1. Without `camera`,
        `offset_dn` and `gain_e_per_dn`, all three are those that the source tells.

    Returns
    -------
    Image
        float32, in photo-electrons.

    Raises
    ------
    ConfigError
        If nobody tells offset and gain, a file and numbers are both given, or the file is of
        another camera or mode than the image: by bit depth, binning or name, or by the offset and
        gain that the source tells.
    StepError
        If the image is neither a plane nor a stack.
    """
    offset, factor = offset_and_factor(image, camera, offset_dn, gain_e_per_dn, em_gain)
    pixels = as_float32(image.pixels) - offset
    pixels *= factor
    return replace(image, data=pixels, offset_dn=None, gain_e_per_dn=None, em_gain=None)


def offset_and_factor(
    image: Image,
    camera: Path | None,
    offset_dn: float | None,
    gain_e_per_dn: float | None,
    em_gain: float | None,
) -> tuple[np.float32, np.float32]:
    """Return what `electrons` subtracts, in DN, and multiplies by, in e⁻/DN.

    Raises as `electrons` does.
    """
    require_image(image, "electrons")
    if camera is not None:
        _require_alone(offset_dn, gain_e_per_dn)
        offset, gain, amplification = _of_file(camera, image, em_gain)
    else:
        offset, gain, amplification = _of_numbers(image, offset_dn, gain_e_per_dn, em_gain)
    return np.float32(offset), np.float32(gain / amplification)


def _require_alone(offset_dn: float | None, gain_e_per_dn: float | None) -> None:
    if offset_dn is not None or gain_e_per_dn is not None:
        raise ConfigError(
            "electrons: camera is given together with offset_dn or gain_e_per_dn; keep the file, "
            "or the numbers"
        )


def _of_file(camera: Path, image: Image, em_gain: float | None) -> tuple[float, float, float]:
    mode = _cached(version_of(camera)).mode(image.channel)
    require_match(mode, image, camera.name)
    known = (em_gain, image.em_gain, mode.em_gain, 1.0)
    amplification = next(value for value in known if value is not None)
    return mode.offset_dn, mode.gain_e_per_dn, amplification


def _of_numbers(
    image: Image, offset_dn: float | None, gain_e_per_dn: float | None, em_gain: float | None
) -> tuple[float, float, float]:
    offset = image.offset_dn if offset_dn is None else offset_dn
    gain = image.gain_e_per_dn if gain_e_per_dn is None else gain_e_per_dn
    if offset is None or gain is None:
        missing = " and ".join(
            name for name, value in (("the offset", offset), ("the gain", gain)) if value is None
        )
        raise ConfigError(
            f"electrons: nobody tells {missing} of the camera of channel {image.channel!r} (a "
            "pixel is converted once). Give camera: FILE from `dipstream calibrate`, or offset_dn "
            "and gain_e_per_dn"
        )
    amplification = image.em_gain if em_gain is None else em_gain
    return offset, gain, 1.0 if amplification is None else amplification


@lru_cache(maxsize=8)
def _cached(version: FileVersion) -> CameraFile:
    return read_camera(version.path)
