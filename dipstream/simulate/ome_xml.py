"""OME-XML of one position: sizes, channels, and where and when each plane was taken.

Schema: https://www.openmicroscopy.org/Schemas/Documentation/Generated/OME-2016-06/ome.html
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

from dipstream.frame import Segment
from dipstream.version import __version__

__all__ = ["PlaneNote", "ome_xml", "z_step_um"]

_NAMESPACE = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
_SCHEMA = "http://www.w3.org/2001/XMLSchema-instance"
_TYPES = {"float32": "float", "float64": "double", "bool": "bit"}


@dataclass(frozen=True, slots=True)
class PlaneNote:
    """A plane that was written; its page is its place in the order of writing."""

    t: int
    c: int
    z: int
    exposed_ns: int | None
    exposure_ms: float | None
    stage_um: tuple[float, float, float] | None


def ome_xml(
    name: str, segment: Segment, channels: Sequence[str], planes: Sequence[PlaneNote]
) -> str:
    """Return the description of a file with these planes, in the order of its pages."""
    root = ET.Element(
        "OME",
        {
            "xmlns": _NAMESPACE,
            "xmlns:xsi": _SCHEMA,
            "xsi:schemaLocation": f"{_NAMESPACE} {_NAMESPACE}/ome.xsd",
            "Creator": f"dipstream {__version__}",
        },
    )
    image = ET.SubElement(root, "Image", {"ID": "Image:0", "Name": name})
    began_ns = min((plane.exposed_ns for plane in planes if plane.exposed_ns), default=None)
    if began_ns is not None:
        began_ns -= began_ns % 1000  # the date has microseconds
        when = datetime.fromtimestamp(began_ns // 10**9, UTC).replace(
            microsecond=began_ns % 10**9 // 1000, tzinfo=None
        )
        ET.SubElement(image, "AcquisitionDate").text = when.isoformat()
    pixels = ET.SubElement(image, "Pixels", _pixels(segment, channels, planes))
    for c, channel in enumerate(channels):
        about = {"ID": f"Channel:0:{c}", "Name": channel, "SamplesPerPixel": "1"}
        ET.SubElement(pixels, "Channel", about)
    for page, plane in enumerate(planes):
        place = {"FirstT": str(plane.t), "FirstC": str(plane.c), "FirstZ": str(plane.z)}
        ET.SubElement(pixels, "TiffData", {**place, "IFD": str(page), "PlaneCount": "1"})
    for plane in planes:
        ET.SubElement(pixels, "Plane", _plane(plane, began_ns))
    return '<?xml version="1.0" encoding="UTF-8"?>' + ET.tostring(root, encoding="unicode")


def _pixels(
    segment: Segment, channels: Sequence[str], planes: Sequence[PlaneNote]
) -> dict[str, str]:
    rows, columns = segment.shape
    about = {
        "ID": "Pixels:0",
        "DimensionOrder": "XYZCT",
        "Type": _TYPES.get(segment.dtype, segment.dtype),
        "BigEndian": "false",
        "SizeX": str(columns),
        "SizeY": str(rows),
        "SizeZ": str(max(plane.z for plane in planes) + 1),
        "SizeC": str(len(channels)),
        "SizeT": str(max(plane.t for plane in planes) + 1),
    }
    if segment.bit_depth is not None:
        about["SignificantBits"] = str(segment.bit_depth)
    if segment.pixel_um is not None:
        side = f"{segment.pixel_um:.9g}"
        about |= {"PhysicalSizeX": side, "PhysicalSizeXUnit": "µm"}
        about |= {"PhysicalSizeY": side, "PhysicalSizeYUnit": "µm"}
    step_um = z_step_um(planes)
    if step_um is not None:
        about |= {"PhysicalSizeZ": f"{step_um:.9g}", "PhysicalSizeZUnit": "µm"}
    return about


def z_step_um(planes: Sequence[PlaneNote]) -> float | None:
    """Return the distance of neighbouring planes in µm, as the stage tells; None for one plane."""
    heights = {plane.z: plane.stage_um[2] for plane in planes if plane.stage_um is not None}
    if len(heights) < 2:
        return None
    low, high = min(heights), max(heights)
    step_um = abs(heights[high] - heights[low]) / (high - low)
    return step_um or None


def _plane(plane: PlaneNote, began_ns: int | None) -> dict[str, str]:
    about = {"TheZ": str(plane.z), "TheT": str(plane.t), "TheC": str(plane.c)}
    if plane.exposed_ns is not None and began_ns is not None:
        delta_s = (plane.exposed_ns - began_ns) / 1e9
        about |= {"DeltaT": f"{delta_s:.9f}", "DeltaTUnit": "s"}
    if plane.exposure_ms is not None:
        about |= {"ExposureTime": f"{plane.exposure_ms:.9g}", "ExposureTimeUnit": "ms"}
    if plane.stage_um is not None:
        for axis, value in zip("XYZ", plane.stage_um, strict=True):
            about |= {f"Position{axis}": f"{value:.9g}", f"Position{axis}Unit": "µm"}
    return about
