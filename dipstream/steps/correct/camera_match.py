"""Whether a camera file is of the camera, and of the mode, that made an image."""

import numpy as np

from dipstream.calibrate.camera_file import CameraMode
from dipstream.errors import ConfigError
from dipstream.steps.image import Image

__all__ = ["require_match"]

_GAIN_TOLERANCE = 0.05
_OFFSET_TOLERANCE = 0.05
_LEAST_OFFSET_DN = 2.0
_SIGMAS = 6.0


def require_match(mode: CameraMode, image: Image, file: str) -> None:
    """Refuse a camera file of another camera, or of another mode of it.

    What only one of the two knows is not compared. An EM gain may differ: it is divided out.

    Parameters
    ----------
    mode
        What the file says.
    image
        Raw pixels, and what the source says of them.
    file
        The file's name.

    Raises
    ------
    ConfigError
        If bit depth, container, binning or the camera's name differ; or the gain by more than 5 %,
        or the offset by more than 5 % and 2 DN. Where the file's own standard errors are larger, 6
        of them are allowed.
    """
    frames = f"the frames of channel {image.channel!r}"
    if mode.binning is not None and image.binning not in (None, mode.binning):
        raise ConfigError(
            f"electrons: {file} is of binning {mode.binning}, {frames} of {image.binning}. "
            f"Calibrate with binning {image.binning}, or bin by {mode.binning}"
        )
    if mode.bit_depth is not None and image.bit_depth not in (None, mode.bit_depth):
        raise ConfigError(
            f"electrons: {file} is of {mode.bit_depth} bits, {frames} of {image.bit_depth}: "
            "another mode of the camera, or another camera. Calibrate the mode that is used, or "
            "correct --bit-depth"
        )
    if _is_converted(mode, image):
        raise ConfigError(
            f"electrons: {file} is of pixels of type {mode.dtype}, {frames} are "
            f"{image.pixels.dtype.name}: converted on the way, which changes the gain. Save the "
            "frames as the camera gives them, or calibrate with frames that were converted likewise"
        )
    _require_numbers(mode, image, file)
    if mode.camera is not None and image.camera not in (None, mode.camera):
        raise ConfigError(
            f"electrons: {file} is of the camera {mode.camera!r}, {frames} of {image.camera!r}. "
            "Calibrate that camera; if it is the same one under another name, correct camera = … "
            f"in {file}"
        )


def _is_converted(mode: CameraMode, image: Image) -> bool:
    """Say whether 8 bits and more meet, where no bit depth tells it."""
    if mode.dtype is None or image.pixels.dtype.kind not in "iu":
        return False
    if mode.bit_depth is not None and image.bit_depth is not None:
        return False
    small = {np.dtype(np.uint8).name, np.dtype(np.int8).name}
    return (mode.dtype in small) != (image.pixels.dtype.name in small)


def _require_numbers(mode: CameraMode, image: Image, file: str) -> None:
    told_gain, told_offset = image.gain_e_per_dn, image.offset_dn
    if told_gain is not None:
        allowed = max(_GAIN_TOLERANCE * told_gain, _SIGMAS * (mode.gain_se_e_per_dn or 0.0))
        if abs(mode.gain_e_per_dn - told_gain) > allowed:
            raise ConfigError(_other("a gain", mode.gain_e_per_dn, told_gain, "e⁻/DN", image, file))
    if told_offset is not None:
        allowed = max(
            _LEAST_OFFSET_DN, _OFFSET_TOLERANCE * told_offset, _SIGMAS * (mode.offset_se_dn or 0.0)
        )
        if abs(mode.offset_dn - told_offset) > allowed:
            raise ConfigError(_other("an offset", mode.offset_dn, told_offset, "DN", image, file))


def _other(what: str, of_file: float, told: float, unit: str, image: Image, file: str) -> str:
    return (
        f"electrons: {file} says {what} of {of_file:.4g} {unit}, the source of channel "
        f"{image.channel!r} says {told:.4g} {unit}: another camera, or another mode of it. "
        "Calibrate the camera in the mode that is used, or open the source in the mode of the file"
    )
