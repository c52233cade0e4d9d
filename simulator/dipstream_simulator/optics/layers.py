"""What light crosses between the sample and the lens, and what it costs when indices differ.

After S. F. Gibson and F. Lanni, J. Opt. Soc. Am. A 9, 154 (1992): the optical path through the
real layers less that through the layers which the objective was designed for.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dipstream_simulator.limits import require_between

__all__ = ["COVERSLIP_INDEX", "COVERSLIP_UM", "Layers"]

COVERSLIP_UM = 170.0
"""Thickness of the coverslip that objectives are designed for (ISO 8255-1)."""

COVERSLIP_INDEX = 1.5255
"""Refractive index of that coverslip (ISO 8255-1, at the e line)."""

_Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Layers:
    """Sample, coverslip and immersion medium, from the object to the lens.

    Attributes
    ----------
    immersion_index
        Refractive index of the medium in front of the lens.
    sample_index
        Refractive index of what the object is in; None: as the immersion, no mismatch.
    depth_um
        How far the stage was moved to focus from the coverslip into the sample: the *nominal*
        depth of the focus. With a mismatch the sharp plane lies elsewhere, paraxially at
        `depth_um` · sample_index / immersion_index.
    coverslip_um, coverslip_index
        The coverslip that is there; the design is `COVERSLIP_UM` of `COVERSLIP_INDEX`.
    """

    immersion_index: float
    sample_index: float | None = None
    depth_um: float = 0.0
    coverslip_um: float = COVERSLIP_UM
    coverslip_index: float = COVERSLIP_INDEX

    def __post_init__(self) -> None:
        if self.sample_index is not None:
            require_between("sample_index", self.sample_index, 1.0, 2.0, example=1.333)
        require_between("depth_um", self.depth_um, 0.0, 1000.0, example=10)
        require_between("coverslip_um", self.coverslip_um, 0.0, 2000.0, example=170)
        require_between("coverslip_index", self.coverslip_index, 1.3, 2.0, example=1.5255)

    @property
    def object_index(self) -> float:
        """Refractive index around the object."""
        return self.immersion_index if self.sample_index is None else self.sample_index

    def path_waves(self, sine: _Array, wavelength_nm: float, z_um: float) -> _Array:
        """Return the phase over the pupil, in waves, of a point beyond the nominal focus.

        Every layer of thickness t adds t·√((n/λ)² − ρ²). The lens is refocused for a wrong
        coverslip as far as paraxial rays go (the immersion layer becomes thinner or thicker), so
        that spherical aberration is what remains. Not refocused for the depth: that shift of the
        focus is what a user sees.

        Parameters
        ----------
        sine
            ρλ = n·sin θ, the same number in every layer (Snell); at most `object_index`.
        wavelength_nm
            In vacuum.
        z_um
            From the nominal focus to the point, away from the lens.
        """
        wavelength_um = wavelength_nm * 1e-3
        immersion = _axial(self.immersion_index, sine)
        sample = _axial(self.object_index, sine)
        # Not sample - immersion with large factors: without a mismatch only z·kz must be left.
        path = z_um * sample + self.depth_um * (sample - immersion)
        there = self.coverslip_um * _axial(self.coverslip_index, sine)
        design = COVERSLIP_UM * _axial(COVERSLIP_INDEX, sine)
        thinner = self.coverslip_um / self.coverslip_index - COVERSLIP_UM / COVERSLIP_INDEX
        path += there - design - thinner * self.immersion_index * immersion
        return np.asarray(path / wavelength_um, dtype=np.float64)


def _axial(index: float, sine: _Array) -> _Array:
    return np.sqrt(np.maximum(index**2 - sine**2, 0.0))
