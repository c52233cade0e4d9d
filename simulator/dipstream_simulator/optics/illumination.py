"""Uneven light: the corners that the optics darken, and a lamp or laser that is not flat."""

import math
from typing import Literal

import numpy as np
import numpy.typing as npt

from dipstream.errors import SourceError
from dipstream_simulator.limits import require_between

__all__ = ["PROFILES", "Profile", "shading"]

Profile = Literal["flat", "gaussian", "flat_top"]

PROFILES: tuple[Profile, ...] = ("flat", "gaussian", "flat_top")
"""How the illumination falls off from its centre."""

_FLAT_TOP_POWER = 8.0
_LEAST_ON_AXIS = 0.01

_Array = npt.NDArray[np.float64]


def shading(
    shape: tuple[int, int],
    pixel_um: float,
    *,
    vignetting: float = 0.0,
    profile: Profile = "flat",
    width_um: float | None = None,
    centre_um: tuple[float, float] = (0.0, 0.0),
) -> npt.NDArray[np.float32]:
    """Return how much light each pixel gets, relative to the optical axis.

    Parameters
    ----------
    shape
        Rows and columns of the image; the optical axis is in its middle.
    pixel_um
        Side of a pixel in the object.
    vignetting
        Relative loss in the image's corners, 0 (none) to 0.95. It falls like cos⁴ of an angle
        (the natural vignetting of a lens: R. Kingslake, *Optics in Photography*, 1992, ch. 6),
        the angle in the corner being the one that loses this much.
    profile
        ``flat``; ``gaussian`` (a laser, a misaligned lamp); ``flat_top`` (a super-Gaussian of
        the 8th power: a field stop slightly out of focus).
    width_um
        The profile's full width at half maximum; the image's diagonal unless given, which leaves
        half of the light in the corners.
    centre_um
        (y, x) of the illumination's centre, from the optical axis. Off-centre, the brightest
        pixel is above 1.

    Returns
    -------
    ndarray
        float32 (y, x), 1 at the optical axis.

    Raises
    ------
    SourceError
        If a number is impossible, the profile is unknown, a flat one has a width or a centre, or
        the optical axis gets less than 1 % of the illumination's peak.
    """
    rows, columns = shape
    require_between("rows", rows, 1, 100_000, example=2048)
    require_between("columns", columns, 1, 100_000, example=2048)
    require_between("pixel_um", pixel_um, 0.0, 1000.0, example=0.325, open_low=True)
    require_between("vignetting", vignetting, 0.0, 0.95, example=0.2)
    y_um = (np.arange(rows, dtype=np.float64) - (rows - 1) / 2) * pixel_um
    x_um = (np.arange(columns, dtype=np.float64) - (columns - 1) / 2) * pixel_um
    lit = _fall_off(y_um, x_um, vignetting)
    if profile != "flat":
        diagonal_um = math.hypot(rows, columns) * pixel_um
        width_um = diagonal_um if width_um is None else width_um
        lit *= _profile(y_um, x_um, profile, width_um, centre_um)
    elif width_um is not None or centre_um != (0.0, 0.0):
        raise SourceError(
            f"The illumination received profile='flat' with width_um={width_um}, "
            f"centre_um={centre_um}; allowed is a flat profile without either. "
            "Leave them out or write profile='gaussian'"
        )
    return lit.astype(np.float32)


def _fall_off(y_um: _Array, x_um: _Array, vignetting: float) -> _Array:
    """Return cos⁴ of the field's angle: (1 + tan²)⁻², tan² growing with the distance squared."""
    corner = max(y_um[-1] ** 2 + x_um[-1] ** 2, np.finfo(np.float64).tiny)
    steepness = (1.0 / math.sqrt(1.0 - vignetting) - 1.0) / corner
    squared = y_um[:, None] ** 2 + x_um[None, :] ** 2
    return np.asarray((1.0 + steepness * squared) ** -2, dtype=np.float64)


def _profile(
    y_um: _Array,
    x_um: _Array,
    profile: str,
    width_um: float,
    centre_um: tuple[float, float],
) -> _Array:
    if profile not in PROFILES:
        raise SourceError(
            f"The illumination received profile={profile!r}; allowed are {', '.join(PROFILES)}. "
            "Write for instance profile='gaussian'"
        )
    require_between("width_um", width_um, 0.0, 1e6, example=400, open_low=True)
    require_between("centre_y_um", centre_um[0], -1e5, 1e5, example=20)
    require_between("centre_x_um", centre_um[1], -1e5, 1e5, example=20)
    power = 2.0 if profile == "gaussian" else _FLAT_TOP_POWER
    decay = math.log(2.0) * (2.0 / width_um) ** power
    on_axis = decay * math.hypot(*centre_um) ** power
    if on_axis > -math.log(_LEAST_ON_AXIS):
        raise SourceError(
            f"The illumination received centre_um={centre_um} with width_um={width_um:g}; allowed "
            "are centres that leave the optical axis at least 1 % of the peak. "
            "Write a wider width_um or a nearer centre_um"
        )
    radius = np.hypot(y_um[:, None] - centre_um[0], x_um[None, :] - centre_um[1])
    return np.asarray(np.exp(on_axis - decay * radius**power), dtype=np.float64)
