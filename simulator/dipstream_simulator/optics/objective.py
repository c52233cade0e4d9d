"""What the objective does to light: how much it collects and how far it blurs a point.

The formulas are those of scalar diffraction theory for a circular, unaberrated pupil
(Born & Wolf, *Principles of Optics*, §8.5 and §8.6.3).
"""

import math
import re
from dataclasses import dataclass, replace

from dipstream.errors import SourceError
from dipstream_simulator.limits import require_between
from dipstream_simulator.optics import resolution
from dipstream_simulator.optics.catalogue import medium_of

__all__ = ["IMMERSION_INDEX", "Objective"]

IMMERSION_INDEX = {"air": 1.0, "water": 1.333, "oil": 1.515}
"""Refractive index of the medium in front of the lens, by name."""

_OBJECTIVE = re.compile(
    r"(?P<magnification>\d+(?:\.\d+)?)\s*[x×]\s*/?\s*(?P<na>\d+(?:\.\d+)?)\s*(?P<medium>[a-z]*)",
    re.IGNORECASE,
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
    tube_lens_mm
        Focal length of the tube lens that the magnification is engraved for.
    """

    magnification: float
    na: float
    immersion_index: float = 1.0
    tube_lens_mm: float = 200.0

    def __post_init__(self) -> None:
        require_between("magnification", self.magnification, 1.0, 250.0, example=20)
        require_between("immersion_index", self.immersion_index, 1.0, 2.0, example=1.515)
        require_between("tube_lens_mm", self.tube_lens_mm, 10.0, 1000.0, example=200)
        if not 0.0 < self.na < self.immersion_index:
            raise SourceError(
                f"The objective received NA {self.na:g} in a medium of refractive index "
                f"{self.immersion_index:g}; allowed is an NA above 0 and below that index. "
                "Lower the NA or name the immersion, for instance 60x1.40oil"
            )

    @classmethod
    def parse(cls, text: str) -> "Objective":
        """Read an objective as engraved on its barrel: ``20x0.75``, ``20x/0.75``, ``60x1.2 water``.

        Parameters
        ----------
        text
            Magnification, an x, the NA and the immersion medium (one of `IMMERSION_INDEX`).
            Without a medium it is that of the shipped objective with this magnification and NA
            (``60x1.40`` is an oil objective), and air if there is none.

        Raises
        ------
        SourceError
            If the text cannot be read, or such an objective cannot exist.
        """
        match = _OBJECTIVE.fullmatch(text.strip())
        medium = match["medium"].lower() if match else ""
        if match is None or medium not in {"", *IMMERSION_INDEX}:
            raise SourceError(
                f"The simulated camera received objective={text!r}; allowed is magnification, x, "
                f"NA and one of {', '.join(IMMERSION_INDEX)} (may be left out for air and for the "
                "shipped objectives). Write for instance objective=20x0.75 or objective=60x1.40oil"
            )
        magnification, na = float(match["magnification"]), float(match["na"])
        medium = medium or medium_of(magnification, na) or "air"
        return cls(magnification, na, IMMERSION_INDEX[medium])

    def with_tube_lens(self, tube_lens_mm: float) -> "Objective":
        """Return this objective behind another tube lens: only its magnification changes.

        M = f_tube / f_objective; the objective's own focal length, its NA and so its blur stay.
        Makers engrave for 200, 180 or 164.5 mm.

        Raises
        ------
        SourceError
            If the tube lens is not between 10 and 1000 mm, or the magnification becomes absurd.
        """
        require_between("tube_lens_mm", tube_lens_mm, 10.0, 1000.0, example=200)
        magnification = self.magnification * tube_lens_mm / self.tube_lens_mm
        return replace(self, magnification=magnification, tube_lens_mm=tube_lens_mm)

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
        """Radius of the Airy pattern's first zero, in µm: 0.6098 λ/NA."""
        return resolution.rayleigh_um(self.na, wavelength_nm)

    def abbe_um(self, wavelength_nm: float) -> float:
        """Period of the finest grating that is transferred, in µm: λ/(2 NA)."""
        return resolution.abbe_um(self.na, wavelength_nm)

    def nyquist_um(self, wavelength_nm: float) -> float:
        """Largest object pixel that samples everything, in µm: λ/(4 NA)."""
        return resolution.nyquist_um(self.na, wavelength_nm)

    def depth_of_field_um(self, wavelength_nm: float, camera_pixel_um: float) -> float:
        """Depth that looks sharp on a camera with this pixel, in µm: λ n/NA² + n e/(M·NA)."""
        return resolution.depth_of_field_um(
            self.na, self.immersion_index, wavelength_nm, self.magnification, camera_pixel_um
        )
