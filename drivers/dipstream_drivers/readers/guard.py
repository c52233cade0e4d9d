"""What every reader needs when a file is not what it claims to be."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dipstream.errors import DipstreamError, ReadError

__all__ = [
    "BOMB_BYTES",
    "BOMB_RATIO",
    "MAX_PIXELS",
    "check_expansion",
    "check_size",
    "heard",
    "reading",
    "starts_with",
]

MAX_PIXELS = 2**31
"""The largest plane that is decoded; a larger one is taken for a decompression bomb."""
BOMB_BYTES, BOMB_RATIO = 96 * 2**20, 100
"""A plane of more bytes that is compressed by more than this is taken for a bomb: noise, which each
camera has, does not compress like that."""


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn whatever a decoder raises into a `ReadError` that names the file."""
    try:
        yield
    except DipstreamError:
        raise
    except OSError as error:
        reason = error.strerror or str(error) or type(error).__name__
        raise ReadError(
            f"{path.name} cannot be read: {reason}. Check that {path} exists "
            "and may be read by this user"
        ) from error
    except Exception as error:
        # A decoder may raise anything on bytes that nobody foresaw.
        raise ReadError(
            f"{path.name} cannot be decoded: {error or type(error).__name__}. "
            "The file is damaged; copy or export it again"
        ) from error


def starts_with(head: bytes) -> str:
    """Say in words how a file begins."""
    return f"starts with {head[:8]!r}" if head else "is empty"


def check_size(name: str, width: int, height: int) -> None:
    """Refuse planes without pixels, and decompression bombs, before anything is decoded."""
    if width < 1 or height < 1:
        raise ReadError(f"{name}: the header declares {width} × {height} px. The file is damaged")
    if width * height > MAX_PIXELS:
        raise ReadError(
            f"{name}: the header declares {width} × {height} px; at most {MAX_PIXELS} px a plane "
            "are read. Save it in tiles or as several files"
        )


def check_expansion(name: str, declared: int, held: int, ratio: int) -> None:
    """Refuse a header that declares more pixels than its compressed bytes can hold."""
    if declared > ratio * held + 65536:
        raise ReadError(
            f"{name}: the header declares {declared} bytes of pixels, but the {held} compressed "
            f"bytes can hold at most {ratio} times their number. The file is damaged"
        )
    if declared > BOMB_BYTES and declared > BOMB_RATIO * held:
        raise ReadError(
            f"{name}: the header declares {declared} bytes of pixels in {held} compressed bytes, "
            f"which is taken for a decompression bomb; above {BOMB_BYTES} bytes a plane may be "
            f"compressed {BOMB_RATIO} times. Save it with less compression, or in smaller images"
        )


class _Ear(logging.Filter):
    """Keeps a library's log records of one thread from the console, while a file is open."""

    def __init__(self) -> None:
        super().__init__()
        self.local = threading.local()

    def filter(self, record: logging.LogRecord) -> bool:
        lines: list[str] | None = getattr(self.local, "lines", None)
        if lines is None:
            return True
        if record.levelno >= logging.WARNING:
            lines.append(record.getMessage())
        return False


_EAR = _Ear()


@contextmanager
def heard(lines: list[str]) -> Iterator[None]:
    """Append what tifffile logs in this thread to `lines`, instead of letting it print."""
    logging.getLogger("tifffile").addFilter(_EAR)  # adding it again does nothing
    before = getattr(_EAR.local, "lines", None)
    _EAR.local.lines = lines
    try:
        yield
    finally:
        _EAR.local.lines = before
