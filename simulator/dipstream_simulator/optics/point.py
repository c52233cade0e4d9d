"""The image of one point in one plane: which engine makes it, and how large it is."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from dipstream_simulator.optics.confocal import confocal_density, confocal_psf, pinhole_radius_um
from dipstream_simulator.optics.field import SCALAR
from dipstream_simulator.optics.gaussian import gaussian_density, gaussian_psf, gaussian_sigma_um
from dipstream_simulator.optics.objective import Objective
from dipstream_simulator.optics.pupil import Transfer, pupil_transfer
from dipstream_simulator.optics.radial import Density, integrate_pixels, radial_density
from dipstream_simulator.optics.rays import ray_density
from dipstream_simulator.optics.vectorial import VECTORIAL
from dipstream_simulator.optics.wavefront import Wavefront

__all__ = ["MAX_PSF_PX", "Point", "PsfModel"]

PsfModel = Literal["scalar", "vectorial", "gaussian"]

MAX_PSF_PX = 1025
"""No kernel has more pixels along a side, however far the point: choose a larger pixel there."""

_Array = npt.NDArray[np.float64]

_TAIL_SPOTS = 10.2  # λ/NA beyond the cone: 99 % of the Airy pattern (1 − J0² − J1²)
_CONFOCAL_TAIL_SPOTS = 3.0  # both patterns fall like r⁻³, their product like r⁻⁶
_GAUSSIAN_SIGMAS = 4.0
_FAR_SPOTS = 40.0  # λ/NA; when half of the rays land farther out, they replace the waves
_FINEST_OF_FAR = 0.2  # of the median ray's distance: rings of a tenth of that are averaged
_FIELDS = {"scalar": SCALAR, "vectorial": VECTORIAL}


@dataclass(frozen=True, slots=True)
class Point:
    """A point at a distance from the focus, and the pixels that it is seen with.

    Attributes
    ----------
    objective, wavefront, psf_model
        The optics; `wavefront` is of this objective.
    pixel_um
        Side of a pixel in the object.
    z_um
        From the nominal focus, away from the lens.
    """

    objective: Objective
    wavefront: Wavefront
    psf_model: PsfModel
    pixel_um: float
    z_um: float

    def widefield(self, emission_nm: float) -> _Array:
        """Return its image, float64 (k, k); the sum is what the crop keeps of 1."""
        half_px = self._half_px(self._radius_um(emission_nm, _TAIL_SPOTS))
        if self.psf_model == "gaussian":
            return gaussian_psf(self._sigma_um(emission_nm), self.pixel_um, half_px)
        if self._is_round(emission_nm):
            density = self._density(emission_nm, self._corner_um(half_px))
            return integrate_pixels(density, self.pixel_um, half_px, self._finest_um(emission_nm))
        transfer = self._transfer(emission_nm, half_px).over_pixels(self.pixel_um)
        axis_um = np.arange(-half_px, half_px + 1, dtype=np.float64) * self.pixel_um
        return transfer.image(axis_um)

    def confocal(self, emission_nm: float, excitation_nm: float, pinhole_au: float) -> _Array:
        """Return its image, float64 (k, k); the sum is the share that passes the pinhole."""
        pinhole_um = pinhole_radius_um(pinhole_au, self.objective.na, emission_nm)
        # The laser's cone ends the pattern, however wide the pinhole.
        tail_spots = min(_TAIL_SPOTS, _CONFOCAL_TAIL_SPOTS + pinhole_au)
        half_px = self._half_px(self._radius_um(excitation_nm, tail_spots))
        finest_um = min(self._finest_um(emission_nm), self._finest_um(excitation_nm))
        if not (self._is_round(emission_nm) and self._is_round(excitation_nm)):
            excitation = self._transfer(excitation_nm, half_px)
            emission = self._transfer(emission_nm, half_px + math.ceil(pinhole_um / self.pixel_um))
            return confocal_psf(excitation, emission, pinhole_um, self.pixel_um, half_px, finest_um)
        corner_um = self._corner_um(half_px)
        density = confocal_density(
            self._density(excitation_nm, corner_um),
            self._density(emission_nm, corner_um + pinhole_um),
            pinhole_um,
            corner_um,
            finest_um,
        )
        # The product of two patterns has periods as fine as both together.
        return integrate_pixels(density, self.pixel_um, half_px, finest_um / 2.0)

    def _is_round(self, wavelength_nm: float) -> bool:
        return self.wavefront.is_round or self._is_far(wavelength_nm)

    def _is_far(self, wavelength_nm: float) -> bool:
        if self.psf_model == "gaussian":
            return False
        return self._median_um(wavelength_nm) > _FAR_SPOTS * self._spot_um(wavelength_nm)

    def _median_um(self, wavelength_nm: float) -> float:
        return self.wavefront.reach_um(wavelength_nm, self.z_um, share=0.5)

    def _spot_um(self, wavelength_nm: float) -> float:
        return wavelength_nm * 1e-3 / self.wavefront.filled_na

    def _finest_um(self, wavelength_nm: float) -> float:
        """Return the length that the pattern is sampled by; λ/NA but for smooth patterns."""
        if self.psf_model == "gaussian":
            # In focus a Gaussian's σ is 0.225 λ/NA.
            return 4.0 * self._sigma_um(wavelength_nm)
        if self._is_far(wavelength_nm):
            return _FINEST_OF_FAR * self._median_um(wavelength_nm)
        return self._spot_um(wavelength_nm)

    def _radius_um(self, wavelength_nm: float, tail_spots: float) -> float:
        if self.psf_model == "gaussian":
            return _GAUSSIAN_SIGMAS * self._sigma_um(wavelength_nm)
        cone_um = self.wavefront.reach_um(wavelength_nm, self.z_um)
        return cone_um + tail_spots * self._spot_um(wavelength_nm)

    def _half_px(self, radius_um: float) -> int:
        return max(1, min(math.ceil(radius_um / self.pixel_um), MAX_PSF_PX // 2))

    def _corner_um(self, half_px: int) -> float:
        return math.sqrt(2.0) * (half_px + 0.5) * self.pixel_um

    def _sigma_um(self, wavelength_nm: float) -> float:
        lens = self.objective
        return gaussian_sigma_um(lens.na, lens.immersion_index, wavelength_nm, self.z_um)

    def _density(self, wavelength_nm: float, radius_um: float) -> Density:
        if self.psf_model == "gaussian":
            return gaussian_density(self._sigma_um(wavelength_nm))
        terms = _FIELDS[self.psf_model].terms
        if self._is_far(wavelength_nm):
            ring_um = 0.1 * self._finest_um(wavelength_nm)
            return ray_density(terms, self.wavefront, wavelength_nm, self.z_um, ring_um)
        return radial_density(terms, self.wavefront, wavelength_nm, self.z_um, radius_um)

    def _transfer(self, wavelength_nm: float, half_px: int) -> Transfer:
        spread_um = self.wavefront.reach_um(wavelength_nm, self.z_um)
        # Wide enough that the light which leaves the kernel does not come in again opposite.
        period_um = 4.0 * max((half_px + 0.5) * self.pixel_um, spread_um)
        model = _FIELDS[self.psf_model]
        return pupil_transfer(model, self.wavefront, wavelength_nm, self.z_um, period_um)
