"""The phase of a point's light over the pupil: defocus, layers and named aberrations together."""

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from dipstream_simulator.optics.layers import Layers
from dipstream_simulator.optics.zernike import ABERRATIONS, check_aberrations

__all__ = ["Wavefront"]

_Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Wavefront:
    """How the light of a point arrives in the pupil.

    Attributes
    ----------
    na
        Numerical aperture of the objective.
    layers
        Sample, coverslip, immersion.
    aberrations_nm
        Pairs of a name in `ABERRATIONS` and nm RMS.
    """

    na: float
    layers: Layers
    aberrations_nm: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        check_aberrations(self.aberrations_nm)

    @property
    def filled_na(self) -> float:
        """The aperture that light fills: at most the sample's index.

        Steeper light does not leave the sample, it is totally reflected (the evanescent light
        of objects within a wavelength of the coverslip is neglected).
        """
        return min(self.na, self.layers.object_index)

    @property
    def is_round(self) -> bool:
        """Whether the phase, and so the point spread function, is rotationally symmetric."""
        return all(ABERRATIONS[name].m == 0 or not rms for name, rms in self.aberrations_nm)

    @property
    def round(self) -> "Wavefront":
        """The same without the aberrations that are not round."""
        kept = tuple((name, rms) for name, rms in self.aberrations_nm if ABERRATIONS[name].m == 0)
        return replace(self, aberrations_nm=kept)

    def phase(self, rho: _Array, phi: _Array, wavelength_nm: float, z_um: float) -> _Array:
        """Return the phase in radians where `rho` is 1 at the edge of the filled pupil.

        The defocus is exact for high apertures, 2π z √((n/λ)² − ρ²) (Hanser et al., J. Microsc.
        216, 32, 2004), not the paraxial parabola.

        Parameters
        ----------
        rho, phi
            Polar coordinates in the pupil, of one shape.
        wavelength_nm
            In vacuum.
        z_um
            From the nominal focus to the point, away from the lens.
        """
        waves = self.layers.path_waves(rho * self.filled_na, wavelength_nm, z_um)
        for name, rms_nm in self.aberrations_nm:
            # The Zernike disc is the whole pupil, also where the sample cannot fill it.
            edge = self.filled_na / self.na
            waves = waves + rms_nm / wavelength_nm * ABERRATIONS[name](rho * edge, phi)
        return np.asarray(2.0 * math.pi * waves, dtype=np.float64)

    def reach_um(self, wavelength_nm: float, z_um: float, share: float = 0.99) -> float:
        """Return the radius that holds this share of a point's rays at `z_um`, in µm.

        With defocus alone, 99 % are within nearly |z|·tan α; where a mismatch sends a few grazing
        rays far away, within much less than the farthest of them.
        """
        # Equal steps in ρ² are equal shares of the light.
        rho = np.asarray(np.sqrt(np.arange(1, 401) / 401.0), dtype=np.float64)
        return float(np.quantile(self.landing_um(rho, wavelength_nm, z_um), share))

    def landing_um(self, rho: _Array, wavelength_nm: float, z_um: float) -> _Array:
        """Return how far from the axis the rays of a point at `z_um` land, in µm.

        Rays are normal to the wavefront: each lands at the phase's slope along the radius. If the
        wavefront is not round, 16 azimuths (rows) are returned for each of `rho`.
        """
        turns = np.linspace(0.0, 2.0 * math.pi, 1 if self.is_round else 16, endpoint=False)
        phi, inner = np.meshgrid(turns, 0.999 * rho, indexing="ij")
        outer = inner * (1.001 / 0.999)
        rise = self.phase(outer, phi, wavelength_nm, z_um)
        rise -= self.phase(inner, phi, wavelength_nm, z_um)
        slope = np.abs(rise) / (0.002 * rho)
        landing = slope * wavelength_nm * 1e-3 / (2.0 * math.pi * self.filled_na)
        return np.asarray(landing[0] if self.is_round else landing, dtype=np.float64)
