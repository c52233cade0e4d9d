"""OME-XML: which page is which plane, and what the microscope wrote about it."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

from dipstream.errors import ReadError

__all__ = ["OmeImage", "PlaneNote", "is_ome", "parse_ome", "to_um"]

MICROMETRES = {
    "µm": 1.0, "μm": 1.0, "um": 1.0, "micron": 1.0, "microns": 1.0, "micrometer": 1.0,
    "micrometre": 1.0, "\\u00b5m": 1.0, "nm": 1e-3, "nanometer": 1e-3, "nanometre": 1e-3,
    "pm": 1e-6, "\u00c5": 1e-4, "mm": 1e3, "millimeter": 1e3, "cm": 1e4, "m": 1e6,
    "inch": 25400.0, "in": 25400.0,
}  # fmt: skip
MILLISECONDS = {"s": 1e3, "ms": 1.0, "µs": 1e-3, "μs": 1e-3, "us": 1e-3, "min": 6e4, "h": 3.6e6}
MAX_PLANES = 4_000_000


def to_um(value: float, unit: str) -> float | None:
    """Return a length in µm; None if the unit is no length (``pixel``, ``reference frame``)."""
    factor = MICROMETRES.get(unit.strip())
    if factor is None:
        factor = MICROMETRES.get(unit.strip().lower())
    return value * factor if factor is not None and math.isfinite(value) else None


@dataclass(frozen=True, slots=True)
class PlaneNote:
    """What OME-XML says of one plane."""

    exposure_ms: float | None = None
    exposed_ns: int | None = None
    stage_um: tuple[float, float, float] | None = None


@dataclass(frozen=True, slots=True)
class OmeImage:
    """One image of an OME file: one position.

    Attributes
    ----------
    sizes
        Number of z, c and t, keyed by ``Z``, ``C``, ``T``; c counts logical channels.
    pages
        (t, z, c) to page number, for the planes that are stored in this very file.
    elsewhere
        How many declared planes are stored in other files.
    """

    size_x: int
    size_y: int
    sizes: Mapping[str, int]
    channels: tuple[str | None, ...]
    pixel_um: float | None
    bit_depth: int | None
    pages: Mapping[tuple[int, int, int], int]
    elsewhere: int
    notes: Mapping[tuple[int, int, int], PlaneNote] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def is_ome(description: bytes) -> bool:
    """Whether a TIFF's description is OME-XML."""
    return description.lstrip()[:1] == b"<" and b"OME>" in description[-64:]


def parse_ome(description: bytes, name: str, most: int = MAX_PLANES) -> list[OmeImage]:
    """Parse OME-XML; raises `ReadError` if it is damaged or brings entities of its own."""
    text = description.rstrip(b"\0 \r\n\t").decode("utf-8", "replace")
    if "<!doctype" in text.lower() or "<!entity" in text.lower():
        raise ReadError(
            f"{name}: its OME-XML declares a DOCTYPE or ENTITY, which no microscope writes and "
            "which is refused for safety. Save the file anew"
        )
    try:
        root = ET.fromstring(text)  # noqa: S314 - entities are refused above
    except ET.ParseError as error:
        raise ReadError(f"{name}: its OME-XML is damaged: {error}. Save the file anew") from error
    return list(_images(root, name, most))


def _images(root: ET.Element, name: str, most: int) -> Iterator[OmeImage]:
    start = 0
    for image in root.findall("{*}Image"):
        pixels = image.find("{*}Pixels")
        if pixels is None:
            continue
        try:
            parsed = _image(root, image, pixels, name, start, most)
        except (ValueError, TypeError, OverflowError) as error:
            raise ReadError(
                f"{name}: its OME-XML makes no sense: {error}. Save the file anew"
            ) from error
        start += len(parsed.pages)
        if start > most:
            raise ReadError(
                f"{name}: its OME-XML declares {start} planes, far more than the file can hold. "
                "Save the file anew"
            )
        yield parsed


def _image(
    root: ET.Element, image: ET.Element, pixels: ET.Element, name: str, start: int, most: int
) -> OmeImage:
    channels = pixels.findall("{*}Channel")
    samples = max([int(channel.get("SamplesPerPixel", 1)) for channel in channels] or [1])
    sizes = {axis: int(pixels.get(f"Size{axis}", 1)) for axis in "ZCT"}
    planes = math.prod(sizes.values())
    if min(sizes.values()) < 1 or planes > MAX_PLANES:
        raise ValueError(f"it declares {planes} planes ({sizes})")
    sizes["C"] = max(sizes["C"] // max(samples, 1), 1)
    pages, elsewhere = _pages(root, pixels, sizes, name, start, most)
    pixel_um, warnings = _pixel_um(pixels)
    bits = pixels.get("SignificantBits")
    names = [channel.get("Name") or None for channel in channels[: sizes["C"]]]
    return OmeImage(
        size_x=int(pixels.get("SizeX", 0)),
        size_y=int(pixels.get("SizeY", 0)),
        sizes=sizes,
        channels=(*names, *[None] * (sizes["C"] - len(names))),
        pixel_um=pixel_um,
        bit_depth=int(bits) if bits else None,
        pages=pages,
        elsewhere=elsewhere,
        notes=_notes(image, pixels),
        warnings=warnings,
    )


def _pixel_um(pixels: ET.Element) -> tuple[float | None, tuple[str, ...]]:
    sides = []
    for axis in "XY":
        text = pixels.get(f"PhysicalSize{axis}")
        unit = pixels.get(f"PhysicalSize{axis}Unit", "µm")
        sides.append(to_um(float(text), unit) if text else None)
    x, y = sides
    if x is None or x <= 0:
        return None, ()
    if y is not None and abs(y - x) > 0.01 * x:
        return None, (f"pixels are not square ({x:g} × {y:g} µm): lengths stay in px",)
    return x, ()


def _pages(
    root: ET.Element, pixels: ET.Element, sizes: Mapping[str, int], name: str, start: int, most: int
) -> tuple[dict[tuple[int, int, int], int], int]:
    """Follow the TiffData elements, which say which page holds which plane."""
    order = pixels.get("DimensionOrder", "XYZCT")[2:]
    if sorted(order) != ["C", "T", "Z"]:
        raise ValueError(f"DimensionOrder is {pixels.get('DimensionOrder')!r}")
    slow = order[::-1]
    total = math.prod(sizes.values())
    pages: dict[tuple[int, int, int], int] = {}
    elsewhere = 0
    for data in pixels.findall("{*}TiffData") or [ET.Element("TiffData")]:
        ifd = int(data.get("IFD", start if data.get("PlaneCount") is None else 0))
        lone = data.get("IFD") is not None
        count = int(data.get("PlaneCount", 1 if lone else total))
        first = [int(data.get(f"First{axis}", 0)) for axis in slow]
        begin = 0
        for axis, index in zip(slow, first, strict=True):
            begin = begin * sizes[axis] + index
        count = max(min(count, total - begin), 0)
        if not _own(root, data, name):
            elsewhere += count
            continue
        if len(pages) + count > most:
            raise ValueError(f"it declares {count} planes, far more than the file can hold")
        for step in range(count):
            pages[_index(begin + step, slow, sizes)] = ifd + step
    return pages, elsewhere


def _index(number: int, slow: str, sizes: Mapping[str, int]) -> tuple[int, int, int]:
    at = {}
    for axis in reversed(slow):
        number, at[axis] = divmod(number, sizes[axis])
    return at["T"], at["Z"], at["C"]


def _own(root: ET.Element, data: ET.Element, name: str) -> bool:
    """Whether these planes lie in this file rather than in a sister of it."""
    uuid = data.find("{*}UUID")
    if uuid is None:
        return True
    own = root.get("UUID")
    if own is not None and uuid.text is not None:
        return own.strip() == uuid.text.strip()
    return uuid.get("FileName", name) == name


def _notes(image: ET.Element, pixels: ET.Element) -> dict[tuple[int, int, int], PlaneNote]:
    started = _acquired_ns(image)
    notes = {}
    for plane in pixels.findall("{*}Plane"):
        index = tuple(int(plane.get(f"The{axis}", 0)) for axis in "TZC")
        delta = _scaled(plane, "DeltaT", MILLISECONDS, "s")
        exposed = None if started is None or delta is None else started + round(delta * 1e6)
        notes[index[0], index[1], index[2]] = PlaneNote(
            _scaled(plane, "ExposureTime", MILLISECONDS, "s"), exposed, _stage(plane)
        )
    return notes


def _scaled(
    element: ET.Element, name: str, units: Mapping[str, float], default: str
) -> float | None:
    text = element.get(name)
    factor = units.get(element.get(f"{name}Unit", default))
    value = float(text) if text else math.nan
    return value * factor if factor is not None and math.isfinite(value) else None


def _stage(plane: ET.Element) -> tuple[float, float, float] | None:
    # Without a unit OME means "reference frame", which is no length; then it stays unknown.
    x, y, z = (_scaled(plane, f"Position{axis}", MICROMETRES, "") for axis in "XYZ")
    return None if x is None or y is None else (x, y, 0.0 if z is None else z)


def _acquired_ns(image: ET.Element) -> int | None:
    text = image.findtext("{*}AcquisitionDate")
    if not text:
        return None
    try:
        when = datetime.fromisoformat(text.strip())
    except ValueError:
        return None  # a date nobody can read is no reason to lose the pixels
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)  # the OME schema says UTC
    whole = when.replace(microsecond=0)
    return int(whole.timestamp()) * 10**9 + when.microsecond * 1000
