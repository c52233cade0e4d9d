"""Aberrations by name: Zernike polynomials over the pupil, each of RMS 1.

R. J. Noll, J. Opt. Soc. Am. 66, 207 (1976), whose normalisation makes a coefficient in nm the
root mean square of the wavefront's error in nm.
"""

import difflib
import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dipstream.errors import SourceError
from dipstream_simulator.limits import require_between

__all__ = ["ABERRATIONS", "Zernike", "check_aberrations", "parse_aberrations"]

_Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Zernike:
    """One polynomial Z(n, m): cos(mφ) for m ≥ 0, sin(|m|φ) for m < 0; φ from +x towards +y."""

    n: int
    m: int

    def __call__(self, rho: _Array, phi: _Array) -> _Array:
        """Return the polynomial at `rho` (1 at the pupil's edge) and `phi`; RMS 1 over the pupil.

        Noll 1976, eqs. 1-3: √(n+1)·R(n, |m|), times √2 cos or sin when m ≠ 0.
        """
        order = abs(self.m)
        radial = np.zeros_like(rho)
        for k in range((self.n - order) // 2 + 1):
            factor = (-1) ** k * math.factorial(self.n - k)
            below = math.factorial(k) * math.factorial((self.n + order) // 2 - k)
            below *= math.factorial((self.n - order) // 2 - k)
            radial += factor / below * rho ** (self.n - 2 * k)
        if self.m == 0:
            return np.asarray(math.sqrt(self.n + 1) * radial, dtype=np.float64)
        turn = np.cos(order * phi) if self.m > 0 else np.sin(order * phi)
        return np.asarray(math.sqrt(2 * (self.n + 1)) * radial * turn, dtype=np.float64)


ABERRATIONS = {
    "tilt_x": Zernike(1, 1),
    "tilt_y": Zernike(1, -1),
    "defocus": Zernike(2, 0),
    "astigmatism": Zernike(2, 2),
    "astigmatism_oblique": Zernike(2, -2),
    "coma_x": Zernike(3, 1),
    "coma_y": Zernike(3, -1),
    "trefoil_x": Zernike(3, 3),
    "trefoil_y": Zernike(3, -3),
    "spherical": Zernike(4, 0),
    "secondary_astigmatism": Zernike(4, 2),
    "quadrafoil": Zernike(4, 4),
    "secondary_spherical": Zernike(6, 0),
}
"""The aberrations by name. Those of m = 0 keep the point spread function round.

A positive tilt_x or coma_x moves the image's centroid towards +x.
"""


def check_aberrations(aberrations_nm: Iterable[tuple[str, float]]) -> None:
    """Refuse aberrations that are unknown, named twice or larger than 2000 nm RMS.

    Raises
    ------
    SourceError
        For an unknown name with the nearest known ones.
    """
    seen: set[str] = set()
    for name, rms_nm in aberrations_nm:
        if name not in ABERRATIONS:
            near = difflib.get_close_matches(name, ABERRATIONS, n=3, cutoff=0.4)
            raise SourceError(
                f"The simulated microscope received the aberration {name!r}; allowed are "
                f"{', '.join(ABERRATIONS)}. Write {' or '.join(near or ['spherical'])}"
            )
        if name in seen:
            raise SourceError(
                f"The simulated microscope received the aberration {name!r} twice; allowed is "
                "each name once. Write the sum of the two"
            )
        seen.add(name)
        require_between(f"{name}_nm", rms_nm, -2000.0, 2000.0, example=50)


def parse_aberrations(text: str) -> tuple[tuple[str, float], ...]:
    """Read aberrations as a URI writes them: ``spherical=50,coma_x=30``, in nm RMS.

    A colon may stand for the equals sign; an empty text is none.

    Raises
    ------
    SourceError
        If a part is not a name and a number, or as for `check_aberrations`.
    """
    pairs = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, number = part.replace(":", "=").partition("=")
        try:
            pairs.append((name.strip(), float(number)))
        except ValueError:
            raise SourceError(
                f"The simulated microscope received aberrations_nm={text!r}, with {part!r}; "
                "allowed are names with a number in nm RMS. "
                "Write for instance aberrations_nm=spherical=50,coma_x=30"
            ) from None
    check_aberrations(pairs)
    return tuple(pairs)
