"""TIFF: plain stacks, OME-TIFF and ImageJ's hyperstacks, through tifffile.

The size of a pixel is believed where OME-XML or ImageJ's description give it with a unit of
length. TIFF's own resolution tags are not: programs fill them with 72 dpi or 1 µm unasked.
"""

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import tifffile

from dipstream.errors import ReadError
from dipstream.frame import Pixels
from dipstream.reader import Plane
from dipstream.supervise import allow
from dipstream_drivers.readers.guard import heard, reading
from dipstream_drivers.readers.tiff_header import Header, read_header
from dipstream_drivers.readers.tiff_planes import Contents, Slot, contents

__all__ = ["TiffFile", "TiffReader"]

LOSSY_COMPRESSIONS = (6, 7, 34892)
LOSSY = "the TIFF is compressed as lossy JPEG: intensities and edges are approximate"
INVERTED = "the TIFF stores white as 0: intensities are taken as stored, so they run backwards"


class TiffReader:
    """Tagged image file format in all its classic and big flavours."""

    name = "tiff"
    suffixes: tuple[str, ...] = (
        ".tif",
        ".tiff",
        ".ome.tif",
        ".ome.tiff",
        ".btf",
        ".tf8",
        ".tf2",
        ".stk",
        ".lsm",
    )

    def open(self, path: Path) -> "TiffFile":
        """Open a file; raises `ReadError` if nothing in it can be read.

        Of a file that is cut short all planes are listed; `TiffFile.read` raises for those
        that are not whole.
        """
        return TiffFile(path)


class TiffFile:
    """An open TIFF; holds one decoded page, so that R, G and B are decoded once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._said: list[str] = []
        self._page: tuple[int, Pixels] | None = None
        with ExitStack() as stack, reading(path), heard(self._said):
            self._header = read_header(path)
            self._check_first(self._header)
            # _multifile=False: the other files of a set are files of their own here, and no
            # file name that stands in a file's XML is ever opened.
            self._tif = stack.enter_context(tifffile.TiffFile(path, _multifile=False))
            self._contents: Contents = contents(self._header, self._tif, path.name)
            if all(slot.problem for slot in self._contents.slots):
                raise ReadError(self._complaint(0))
            stack.pop_all()
        self._said.extend(self._contents.warnings)
        self._add_warnings()

    def _check_first(self, header: Header) -> None:
        if not header.pages:
            raise ReadError(f"{self.path.name}: page 1 {header.broken}. Copy or export it again")
        problems = [page.problem for page in header.pages]
        if all(problems) and not header.block(2):
            raise ReadError(f"{self.path.name}: page 1 {problems[0]}. Copy or export it again")

    def _add_warnings(self) -> None:
        first = self._header.pages[0]
        if first.compression in LOSSY_COMPRESSIONS:
            self._said.append(LOSSY)
        if first.photometric == 0:
            self._said.append(INVERTED)

    @property
    def planes(self) -> tuple[Plane, ...]:
        """All planes, in the order (position, t, z, c)."""
        return self._contents.planes

    @property
    def pixel_um(self) -> float | None:
        """Side of a pixel in µm; None unless the file truly says so."""
        return self._contents.pixel_um

    @property
    def bit_depth(self) -> int | None:
        """Significant bits, as OME-XML gives them; the container is not the camera."""
        return self._contents.bit_depth

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a person should know about this file, tifffile's own complaints among it."""
        return tuple(dict.fromkeys(self._said))

    def read(self, plane: Plane) -> Pixels:
        """Return the pixels (y, x) of a plane; raises `ReadError` if it is not whole."""
        slot = self._contents.slots[plane.number]
        if slot.problem:
            raise ReadError(self._complaint(plane.number))
        with reading(self.path), heard(self._said):
            layers = self._layers(slot)
            separate = layers.shape[0] > 1
            found = layers[slot.sample, 0, :, :, 0] if separate else layers[0, 0, :, :, slot.sample]
            return self._plain(found)

    def _complaint(self, number: int) -> str:
        slots = self._contents.slots
        return (
            f"{self.path.name}: plane {number + 1} of {len(slots)} {slots[number].problem}. "
            "Copy or export it again"
        )

    def _layers(self, slot: Slot) -> Pixels:
        """Decode a page as (separate samples, depth, y, x, samples)."""
        allow(self._header.pages[max(slot.page, 0)].nbytes)
        if slot.page < 0:
            return self._raw(slot.offset)
        if self._page is None or self._page[0] != slot.page:
            page = self._tif.pages[slot.page]
            self._page = None
            self._page = (slot.page, page.asarray(maxworkers=1).reshape(page.shaped))
        return self._page[1]

    def _raw(self, offset: int) -> Pixels:
        page = self._tif.pages[0]
        dtype = np.dtype(page.dtype).newbyteorder(self._tif.byteorder)
        count = int(np.prod(page.shaped))
        with self.path.open("rb") as file:
            file.seek(offset)
            raw = file.read(count * dtype.itemsize)
        found: Pixels = np.frombuffer(raw, dtype, count).reshape(page.shaped)
        return found

    def _plain(self, found: Pixels) -> Pixels:
        """Return contiguous pixels in the byte order of this machine; bits become 0 and 1."""
        if found.dtype == np.bool_:
            return found.astype(np.uint8)
        if found.dtype.kind not in "uif":
            raise ReadError(
                f"{self.path.name} holds {found.dtype.name} pixels; integers and real numbers "
                "are read. Export it as one of those"
            )
        return np.ascontiguousarray(found, found.dtype.newbyteorder("="))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._page = None
        self._tif.close()
