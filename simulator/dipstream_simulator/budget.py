"""Refuse what no memory holds, before the first frame."""

from collections.abc import Mapping
from typing import Any

from dipstream.errors import SourceError
from dipstream_simulator.optics import Microscope
from dipstream_simulator.render import sprite_bytes
from dipstream_simulator.specimen.model import Specimen

__all__ = ["require_affordable"]

_DRAWN_BYTES = 1.5e9
_EXACT_PX = 3e7


def require_affordable(
    specimen: Specimen, microscope: Microscope, pixel_um: float, pixels: int, p: Mapping[str, Any]
) -> None:
    """Raise if drawing the specimen, or its frames, would take several GB.

    Parameters
    ----------
    specimen, microscope, pixel_um, pixels
        What is drawn, through what, the side of a sensor pixel in the object, in µm, and how many
        of them a frame has.
    p
        The parameters of `dipstream_simulator.source.open_sim`.

    Raises
    ------
    SourceError
        With what was received and what to change.
    """
    if p["noise"] == "exact" and pixels > _EXACT_PX:
        raise SourceError(
            f"The simulated camera received noise=exact for {pixels:.3g} px; allowed are "
            f"{_EXACT_PX:g}, for it keeps each of them many times. Lower width and height, or "
            "write noise=fast"
        )
    used = min(len(specimen.shapes), len(specimen.objects(0).shape))
    needed = sprite_bytes(specimen, microscope, pixel_um, used)
    if needed > _DRAWN_BYTES:
        raise SourceError(
            f"The simulated camera received a pixel of {pixel_um:.3g} µm in the object for "
            f"specimen={p['specimen']}; drawing it as finely as pixel and resolution ask for takes "
            f"{needed / 1e9:.1f} GB, allowed are {_DRAWN_BYTES / 1e9:g}. Change objective, "
            "camera_pixel_um or scan_um, or lower n"
        )
