"""A user's own image as the specimen."""

import math
from dataclasses import dataclass
from pathlib import Path

import imagecodecs
import numpy as np
import numpy.typing as npt
import tifffile

from dipstream.errors import SourceError
from dipstream_simulator.limits import require_between
from dipstream_simulator.specimen.drawn import Drawn
from dipstream_simulator.specimen.flat import require_extent
from dipstream_simulator.specimen.model import Channel

__all__ = ["PictureCanvas", "picture"]

_MAX_SAMPLES = 10**8
_SUFFIXES = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".npy")
_DARK_PERCENTILE, _BRIGHT_PERCENTILE = 0.1, 99.9
_BLUE_BELOW_NM, _RED_FROM_NM = 490.0, 570.0
_Grid = npt.NDArray[np.float32]
_Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class PictureCanvas:
    """An image that lies in the middle of the field; row 0 is at the lowest y, as in the camera.

    Attributes
    ----------
    planes
        float32 (channels, y, x), 0 to 1.
    pixel_um
        Side of one of its pixels, in µm.
    """

    planes: _Grid
    pixel_um: float

    def draw(self, y_um: _Numbers, x_um: _Numbers, channel: int) -> _Grid:
        """Return the mean over each sample of the image, interpolated linearly; exact."""
        plane = self.planes[channel]
        rows, down = _weights(y_um, plane.shape[0], self.pixel_um)
        columns, right = _weights(x_um, plane.shape[1], self.pixel_um)
        return np.asarray(down @ plane[rows, columns] @ right.T, dtype=np.float32)

    def labels(self, y_um: _Numbers, x_um: _Numbers) -> npt.NDArray[np.int32]:
        """Return zeros: nobody knows what the image shows."""
        return np.zeros((len(y_um), len(x_um)), dtype=np.int32)


def picture(
    image: str | Path | npt.NDArray[np.generic],
    *,
    extent_um: tuple[float, float],
    channels: tuple[Channel, ...],
    pixel_um: float | None = None,
) -> Drawn:
    """Lay an image under the microscope.

    Its 0.1th percentile becomes black and its 99.9th becomes brightness 1, over all planes
    together; what is beyond is clipped. A grey image is the same in every channel. Of a coloured
    one, channels that emit below 490 nm show blue, those from 570 nm on red, the others green. Of
    an image with planes (c, y, x), channel i shows plane i.

    Parameters
    ----------
    image
        A TIFF, PNG, JPEG or npy file, or an array: (y, x), (y, x, 3 or 4), or (c, y, x).
    extent_um
        Height and width of the field, in µm.
    channels
        The channels it can be seen in.
    pixel_um
        Side of a pixel of the image, in µm, 0.0001 to 1000; left out, the image fills the field.

    Raises
    ------
    SourceError
        If the file cannot be read, or is no image of these kinds.
    """
    require_extent(extent_um)
    array = _read(image) if isinstance(image, str | Path) else image
    name = str(image) if isinstance(image, str | Path) else "the array"
    planes = _normalised(_planes(np.asarray(array), name, channels), name)
    side_um = min(extent / size for extent, size in zip(extent_um, planes.shape[1:], strict=True))
    pixel = side_um if pixel_um is None else pixel_um
    require_between("pixel_um", pixel, 1e-4, 1000.0, example=0.1)
    return Drawn(channels, extent_um, PictureCanvas(planes, pixel))


def _read(file: str | Path) -> npt.NDArray[np.generic]:
    path = Path(file)
    suffix = path.suffix.lower()
    if suffix not in _SUFFIXES:
        raise SourceError(
            f"The simulated camera received the picture {path}; allowed are {', '.join(_SUFFIXES)} "
            "files. Save it as one of them"
        )
    try:
        if suffix == ".npy":
            with path.open("rb") as opened:
                return np.asarray(np.lib.format.read_array(opened, allow_pickle=False))
        if suffix in (".tif", ".tiff"):
            return np.asarray(tifffile.imread(path, _multifile=False))
        return np.asarray(imagecodecs.imread(str(path)))
    except (OSError, ValueError, RuntimeError, MemoryError) as error:
        raise SourceError(
            f"The simulated camera received the picture {path}, which cannot be read: {error}. "
            "Name an image that other programs open"
        ) from error


def _planes(
    array: npt.NDArray[np.generic], name: str, channels: tuple[Channel, ...]
) -> npt.NDArray[np.generic]:
    """Sort an image into one plane for each channel, (channels, y, x)."""
    array = np.squeeze(array)
    if array.size > _MAX_SAMPLES:
        raise SourceError(
            f"The simulated camera received {name} of {array.size:.3g} samples; allowed are "
            f"{_MAX_SAMPLES:g}. Crop or shrink it"
        )
    if array.ndim == 2 and array.size:
        return np.stack([array] * len(channels))
    if array.ndim == 3 and array.shape[2] in (3, 4):
        return np.stack([array[:, :, _colour(channel)] for channel in channels])
    if array.ndim == 3 and len(channels) <= array.shape[0]:
        return array[: len(channels)]
    raise SourceError(
        f"The simulated camera received {name} of shape {array.shape} for {len(channels)} "
        "channels; allowed are (y, x), (y, x, 3 or 4) and (c, y, x) with as many planes. "
        "Save one time point of it, or name fewer channels"
    )


def _colour(channel: Channel) -> int:
    if channel.emission_nm < _BLUE_BELOW_NM:
        return 2
    return 0 if channel.emission_nm >= _RED_FROM_NM else 1


def _normalised(planes: npt.NDArray[np.generic], name: str) -> _Grid:
    if planes.dtype.kind not in "buif" or not np.isfinite(planes.astype(np.float64)).all():
        raise SourceError(
            f"The simulated camera received {name} of type {planes.dtype}; allowed are finite "
            "real numbers. Remove NaN and infinities from it"
        )
    values = planes.astype(np.float32)
    dark, bright = np.percentile(values, (_DARK_PERCENTILE, _BRIGHT_PERCENTILE))
    if bright <= dark:  # sparse, or without any contrast
        dark, bright = values.min(), values.max()
    if bright <= dark:
        return np.asarray(values > 0, dtype=np.float32)
    return np.asarray(np.clip((values - dark) / (bright - dark), 0.0, 1.0), dtype=np.float32)


def _weights(axis_um: _Numbers, size: int, pixel_um: float) -> tuple[slice, _Grid]:
    """Return what each pixel along an axis adds to the mean over each sample.

    A pixel's influence falls linearly from its middle to its neighbours'; the mean of that over
    a sample is the difference of its antiderivative at the sample's ends.
    """
    half = 0.5 * float(axis_um[1] - axis_um[0]) / pixel_um
    at = axis_um / pixel_um + (size - 1) / 2
    first = min(size, max(0, math.floor(at[0] - half - 1.0)))
    stop = max(first, min(size, math.ceil(at[-1] + half + 1.0) + 1))
    away = at[:, None] - np.arange(first, stop)[None, :]
    mean = (_ramp(away + half) - _ramp(away - half)) / (2.0 * half)
    return slice(first, stop), np.asarray(mean, dtype=np.float32)


def _ramp(x: _Numbers) -> _Numbers:
    """Antiderivative of max(0, 1 − |x|), from 0 to 1."""
    inside = np.clip(x, -1.0, 1.0)
    return np.asarray(0.5 + inside - 0.5 * np.sign(inside) * inside**2)
