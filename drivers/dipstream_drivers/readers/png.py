"""PNG: 1 to 16 bits, grey or colour."""

import struct
from collections.abc import Iterator
from pathlib import Path

import imagecodecs

from dipstream.errors import ReadError
from dipstream_drivers.readers.guard import check_expansion, check_size, reading, starts_with
from dipstream_drivers.readers.picture import PictureFile, PictureHeader

__all__ = ["PngReader"]

SIGNATURE = b"\x89PNG\r\n\x1a\n"
DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
"""Bit depths that each colour type may have: 0 grey, 2 RGB, 3 palette, 4 and 6 with alpha."""
SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
DEFLATE_RATIO = 1100


class PngReader:
    """Portable network graphics. Transparency is left out, a palette is looked up."""

    name = "png"
    suffixes: tuple[str, ...] = (".png",)

    def open(self, path: Path) -> PictureFile:
        """Open a file; raises `ReadError` unless it is whole from signature to IEND."""
        with reading(path):
            encoded = path.read_bytes()
            header = parse(encoded, path.name)
        return PictureFile(path, header, encoded, imagecodecs.png_decode)


def parse(encoded: bytes, name: str) -> PictureHeader:
    """Read the header and check that every chunk is there."""
    if not encoded.startswith(SIGNATURE):
        raise ReadError(
            f"{name} {starts_with(encoded)}, which is no PNG. Give it the ending of what it is"
        )
    if len(encoded) < 33 or encoded[12:16] != b"IHDR":
        raise ReadError(
            f"{name}: the PNG header is cut short ({len(encoded)} bytes). Copy or export it again"
        )
    width, height, depth, kind = struct.unpack(">IIBB", encoded[16:26])
    check_size(name, width, height)
    if depth not in DEPTHS.get(kind, ()):
        raise ReadError(
            f"{name}: PNG has no colour type {kind} of {depth} bits. The file is damaged"
        )
    found = dict(chunks(encoded, name))
    if b"IDAT" not in found:
        raise ReadError(f"{name}: the PNG holds no pixels. Copy or export it again")
    check_expansion(name, width * height * SAMPLES[kind] * depth // 8, len(encoded), DEFLATE_RATIO)
    animated = ("an animated PNG: only its first picture is read",) if b"acTL" in found else ()
    bits = encoded[found[b"sBIT"]] if b"sBIT" in found else None
    return PictureHeader(width, height, 3 if kind in (2, 3, 6) else 1, bits, animated)


def chunks(encoded: bytes, name: str) -> Iterator[tuple[bytes, int]]:
    """Yield kind and start of each chunk up to IEND; raises `ReadError` if the end is missing."""
    at, size = len(SIGNATURE), len(encoded)
    while at + 12 <= size:
        length, kind = struct.unpack_from(">I4s", encoded, at)
        end = at + 12 + length
        if end > size:
            raise ReadError(
                f"{name} is truncated: needs at least {end} bytes, has {size}. "
                "Copy or export it again"
            )
        yield kind, at + 8
        if kind == b"IEND":
            return
        at = end
    raise ReadError(
        f"{name} is truncated: needs more than {at} bytes, has {size}, and the "
        "PNG's end mark is missing. Copy or export it again"
    )
