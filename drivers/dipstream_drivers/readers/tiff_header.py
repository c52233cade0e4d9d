"""The skeleton of a TIFF: its directories and where their pixels lie, checked before decoding.

tifffile forgives a lot: it fills strips that are missing, and stops in silence where the list
of pages breaks off. So the list is walked here first, and every page gets its verdict.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeAlias

import numpy as np

from dipstream.errors import ReadError
from dipstream_drivers.readers.guard import starts_with
from dipstream_drivers.readers.tiff_check import Layout, verdict

__all__ = ["Directory", "Header", "read_header"]

TYPES = {
    1: "u1",
    2: "S1",
    3: "u2",
    4: "u4",
    5: "u4",
    6: "i1",
    7: "u1",
    8: "i2",
    9: "i4",
    10: "i4",
    11: "f4",
    12: "f8",
    13: "u4",
    16: "u8",
    17: "i8",
    18: "u8",
}
RATIONALS = (5, 10)
WANTED = {
    254: "subfile",
    256: "width",
    257: "length",
    258: "bits",
    259: "compression",
    262: "photometric",
    270: "description",
    273: "offsets",
    277: "samples",
    278: "rows",
    279: "counts",
    282: "x_resolution",
    283: "y_resolution",
    284: "planar",
    322: "tile_width",
    323: "tile_length",
    324: "offsets",
    325: "counts",
    32997: "depth",
    32998: "tile_depth",
}
MAX_TAGS = 4096
MOST_BROKEN = 1000
"""Directories without a page to be read that are walked before a file is given up."""
NEAR = 16

Tags: TypeAlias = Mapping[str, bytes | tuple[float, ...]]


@dataclass(frozen=True, slots=True)
class Directory:
    """One page: its shape, where its pixels begin, and what is wrong with it.

    Attributes
    ----------
    samples
        Values per pixel: 3 for RGB.
    data_offset
        Where uncompressed, contiguous pixels begin; 0 if they are anything else.
    problem
        Why the page cannot be read; empty if it can.
    reduced
        A thumbnail or a level of a pyramid.
    resolution
        Pixels per unit along x and y.
    """

    offset: int
    width: int
    length: int
    samples: int
    bits: int
    compression: int
    photometric: int
    data_offset: int
    problem: str
    reduced: bool
    description: bytes
    resolution: tuple[float, float] | None

    @property
    def nbytes(self) -> int:
        """Bytes of the decoded page."""
        return self.width * self.length * self.samples * self.bits // 8


@dataclass(frozen=True, slots=True)
class Header:
    """All pages of a file.

    Attributes
    ----------
    broken, broken_at
        How and at which byte the list of pages breaks off; empty and 0 if it does not.
    """

    size: int
    pages: tuple[Directory, ...]
    broken: str = ""
    broken_at: int = 0

    def block(self, planes: int) -> int:
        """Return where `planes` planes lie in one uncompressed block; 0 if they do not.

        ImageJ and tifffile write all pixels after the first directory and the other directories
        behind them, or not at all. Then planes can be read though their directories are lost.
        """
        first = self.pages[0]
        start, stop = first.data_offset, first.data_offset + planes * first.nbytes
        if not start or first.bits % 8 or any(start <= page.offset < stop for page in self.pages):
            return 0
        if self.broken_at and not stop <= self.broken_at <= stop + NEAR:
            return 0  # the next directory should have been right behind the pixels
        if len(self.pages) > 1 and self.pages[1].data_offset != start + first.nbytes:
            return 0
        return start


@dataclass(frozen=True, slots=True)
class _Format:
    """How this flavour of TIFF writes numbers."""

    order: str
    big: bool

    @property
    def count(self) -> struct.Struct:
        return struct.Struct(self.order + ("Q" if self.big else "H"))

    @property
    def offset(self) -> struct.Struct:
        return struct.Struct(self.order + ("Q" if self.big else "I"))

    @property
    def entry(self) -> struct.Struct:
        return struct.Struct(self.order + ("HHQ8s" if self.big else "HHI4s"))


def read_header(path: Path) -> Header:
    """Walk all directories; raises `ReadError` for what is no TIFF or runs in a circle."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(0)
        layout, at = signature(file.read(16), path.name, size)
        pages: list[Directory] = []
        seen: set[int] = set()
        broken, broken_at, told = "", 0, 0
        while at:
            if at in seen:
                raise ReadError(
                    f"{path.name}: the list of pages runs in a circle after page {len(pages)}. "
                    "The file is damaged; copy or export it again"
                )
            seen.add(at)
            try:
                tags, following = directory(file, at, size, layout)
            except _CutShortError as error:
                broken, broken_at = str(error), at
                break
            pages.append(page(tags, at, size))
            told += sum(map(len, tags.values()))
            if told > size + 65536 or (len(pages) == MOST_BROKEN and all(p.problem for p in pages)):
                raise ReadError(
                    f"{path.name}: the list of pages is damaged: after page {len(pages)} it says "
                    f"more than the file can hold, or no page can be read. Export it again"
                )
            at = following
    return Header(size, tuple(pages), broken, broken_at)


class _CutShortError(Exception):
    """A directory that is not where it should be."""


def signature(head: bytes, name: str, size: int) -> tuple[_Format, int]:
    """Return the flavour and the offset of the first directory."""
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    version = struct.unpack(f"{order}H", head[2:4])[0] if order and len(head) >= 4 else 0
    if order is None or (len(head) >= 4 and version not in (42, 43)):
        raise ReadError(
            f"{name} {starts_with(head)}, which is no TIFF. Give it the ending of what it is"
        )
    layout = _Format(order, version == 43)
    at = 8 if layout.big else 4
    if len(head) < at + layout.offset.size:
        raise ReadError(
            f"{name} is truncated: needs at least {at + layout.offset.size} bytes, "
            f"has {size}. Copy or export it again"
        )
    first = layout.offset.unpack_from(head, at)[0]
    if not first:
        raise ReadError(
            f"{name}: the TIFF has no page yet, or was never finished. Copy or export it again"
        )
    return layout, first


def directory(file: BinaryIO, at: int, size: int, layout: _Format) -> tuple[Tags, int]:
    """Read one directory: its tags, and where the next one is (0 = no more)."""
    head = block(file, at, layout.count.size, size)
    (number,) = layout.count.unpack(head)
    if not 0 < number <= MAX_TAGS:
        raise _CutShortError(f"is no directory: it declares {number} tags at byte {at}")
    length = number * layout.entry.size
    body = block(file, at + len(head), length + layout.offset.size, size)
    tags: dict[str, bytes | tuple[float, ...]] = {}
    for tag, kind, count, value in layout.entry.iter_unpack(body[:length]):
        if (name := WANTED.get(tag)) is not None and kind in TYPES:
            tags[name] = values(file, size, layout, (kind, count, value))
    return tags, layout.offset.unpack_from(body, length)[0]


def values(
    file: BinaryIO, size: int, layout: _Format, entry: tuple[int, int, bytes]
) -> bytes | tuple[float, ...]:
    """Return the values of one tag: text as bytes, everything else as numbers."""
    kind, count, inline = entry
    dtype = np.dtype(TYPES[kind]).newbyteorder("<" if layout.order == "<" else ">")
    number = count * 2 if kind in RATIONALS else count
    length = number * dtype.itemsize
    if length > len(inline):
        inline = block(file, layout.offset.unpack(inline)[0], length, size)
    if kind == 2:
        return inline[:length]
    found = np.frombuffer(inline, dtype, number).tolist()
    if kind not in RATIONALS:
        return tuple(found)
    return tuple(a / b if b else 0.0 for a, b in zip(found[::2], found[1::2], strict=True))


def block(file: BinaryIO, at: int, length: int, size: int) -> bytes:
    """Read bytes that must be within the file."""
    if at + length > size:
        raise _CutShortError(
            f"is truncated: its header needs {at + length} bytes, the file has {size}"
        )
    file.seek(at)
    return file.read(length)


def page(tags: Tags, at: int, size: int) -> Directory:
    """Judge one directory."""

    def numbers(name: str) -> tuple[int, ...]:
        found = tags.get(name, ())
        return () if isinstance(found, bytes) else tuple(int(value) for value in found)

    def number(name: str, default: int) -> int:
        return (numbers(name) or (default,))[0]

    layout = Layout(
        width=number("width", 0),
        length=number("length", 0),
        depth=number("depth", 1),
        samples=number("samples", 1),
        bits=numbers("bits") or (1,),
        compression=number("compression", 1),
        separate=number("planar", 1) == 2,
        rows=number("rows", 2**32 - 1),
        tile=(number("tile_depth", 1), number("tile_length", 0), number("tile_width", 0)),
        offsets=numbers("offsets"),
        counts=numbers("counts"),
    )
    text = tags.get("description", b"")
    x, y = tags.get("x_resolution", ()), tags.get("y_resolution", ())
    known = not isinstance(x, bytes) and not isinstance(y, bytes) and x and y
    return Directory(
        offset=at,
        width=layout.width,
        length=layout.length,
        samples=layout.samples,
        bits=layout.bits[0],
        compression=layout.compression,
        photometric=number("photometric", 1),
        data_offset=layout.contiguous_offset,
        problem=verdict(layout, size),
        reduced=bool(number("subfile", 0) & 1),
        description=text
        if isinstance(text, bytes)
        else bytes(v & 255 for v in numbers("description")),
        resolution=(float(x[0]), float(y[0])) if known else None,
    )
