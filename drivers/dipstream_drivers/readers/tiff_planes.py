"""Which page of a TIFF is which plane: OME-XML, ImageJ's and tifffile's descriptions, or none."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import tifffile

from dipstream.errors import ReadError
from dipstream.reader import Plane
from dipstream_drivers.colour import RGB
from dipstream_drivers.readers.imagej import Stack, parse_imagej, parse_shaped
from dipstream_drivers.readers.ome import OmeImage, PlaneNote, is_ome, parse_ome
from dipstream_drivers.readers.tiff_header import Directory, Header

__all__ = ["Contents", "Slot", "contents"]

MAX_PLANES = 4_000_000
MAX_MISSING = 20_000
ELSEWHERE = "is not in this file"
RGB_LIKE = (2, 6)
"""Photometric RGB and YCbCr."""


@dataclass(frozen=True, slots=True)
class Slot:
    """Where a plane's pixels are: a page, or bytes from an offset on, and why not, if not."""

    page: int = -1
    offset: int = 0
    sample: int = 0
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Contents:
    """The planes of a file in order, their places, and what the file says of all of them."""

    planes: tuple[Plane, ...]
    slots: tuple[Slot, ...]
    pixel_um: float | None = None
    bit_depth: int | None = None
    warnings: tuple[str, ...] = ()


def contents(header: Header, tif: tifffile.TiffFile, name: str) -> Contents:
    """List all planes, whether they can be read or not."""
    first = header.pages[0]
    most = _most(header)
    if is_ome(first.description) and (images := parse_ome(first.description, name, most)):
        return _ome(header, images)
    stack = parse_imagej(
        first.description, first.resolution, len(header.pages), first.samples
    ) or parse_shaped(first.description, _page_shape(first))
    if stack is not None and len(header.pages) <= stack.planes <= most:
        pairs = _stacked(stack, 0, first, _by_number(header, stack.planes))
        return _ordered(pairs, stack.pixel_um, None, stack.warnings)
    if header.broken:
        return _ordered(_flat(header), None, None, ())
    return _ordered(_series(header, tif), None, None, ())


def _most(header: Header) -> int:
    """Return how many planes are listed: more than a file could hold would only be missing."""
    held = header.size // max(header.pages[0].nbytes, 1)
    return min(len(header.pages) + held + MAX_MISSING, MAX_PLANES)


def _ordered(
    pairs: Iterator[tuple[Plane, Slot]],
    pixel_um: float | None,
    bit_depth: int | None,
    warnings: tuple[str, ...],
) -> Contents:
    """Sort planes by position, t, z and c, and number them."""
    found = sorted(pairs, key=lambda pair: (pair[0].position, pair[0].t, pair[0].z, pair[0].c))
    planes = tuple(replace(plane, number=number) for number, (plane, _) in enumerate(found))
    return Contents(planes, tuple(slot for _, slot in found), pixel_um, bit_depth, warnings)


def _page_shape(page: Directory) -> tuple[int, ...]:
    shape = (page.length, page.width)
    return shape if page.samples == 1 else (*shape, page.samples)


def _by_number(header: Header, promised: int) -> Callable[[int], Slot]:
    """Return a function from page number to its place."""
    start, first = header.block(promised), header.pages[0]

    def place(number: int) -> Slot:
        if 0 <= number < len(header.pages):
            return Slot(number, problem=header.pages[number].problem)
        end = start + (number + 1) * first.nbytes
        if start and end <= header.size:
            return Slot(offset=end - first.nbytes)
        lost = f"is truncated: needs {end} bytes, the file has {header.size}" if start else ""
        return Slot(
            problem=lost
            or header.broken
            or f"is missing: {len(header.pages)} of {promised} pages are in the file"
        )

    return place


def _samples(page: Directory) -> tuple[str | None, ...]:
    """Return the names of a page's layers; alpha is left out."""
    if page.samples in (3, 4) and page.photometric in RGB_LIKE:
        return RGB
    return (None,) * (1 if page.samples == 2 else page.samples)


def _layers(plane: Plane, slot: Slot, page: Directory) -> Iterator[tuple[Plane, Slot]]:
    """Split a page of several samples into planes."""
    layers = _samples(page)
    for sample, layer in enumerate(layers):
        named = f"{plane.channel}-{layer}" if plane.channel and layer else layer or plane.channel
        c = plane.c * len(layers) + sample
        yield replace(plane, c=c, channel=named), replace(slot, sample=sample)


def _stacked(
    stack: Stack, position: int, page: Directory, place: Callable[[int], Slot]
) -> Iterator[tuple[Plane, Slot]]:
    """List the planes of pages that follow each other along named axes.

    Axes that nobody named (tifffile calls them Q and I) are time: a camera that fills a stack
    without a word about it counts its frames.
    """
    for number, index in enumerate(np.ndindex(stack.shape)):
        at = {"t": 0, "z": 0, "c": 0, "p": 0}
        for axis, size, value in zip(stack.axes, stack.shape, index, strict=True):
            key = {"Z": "z", "C": "c", "S": "c", "P": "p", "R": "p"}.get(axis, "t")
            at[key] = at[key] * size + value
        plane = Plane(number, t=at["t"], c=at["c"], z=at["z"], position=position + at["p"])
        yield from _layers(plane, place(number), page)


def _flat(header: Header) -> Iterator[tuple[Plane, Slot]]:
    """List pages as time points, and one more for what is missing where the list breaks off."""
    pages = [number for number, page in enumerate(header.pages) if not page.reduced]
    for t, number in enumerate(pages or range(len(header.pages))):
        page = header.pages[number]
        yield from _layers(Plane(number, t=t), Slot(number, problem=page.problem), page)
    if header.broken:
        lost = len(header.pages)
        yield Plane(lost, t=len(pages)), Slot(problem=f"and all after it: {header.broken}")


def _series(header: Header, tif: tifffile.TiffFile) -> Iterator[tuple[Plane, Slot]]:
    """List what tifffile makes of the pages; as time points if it makes nothing of them."""
    whole = [series for series in tif.series if not series.keyframe.is_reduced]
    if not whole or any(_outer(series, _most(header)) is None for series in whole):
        yield from _flat(header)
        return
    position = 0
    for series in whole:
        stack = _outer(series, _most(header))
        if stack is None:
            continue
        page = header.pages[_top(series.keyframe)]
        pairs = list(_stacked(stack, position, page, _of_series(header, series)))
        position = pairs[-1][0].position + 1
        yield from (pair for pair in pairs if pair[1].problem != ELSEWHERE)


def _top(page: tifffile.TiffPage | tifffile.TiffFrame) -> int:
    index = page.index
    return int(index if isinstance(index, int) else index[0])


def _outer(series: tifffile.TiffPageSeries, most: int) -> Stack | None:
    """Return the axes outside a page; None if the series is not made of whole pages."""
    inner = tuple(series.keyframe.shape)
    shape = tuple(series.shape)
    if shape[-len(inner) :] != inner or math.prod(shape) // math.prod(inner) > most:
        return None
    outer = len(shape) - len(inner)
    return Stack(series.axes[:outer], shape[:outer])


def _of_series(header: Header, series: tifffile.TiffPageSeries) -> Callable[[int], Slot]:
    # A set of several files may have pages elsewhere; those belong to the other files.
    own = (page if page is not None and page.parent is series.parent else None for page in series)
    pages = [None if page is None else _top(page) for page in own]
    start, nbytes = series.dataoffset, int(series.keyframe.nbytes)

    def place(number: int) -> Slot:
        if number < len(pages):
            page = pages[number]
            if page is None:
                return Slot(problem=ELSEWHERE)
            return Slot(page, problem=header.pages[page].problem)
        end = (start or 0) + (number + 1) * nbytes
        if not start or end > header.size:
            return Slot(problem=f"is truncated: needs {end} bytes, the file has {header.size}")
        return Slot(offset=end - nbytes)

    return place


def _ome(header: Header, images: list[OmeImage]) -> Contents:
    promised = sum(len(image.pages) for image in images)
    place = _by_number(header, promised)
    pairs = [
        pair
        for position, image in enumerate(images)
        for pair in _ome_image(header, image, position, place)
    ]
    if not pairs:
        raise ReadError("the OME-XML names no plane that is in this file")
    first = images[0]
    said = [warning for image in images for warning in image.warnings]
    declared = sum(math.prod(image.sizes.values()) - image.elsewhere for image in images)
    if declared > promised:
        said.append(
            f"{declared - promised} of the {declared} planes that the OME-XML declares "
            "were never written"
        )
    if len(header.pages) > promised and not header.pages[promised].reduced:
        said.append(
            f"{len(header.pages) - promised} pages that the OME-XML does not mention are left out"
        )
    return _ordered(iter(pairs), first.pixel_um, first.bit_depth, tuple(said))


def _ome_image(
    header: Header, image: OmeImage, position: int, place: Callable[[int], Slot]
) -> Iterator[tuple[Plane, Slot]]:
    names = _distinct(image.channels)
    for (t, z, c), number in image.pages.items():
        note = image.notes.get((t, z, c), PlaneNote())
        slot = place(number)
        page = header.pages[max(slot.page, 0)]
        if not slot.problem and (page.width, page.length) != (image.size_x, image.size_y):
            slot = Slot(
                problem=f"is {page.width} × {page.length} px, but the OME-XML declares "
                f"{image.size_x} × {image.size_y} px"
            )
        plane = Plane(
            number, t, c, z, position, names[c], note.exposure_ms, note.exposed_ns, note.stage_um
        )
        yield from _layers(plane, slot, page)


def _distinct(names: tuple[str | None, ...]) -> tuple[str | None, ...]:
    """Tell channels of the same name apart by their number."""
    counts: Mapping[str | None, int] = {name: names.count(name) for name in names}
    return tuple(
        f"{name}-{c}" if name is not None and counts[name] > 1 else name
        for c, name in enumerate(names)
    )
