"""The Gaussian approximation: fast, without rings, its width fitted to the scalar pattern's."""

import math

import numpy as np
import numpy.typing as npt
from scipy import special

from dipstream_simulator.optics.radial import Density
from dipstream_simulator.optics.resolution import gaussian_sigma_xy_um, gaussian_sigma_z_um

__all__ = ["gaussian_density", "gaussian_psf", "gaussian_sigma_um"]

_HALF_LIGHT = math.sqrt(2.0 * math.log(2.0))  # radius that holds half of a Gaussian, in σ


def gaussian_sigma_um(
    na: float, immersion_index: float, wavelength_nm: float, z_um: float
) -> float:
    """Return the σ of a point's image at a distance from the focus, in µm.

    In focus as in `gaussian_sigma_xy_um`. Far from it the Gaussian holds half of its light where
    the cone of rays does, within z·tan α', sin α' = NA/(√2 n). In between both are added in
    squares, the cone times z²/(z² + σ_z²): a fit to this package's scalar pattern, whose half-light
    radius it meets within 14 % in every plane (NA 0.1 to 1.49), within 6 % beyond 6 n λ/NA².
    """
    focus_um = gaussian_sigma_xy_um(na, wavelength_nm)
    depth_um = gaussian_sigma_z_um(na, immersion_index, wavelength_nm)
    sine = na / (math.sqrt(2.0) * immersion_index)
    cone_um = abs(z_um) * sine / math.sqrt(1.0 - sine**2) / _HALF_LIGHT
    return math.hypot(focus_um, cone_um * abs(z_um) / math.hypot(z_um, depth_um))


def gaussian_density(sigma_um: float) -> Density:
    """Return a round Gaussian whose integral over the plane is 1, per µm²."""
    peak = 1.0 / (2.0 * math.pi * sigma_um**2)
    return lambda r: np.asarray(peak * np.exp(-0.5 * (r / sigma_um) ** 2), dtype=np.float64)


def gaussian_psf(sigma_um: float, pixel_um: float, half_px: int) -> npt.NDArray[np.float64]:
    """Return a round Gaussian integrated over each of (2·half_px + 1)² pixels, float64.

    Exactly, as differences of the error function; the sum is what the crop keeps of 1.
    """
    edges_um = (np.arange(2 * half_px + 2) - half_px - 0.5) * pixel_um
    line = np.diff(special.ndtr(edges_um / sigma_um))
    # The error function is more precise on its negative side: mirror it.
    line = 0.5 * (line + line[::-1])
    return np.asarray(np.outer(line, line), dtype=np.float64)
