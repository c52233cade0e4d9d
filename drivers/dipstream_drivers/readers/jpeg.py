"""JPEG: readable, but no format for measurements."""

import re
import struct
from pathlib import Path

import imagecodecs

from dipstream.errors import ReadError
from dipstream_drivers.readers.guard import check_expansion, check_size, reading, starts_with
from dipstream_drivers.readers.picture import PictureFile, PictureHeader

__all__ = ["LOSSY", "JpegReader"]

LOSSY = "JPEG is lossy: intensities and edges are approximate. Let the microscope write TIFF or PNG"
IN_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
"""The next marker within compressed data: neither a stuffed zero nor a restart."""
FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
SOS, EOI = 0xDA, 0xD9
RATIO = 20_000


class JpegReader:
    """JPEG pictures, grey or colour. libjpeg decodes truncated files, so the end is checked."""

    name = "jpeg"
    suffixes: tuple[str, ...] = (".jpg", ".jpeg")

    def open(self, path: Path) -> PictureFile:
        """Open a file; raises `ReadError` unless it is whole from start to end marker."""
        with reading(path):
            encoded = path.read_bytes()
            header = parse(encoded, path.name)
        return PictureFile(path, header, encoded, imagecodecs.jpeg_decode)


def parse(encoded: bytes, name: str) -> PictureHeader:
    """Walk the markers from start to end and return the header."""
    if not encoded.startswith(b"\xff\xd8\xff"):
        raise ReadError(
            f"{name} {starts_with(encoded)}, which is no JPEG. Give it the ending of what it is"
        )
    header: PictureHeader | None = None
    at, marker, scans = 2, 0, 0
    while marker != EOI:
        at, marker = segment(encoded, at, name)
        if marker == EOI:
            break
        (length,) = struct.unpack_from(">H", encoded, at)
        if marker in FRAMES:
            header = frame_header(encoded, at, name)
        at += length
        if marker == SOS:
            scans += 1
            at = end_of_scan(encoded, at, name)
    if header is None or not scans:
        raise ReadError(f"{name}: the JPEG holds no pixels. Copy or export it again")
    return header


def segment(encoded: bytes, at: int, name: str) -> tuple[int, int]:
    """Return where the segment at `at` has its length field, and its marker."""
    size = len(encoded)
    while at < size and encoded[at] == 0xFF and encoded[at + 1 : at + 2] == b"\xff":
        at += 1  # fill bytes
    if at + 2 > size or (encoded[at + 1] != EOI and at + 4 > size):
        raise truncated(name, at + 4, size)
    if encoded[at] != 0xFF:
        raise ReadError(
            f"{name}: byte {at} is {encoded[at]:#04x} where a JPEG marker should be. "
            "The file is damaged; copy or export it again"
        )
    return at + 2, encoded[at + 1]


def end_of_scan(encoded: bytes, at: int, name: str) -> int:
    """Return where the compressed data that begin at `at` end."""
    found = IN_SCAN.search(encoded, at)
    if found is None:
        raise truncated(name, len(encoded) + 2, len(encoded))
    return found.start()


def truncated(name: str, needs: int, size: int) -> ReadError:
    """Return the error for a JPEG without an end."""
    return ReadError(
        f"{name} is truncated: needs at least {needs} bytes, has {size}, and the JPEG's end "
        "marker is missing. Copy or export it again"
    )


def frame_header(encoded: bytes, at: int, name: str) -> PictureHeader:
    """Read size and number of channels."""
    if at + 8 > len(encoded):
        raise truncated(name, at + 8, len(encoded))
    precision, height, width, channels = struct.unpack_from(">BHHB", encoded, at + 2)
    check_size(name, width, height)
    if channels not in (1, 3):
        raise ReadError(
            f"{name}: a JPEG of {channels} channels; only grey (1) and colour (3) are "
            "read. Save it as RGB or, better, as TIFF"
        )
    check_expansion(name, width * height * channels, len(encoded), RATIO)
    bits = precision if precision != 8 else None
    return PictureHeader(width, height, channels, bits, (LOSSY,))
