"""Dark and flat reference images from files, averaged over planes and cached."""

from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import imagecodecs
import numpy as np
import numpy.typing as npt
import tifffile

from dipstream.errors import ConfigError

__all__ = ["FileVersion", "read_reference", "version_of"]


_BOMB_BYTES, _BOMB_RATIO = 96 * 2**20, 100


class FileVersion(NamedTuple):
    """A file as it was when somebody looked: the key under which its content is cached."""

    path: Path
    mtime_ns: int
    size: int


def version_of(path: Path) -> FileVersion:
    """Return the version of a reference image that lies on disk now.

    Raises
    ------
    ConfigError
        If the file is missing.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise ConfigError(f"the reference image {path} cannot be read: {error.strerror}") from error
    return FileVersion(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=8)
def read_reference(version: FileVersion) -> npt.NDArray[np.float64]:
    """Return a reference image (y, x), float64, read-only; stacks are averaged over their planes.

    Raises
    ------
    ConfigError
        If the file cannot be decoded, has colours or channels, or holds NaN.
    """
    path = version.path
    try:
        pixels, axes = _decode(path)
    except (OSError, ValueError, RuntimeError, IndexError, MemoryError) as error:
        raise ConfigError(
            f"the reference image {path} cannot be decoded ({error}); save it as grey TIFF or PNG"
        ) from error
    _require_grey(path, pixels, axes)
    planes = pixels.reshape(-1, *pixels.shape[-2:])
    mean: npt.NDArray[np.float64] = planes.mean(axis=0, dtype=np.float64)
    bad = mean.size - np.count_nonzero(np.isfinite(mean))
    if bad:
        raise ConfigError(
            f"the reference image {path} has {bad} pixels that are NaN or infinite; "
            "take it again, or replace them"
        )
    mean.setflags(write=False)
    return mean


def _decode(path: Path) -> tuple[npt.NDArray[Any], str]:
    if path.suffix.lower() in (".tif", ".tiff"):
        # No file is opened that stands in another one's metadata.
        with tifffile.TiffFile(path, _multifile=False) as tiff:
            series = tiff.series[0]
            if series.nbytes > max(_BOMB_BYTES, _BOMB_RATIO * path.stat().st_size):
                raise ValueError(
                    f"it declares {series.nbytes} bytes of pixels, a decompression bomb"
                )
            return series.asarray(), series.axes
    pixels = imagecodecs.imread(path)
    return pixels, "YX" if pixels.ndim == 2 else "YXS"


def _require_grey(path: Path, pixels: npt.NDArray[Any], axes: str) -> None:
    # A stack over time, z or anything unnamed is averaged; colours and channels are no repeats.
    mixed = any(n > 1 for axis, n in zip(axes, pixels.shape, strict=True) if axis in "CS")
    if mixed or not axes.endswith("YX"):
        raise ConfigError(
            f"the reference image {path} has axes {axes} and shape {pixels.shape}; allowed is one "
            "grey plane, or a stack of them that is averaged; save each channel as its own file"
        )
