"""Whether a TIFF page is whole: pure arithmetic on what its directory declares."""

import math
from dataclasses import dataclass

from dipstream_drivers.readers.guard import BOMB_BYTES, BOMB_RATIO, MAX_PIXELS

__all__ = ["Layout", "verdict"]

RATIOS = {1: 1, 5: 4100, 8: 1100, 32773: 64, 32946: 1100}
"""The most that a compression can expand: none, LZW, deflate, PackBits."""
ANY_RATIO = 100_000
MAX_SAMPLES = 512
MAX_SEGMENTS = 100_000
"""Strips or tiles of a page; each costs time, however few pixels it has."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How the pixels of a page are stored; `tile` is (depth, length, width), 0 for strips."""

    width: int
    length: int
    depth: int
    samples: int
    bits: tuple[int, ...]
    compression: int
    separate: bool
    rows: int
    tile: tuple[int, int, int]
    offsets: tuple[int, ...]
    counts: tuple[int, ...]

    @property
    def tiled(self) -> bool:
        """Tiles rather than strips."""
        return self.tile[1] > 0 and self.tile[2] > 0

    @property
    def segments(self) -> int:
        """How many strips or tiles the pixels need."""
        if self.tiled:
            depth, length, width = self.tile
            number = (
                math.ceil(self.depth / max(depth, 1))
                * math.ceil(self.length / length)
                * math.ceil(self.width / width)
            )
        else:
            number = math.ceil(self.length / max(self.rows, 1)) * self.depth
        return number * (self.samples if self.separate else 1)

    @property
    def nbytes(self) -> int:
        """Bytes of the uncompressed pixels; tiles are stored whole."""
        together = 1 if self.separate else self.samples
        if self.tiled:
            depth, length, width = self.tile
            return (
                self.segments
                * max(depth, 1)
                * length
                * math.ceil(width * together * self.bits[0] / 8)
            )
        row = math.ceil(self.width * together * self.bits[0] / 8)
        return row * self.length * self.depth * (self.samples if self.separate else 1)

    @property
    def contiguous_offset(self) -> int:
        """Where the pixels begin if they are one uncompressed block; otherwise 0."""
        if self.compression != 1 or self.tiled or not self.offsets:
            return 0
        ends = [a + b for a, b in zip(self.offsets, self.counts, strict=False)]
        return self.offsets[0] if list(self.offsets[1:]) == ends[: len(self.offsets) - 1] else 0


def verdict(layout: Layout, size: int) -> str:
    """Say why a page cannot be read; empty if every byte it needs is in the file."""
    return impossible(layout) or incomplete(layout, size) or too_little(layout, size)


def impossible(layout: Layout) -> str:
    """Find headers that describe no picture, or one that nobody could hold."""
    if layout.width < 1 or layout.length < 1 or layout.depth < 1:
        return f"declares {layout.width} × {layout.length} px: the header is damaged"
    if layout.width * layout.length * layout.depth > MAX_PIXELS:
        return (
            f"declares {layout.width} × {layout.length} px; at most {MAX_PIXELS} px a plane "
            "are read. Save it as several files"
        )
    if layout.depth > 1:
        return "stores a volume in one page (ImageDepth). Save one page a plane"
    if not 1 <= layout.samples <= MAX_SAMPLES:
        return f"declares {layout.samples} values a pixel: the header is damaged"
    if len(set(layout.bits)) != 1 or not 1 <= layout.bits[0] <= 64:
        return f"declares {layout.bits[:8]} bits a value; one number of 1 to 64 is read"
    return ""


def incomplete(layout: Layout, size: int) -> str:
    """Find strips or tiles that are not in the file."""
    kind = "tiles" if layout.tiled else "strips"
    if layout.segments > MAX_SEGMENTS:
        return f"is cut into {layout.segments} {kind}; at most {MAX_SEGMENTS} are read"
    needed, offsets, counts = layout.segments, layout.offsets, layout.counts
    if len(offsets) == 1 and not counts and layout.compression == 1:
        counts = (layout.nbytes,)
    if min(len(offsets), len(counts)) < needed:
        return (
            f"lists {min(len(offsets), len(counts))} {kind} where its pixels need {needed}: "
            "it was not written to its end"
        )
    end = max(offset + count for offset, count in zip(offsets, counts, strict=False))
    if end > size:
        return f"is truncated: needs {end} bytes, the file has {size}"
    if 0 in offsets[:needed] or 0 in counts[:needed]:
        return f"has {kind} without pixels: it was not written to its end"
    return ""


def too_little(layout: Layout, size: int) -> str:
    """Find headers that declare more pixels than their bytes can hold."""
    # Strips that share their bytes hold no more for it.
    held = min(sum(layout.counts) if layout.counts else layout.nbytes, size)
    ratio = RATIOS.get(layout.compression, ANY_RATIO)
    slack = 0 if ratio == 1 else 65536
    if layout.nbytes > ratio * held + slack:
        return (
            f"declares {layout.nbytes} bytes of pixels, but its {held} stored bytes can hold at "
            f"most {ratio} times their number: the header is damaged"
        )
    if layout.compression != 1 and layout.nbytes > max(BOMB_BYTES, BOMB_RATIO * held):
        return (
            f"declares {layout.nbytes} bytes of pixels in {held} compressed bytes, which is taken "
            f"for a decompression bomb; above {BOMB_BYTES} bytes a plane may be compressed "
            f"{BOMB_RATIO} times"
        )
    return ""
