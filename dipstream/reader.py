"""What a file format has to offer: planes of pixels and what the file says of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from dipstream.frame import Pixels

__all__ = ["ImageFile", "Plane", "Reader"]


@dataclass(frozen=True, slots=True)
class Plane:
    """One 2-D plane of a file.

    Attributes
    ----------
    number
        Which plane of the file; what `ImageFile.read` takes.
    t, z
        Index along time and depth within the file.
    channel
        The channel's name, or None if the file does not name it.
    c
        Index of the channel within the file.
    position
        Index of the series or position within the file.
    exposure_ms, exposed_ns, stage_um
        As in `dipstream.frame.FrameInfo`, where the file says so.
    """

    number: int
    t: int = 0
    c: int = 0
    z: int = 0
    position: int = 0
    channel: str | None = None
    exposure_ms: float | None = None
    exposed_ns: int | None = None
    stage_um: tuple[float, float, float] | None = None


class ImageFile(Protocol):
    """An open image file. Opening parses the header and checks that the file is whole."""

    @property
    def planes(self) -> Sequence[Plane]:
        """All planes, in the order (position, t, z, c)."""
        ...

    @property
    def pixel_um(self) -> float | None:
        """Side of a pixel in µm; None unless the file truly says so."""
        ...

    @property
    def bit_depth(self) -> int | None:
        """Significant bits, if the file says so."""
        ...

    @property
    def warnings(self) -> Sequence[str]:
        """What a person should know about this file, for instance that it is lossy."""
        ...

    def read(self, plane: Plane) -> Pixels:
        """Return the pixels (y, x) of a plane; raises `ReadError` if it cannot be decoded."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


class Reader(Protocol):
    """A format: the endings it reads and how to open a file of it."""

    name: str
    suffixes: tuple[str, ...]

    def open(self, path: Path) -> ImageFile:
        """Open a file; raises `ReadError` if it is broken, truncated or another format."""
        ...
