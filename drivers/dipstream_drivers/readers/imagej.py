"""The description that ImageJ and tifffile write into a TIFF's first page."""

import json
import math
from dataclasses import dataclass

from dipstream_drivers.readers.ome import to_um

__all__ = ["Stack", "parse_imagej", "parse_shaped"]


@dataclass(frozen=True, slots=True)
class Stack:
    """How pages follow each other: sizes along `axes`, the slowest first.

    Attributes
    ----------
    axes
        One letter an axis, for instance ``TZC``.
    pixel_um
        Side of a pixel, if the file truly says so.
    """

    axes: str
    shape: tuple[int, ...]
    pixel_um: float | None = None
    warnings: tuple[str, ...] = ()

    @property
    def planes(self) -> int:
        """How many pages the description promises."""
        return math.prod(self.shape)


ORDERS = {"czt": "TZC", "ctz": "ZTC", "zct": "TCZ", "ztc": "CTZ", "tcz": "ZCT", "tzc": "CZT"}


def parse_imagej(
    description: bytes, resolution: tuple[float, float] | None, pages: int, samples: int
) -> Stack | None:
    """Read ImageJ's ``key=value`` lines; None if there are none, or they make no sense."""
    if not description.startswith(b"ImageJ="):
        return None
    text = description.rstrip(b"\0").decode("utf-8", "replace")
    lines = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    try:
        sizes = {
            axis: int(lines.get(key, 1))
            for axis, key in (("T", "frames"), ("Z", "slices"), ("C", "channels"))
        }
        images = int(lines.get("images", 1))
    except ValueError:
        return None
    if min(images, *sizes.values()) < 1:
        return None
    if samples > 1 and sizes["C"] == samples:
        sizes["C"] = 1  # R, G and B of one page
    declared = math.prod(sizes.values())
    if declared == 1:
        sizes["T"] = max(images, pages)
    axes = ORDERS.get(lines.get("order", "czt").lower(), "TZC")
    pixel_um, warnings = _pixel_um(lines.get("unit", ""), resolution)
    return Stack(axes, tuple(sizes[axis] for axis in axes), pixel_um, warnings)


def _pixel_um(
    unit: str, resolution: tuple[float, float] | None
) -> tuple[float | None, tuple[str, ...]]:
    # "inch" and "cm" are what ImageJ keeps of a printer's resolution: no one measured that.
    if resolution is None or min(resolution) <= 0 or unit.lower() in ("inch", "cm", "in"):
        return None, ()
    x, y = (to_um(1 / side, unit) for side in resolution)
    if x is None or y is None:
        return None, ()
    if abs(x - y) > 0.01 * x:
        return None, (f"pixels are not square ({x:g} × {y:g} µm): lengths stay in px",)
    return float(f"{x:.6g}"), ()  # ImageJ keeps pixels per unit to six decimals


def parse_shaped(description: bytes, page_shape: tuple[int, ...]) -> Stack | None:
    """Read the ``{"shape": …}`` of a file that tifffile wrote; None if it is no such thing."""
    if not description.startswith(b'{"shape":'):
        return None
    try:
        found = json.loads(description.rstrip(b"\0"))
        shape = tuple(int(size) for size in found["shape"])
        axes = str(found.get("axes", ""))
    except (ValueError, KeyError, TypeError):
        return None
    inner = len(page_shape)
    if shape[-inner:] != page_shape or min(shape) < 1:
        return None
    outer = shape[:-inner]
    return Stack(axes[: len(outer)] if len(axes) == len(shape) else "Q" * len(outer), outer)
