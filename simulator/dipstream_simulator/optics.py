"""What the objective does to light: how much it collects and how far it blurs a point.

The formulas are those of scalar diffraction theory for a circular, unaberrated pupil
(Born & Wolf, *Principles of Optics*, §8.5 and §8.6.3).
"""

import math
import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from dipstream.errors import SourceError
from dipstream_simulator.limits import require_between

__all__ = ["IMMERSION_INDEX", "Objective", "airy_intensity", "airy_psf"]

IMMERSION_INDEX = {"air": 1.0, "water": 1.333, "oil": 1.515}
"""Refractive index of the medium in front of the lens, by name."""

_OBJECTIVE = re.compile(
    r"(?P<magnification>\d+(?:\.\d+)?)x(?P<na>\d+(?:\.\d+)?)(?P<medium>[a-z]*)", re.IGNORECASE
)
_SAMPLES_PER_RAYLEIGH = 12
_MAX_PSF_PX = 2001


@dataclass(frozen=True, slots=True)
class Objective:
    """An objective, as far as an image in focus is concerned.

    Attributes
    ----------
    magnification
        Lateral magnification; sets the size of a pixel in the object, never the blur.
    na
        Numerical aperture, NA = n·sin θ; below `immersion_index`.
    immersion_index
        Refractive index n of the medium in front of the lens.
    """

    magnification: float
    na: float
    immersion_index: float = 1.0

    def __post_init__(self) -> None:
        require_between("magnification", self.magnification, 1.0, 250.0, example=20)
        require_between("immersion_index", self.immersion_index, 1.0, 2.0, example=1.515)
        if not 0.0 < self.na < self.immersion_index:
            raise SourceError(
                f"The objective received NA {self.na:g} in a medium of refractive index "
                f"{self.immersion_index:g}; allowed is an NA above 0 and below that index. "
                "Lower the NA or name the immersion, for instance 60x1.40oil"
            )

    @classmethod
    def parse(cls, text: str) -> "Objective":
        """Read an objective as engraved on its barrel: ``20x0.75``, ``60x1.2water``.

        Parameters
        ----------
        text
            Magnification, an x, the NA and, unless it is air, the immersion medium
            (one of `IMMERSION_INDEX`).

        Raises
        ------
        SourceError
            If the text cannot be read, or such an objective cannot exist.
        """
        match = _OBJECTIVE.fullmatch(text.strip())
        medium = (match["medium"].lower() or "air") if match else ""
        if match is None or medium not in IMMERSION_INDEX:
            raise SourceError(
                f"The simulated camera received objective={text!r}; allowed is magnification, x, "
                f"NA and one of {', '.join(IMMERSION_INDEX)} (air may be left out). "
                "Write for instance objective=20x0.75 or objective=60x1.40oil"
            )
        return cls(float(match["magnification"]), float(match["na"]), IMMERSION_INDEX[medium])

    @property
    def collected_fraction(self) -> float:
        """Share of an isotropic emitter's photons that enter: ½[1 − √(1 − (NA/n)²)].

        The solid angle of the cone of half angle θ, sin θ = NA/n, divided by 4π.
        """
        return 0.5 * (1.0 - math.sqrt(1.0 - (self.na / self.immersion_index) ** 2))

    def object_pixel_um(self, camera_pixel_um: float) -> float:
        """Side of a camera pixel in the object, in µm: camera pixel / magnification."""
        return camera_pixel_um / self.magnification

    def rayleigh_um(self, wavelength_nm: float) -> float:
        """Radius of the Airy pattern's first zero, in µm: 0.6098 λ/NA.

        From the first zero of J1 at 3.8317 (Born & Wolf, §8.6.3).
        """
        return float(special.jn_zeros(1, 1)[0]) / (2.0 * math.pi) * wavelength_nm * 1e-3 / self.na

    def abbe_um(self, wavelength_nm: float) -> float:
        """Period of the finest grating that is transferred, in µm: λ/(2 NA) (Abbe 1873)."""
        return 0.5 * wavelength_nm * 1e-3 / self.na

    def nyquist_um(self, wavelength_nm: float) -> float:
        """Largest object pixel that samples everything, in µm: λ/(4 NA).

        Half the period of the incoherent cut-off 2 NA/λ (Nyquist-Shannon).
        """
        return 0.25 * wavelength_nm * 1e-3 / self.na


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
