"""What the objective does to light: how much it collects and how far it blurs a point.

The formulas are those of scalar diffraction theory for a circular, unaberrated pupil
(Born & Wolf, *Principles of Optics*, §8.5 and §8.6.3).
"""

import math
import re
from dataclasses import dataclass

from scipy import special

from dipstream.errors import SourceError
from dipstream_simulator.limits import require_between

__all__ = ["IMMERSION_INDEX", "Objective"]

IMMERSION_INDEX = {"air": 1.0, "water": 1.333, "oil": 1.515}
"""Refractive index of the medium in front of the lens, by name."""

_OBJECTIVE = re.compile(
    r"(?P<magnification>\d+(?:\.\d+)?)x(?P<na>\d+(?:\.\d+)?)(?P<medium>[a-z]*)", re.IGNORECASE
)


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
