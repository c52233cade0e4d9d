"""An image file of exactly one picture, as PNG and JPEG are."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from dipstream.errors import ReadError
from dipstream.frame import Pixels
from dipstream.reader import Plane
from dipstream.supervise import allow
from dipstream_drivers.colour import colour_planes
from dipstream_drivers.readers.guard import reading

__all__ = ["PictureFile", "PictureHeader"]


@dataclass(frozen=True, slots=True)
class PictureHeader:
    """What a picture's header says; `channels` counts colours, alpha left out (1 or 3)."""

    width: int
    height: int
    channels: int
    bit_depth: int | None = None
    warnings: tuple[str, ...] = ()

    @property
    def nbytes(self) -> int:
        """The most that the pixels take: alpha and 16 bits included."""
        return self.width * self.height * (self.channels + 1) * 2


class PictureFile:
    """An open picture, whose bytes are held until it is closed; decoded once."""

    def __init__(
        self, path: Path, header: PictureHeader, encoded: bytes, decode: Callable[[bytes], Pixels]
    ) -> None:
        self.path = path
        self.header = header
        self._encoded = encoded
        self._decode = decode
        self._pixels: Pixels | None = None

    @property
    def planes(self) -> tuple[Plane, ...]:
        """One plane, or R, G and B."""
        return (Plane(0),) if self.header.channels == 1 else colour_planes()

    @property
    def pixel_um(self) -> float | None:
        """None: these formats know of printing resolutions only."""
        return None

    @property
    def bit_depth(self) -> int | None:
        """Significant bits, if the file says so."""
        return self.header.bit_depth

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a person should know about this file."""
        return self.header.warnings

    def read(self, plane: Plane) -> Pixels:
        """Return the pixels (y, x) of a plane."""
        if self._pixels is None:
            allow(self.header.nbytes)
            with reading(self.path):
                self._pixels = self._decode(self._encoded)
            self._check(self._pixels)
        if self._pixels.ndim == 2:
            return self._pixels
        return np.ascontiguousarray(self._pixels[:, :, plane.c])

    def _check(self, pixels: Pixels) -> None:
        header = self.header
        layers = pixels.shape[2] if pixels.ndim == 3 else 1
        if pixels.shape[:2] != (header.height, header.width) or layers < header.channels:
            raise ReadError(
                f"{self.path.name}: the header declares {header.width} × {header.height} px of "
                f"{header.channels} channel(s), decoded was an array {pixels.shape}. "
                "The file is damaged"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._encoded = b""
