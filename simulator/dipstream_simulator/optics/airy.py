"""The Airy pattern: the point spread function in focus, scalar and unaberrated."""

import math

import numpy as np
import numpy.typing as npt
from scipy import special

from dipstream_simulator.limits import require_between
from dipstream_simulator.optics.objective import Objective

__all__ = ["airy_intensity", "airy_psf"]

_SAMPLES_PER_RAYLEIGH = 12
_MAX_PSF_PX = 2001


def airy_intensity(
    radius_um: npt.NDArray[np.float64], objective: Objective, wavelength_nm: float
) -> npt.NDArray[np.float64]:
    """Return the Airy pattern [2 J1(v)/v]², v = 2π·NA·r/λ, which is 1 at its centre.

    Born & Wolf, §8.5.2. Any shape; float64.
    """
    v = 2.0 * np.pi * objective.na / (wavelength_nm * 1e-3) * radius_um
    safe = np.where(v == 0.0, 1.0, v)
    return np.where(v == 0.0, 1.0, (2.0 * special.j1(safe) / safe) ** 2)


def airy_psf(
    objective: Objective,
    wavelength_nm: float,
    pixel_um: float,
    *,
    radius_um: float | None = None,
) -> npt.NDArray[np.float64]:
    """Return the point spread function in focus, integrated over each object pixel.

    Parameters
    ----------
    objective
        Its NA sets the width.
    wavelength_nm
        Emission wavelength in vacuum, in nm.
    pixel_um
        Side of a pixel in the object, in µm.
    radius_um
        Half the side of the kernel, in µm; four Rayleigh radii unless given, which hold 96 %
        of the light. The kernel is scaled up for the tails that are cut off.

    Returns
    -------
    ndarray
        (k, k) with k odd, float64, centred on its middle pixel; the sum is 1, so that a
        convolution conserves photons.

    Raises
    ------
    SourceError
        If the wavelength or the pixel is not positive, or the kernel would be wider than
        2001 pixels.
    """
    require_between("wavelength_nm", wavelength_nm, 200.0, 2000.0, example=525)
    require_between("pixel_um", pixel_um, 0.0, 1000.0, example=0.325, open_low=True)
    rayleigh_um = objective.rayleigh_um(wavelength_nm)
    reach_um = 4.0 * rayleigh_um if radius_um is None else radius_um
    half_px = max(1, math.ceil(reach_um / pixel_um))
    size_px = 2 * half_px + 1
    require_between("psf_px", size_px, 3, _MAX_PSF_PX, example=101)
    # An odd number of midpoints per pixel keeps one sample on the centre itself.
    samples = 2 * math.ceil(0.5 * _SAMPLES_PER_RAYLEIGH * pixel_um / rayleigh_um) + 1
    axis_um = (np.arange(size_px * samples) - (size_px * samples - 1) / 2) * pixel_um / samples
    fine = airy_intensity(np.hypot(axis_um[:, None], axis_um[None, :]), objective, wavelength_nm)
    kernel = fine.reshape(size_px, samples, size_px, samples).sum(axis=(1, 3))
    return np.asarray(kernel / kernel.sum(), dtype=np.float64)
