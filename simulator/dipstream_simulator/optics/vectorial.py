"""The electric field of a high aperture: unpolarised light, or a freely turning emitter.

B. Richards and E. Wolf, Proc. R. Soc. Lond. A 253, 358 (1959), eqs. 2.26 and 3.16: near the focus
the field is made of I0, I1 and I2, and averaged over polarisation the intensity is
|I0|² + 2|I1|² + |I2|².

The apodisation is the aplanatic one (Abbe's sine condition), √cos θ sin θ dθ, which per area of
the pupil, ρ dρ, is 1/√cos θ. With it the first minimum and the FWHM come out at 0.661 and 0.541
λ/NA for NA 0.75 in air, and at 0.715 and 0.564 for NA 1.4 in oil. θ is the angle in the immersion
medium; the losses at the interfaces (Fresnel) are neglected.
"""

import numpy as np
import numpy.typing as npt

from dipstream_simulator.optics.field import FieldModel, PupilTerm

__all__ = ["VECTORIAL"]

_Array = npt.NDArray[np.float64]


def _components(cosine: _Array, phi: _Array) -> tuple[_Array, ...]:
    """Return the strength vectors' x, y and z parts for light polarised along x, then along y."""
    sine = np.sqrt(np.maximum(1.0 - cosine**2, 0.0))
    apodised = 1.0 / np.sqrt(cosine)
    even, odd = apodised * (1.0 + cosine), apodised * (1.0 - cosine)
    along_x = even - odd * np.cos(2.0 * phi)
    along_y = even + odd * np.cos(2.0 * phi)
    # x light turned into y equals y light turned into x: once, times √2.
    crossed = np.sqrt(2.0) * odd * np.sin(2.0 * phi)
    axial_x = 2.0 * apodised * sine * np.cos(phi)
    axial_y = 2.0 * apodised * sine * np.sin(phi)
    return along_x, along_y, crossed, axial_x, axial_y


VECTORIAL = FieldModel(
    terms=(
        PupilTerm(0, 1.0, lambda cosine: (1.0 + cosine) / np.sqrt(cosine)),
        PupilTerm(1, 2.0, lambda cosine: np.sqrt(1.0 / cosine - cosine)),
        PupilTerm(2, 1.0, lambda cosine: (1.0 - cosine) / np.sqrt(cosine)),
    ),
    components=_components,
)
"""Vectorial waves through an aplanatic lens, averaged over polarisation."""
