"""Far from the focus: rays, where waves would cost much and show nothing more.

A cone of many wavelengths' width has rings finer than any pixel that it is seen with. Geometrical
optics gives their mean: each ray lands where the wavefront's slope sends it (Born & Wolf, §5.1).
"""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from dipstream_simulator.optics.field import PupilTerm
from dipstream_simulator.optics.radial import Density
from dipstream_simulator.optics.wavefront import Wavefront

__all__ = ["ray_density"]

_Array = npt.NDArray[np.float64]

_RAYS = 20_000


def ray_density(
    terms: Sequence[PupilTerm],
    wavefront: Wavefront,
    wavelength_nm: float,
    z_um: float,
    step_um: float,
) -> Density:
    """Return the light of a point's rays per µm², as a function of the distance from the centre.

    Parameters
    ----------
    terms
        The model of the field; the sum of its squares is what each ray carries.
    wavefront
        Aperture and phase; only its round aberrations are used, the others move rays little.
    wavelength_nm
        In vacuum; rays do not depend on it, aberrations in nm neither.
    z_um
        From the nominal focus to the point.
    step_um
        Width of the rings that are averaged over.

    Returns
    -------
    callable
        Linear between the rings; its integral over the plane is 1.
    """
    # Equal steps in ρ² are equal areas of the pupil.
    rho = np.asarray(np.sqrt((np.arange(_RAYS) + 0.5) / _RAYS), dtype=np.float64)
    cosine = np.sqrt(1.0 - (rho * wavefront.filled_na / wavefront.layers.immersion_index) ** 2)
    carried = np.zeros(_RAYS)
    for term in terms:
        carried += term.weight * term.amplitude(cosine) ** 2
    landing = wavefront.round.landing_um(rho, wavelength_nm, z_um)
    order = np.argsort(landing)
    inside = np.cumsum(carried[order]) / carried.sum()
    edges = np.arange(math.ceil(landing.max() / step_um) + 2, dtype=np.float64) * step_um
    light = np.diff(np.interp(edges, landing[order], inside, left=0.0))
    density = light / (math.pi * np.diff(edges**2))
    middles = 0.5 * (edges[1:] + edges[:-1])
    return lambda r: np.asarray(np.interp(r, middles, density, right=0.0), dtype=np.float64)
