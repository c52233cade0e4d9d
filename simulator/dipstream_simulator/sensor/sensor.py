"""What the camera does to light: photons become digital numbers."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dipstream.errors import SourceError
from dipstream.frame import Pixels
from dipstream_simulator.limits import require_between

__all__ = ["Sensor", "spanning_gain_e_per_dn"]


@dataclass(frozen=True, slots=True)
class Sensor:
    """A linear camera: the signal chain of EMVA 1288, with a full well.

    Attributes
    ----------
    qe
        Quantum efficiency, e⁻ per photon, 0 to 1.
    read_noise_e
        Standard deviation σ_r of the read noise, in e⁻.
    gain_e_per_dn
        Conversion in e⁻/DN, the inverse of EMVA's system gain K.
    offset_dn
        What the camera adds so that noise around zero is not cut off, in DN.
    bits
        Bits of the ADC, 1 to 16; values end at 2^bits − 1.
    full_well_e
        Electrons at which a pixel is full.
    dark_e_per_s
        Dark current in e⁻ per pixel and second.
    """

    qe: float = 0.8
    read_noise_e: float = 1.5
    gain_e_per_dn: float = 2.0
    offset_dn: float = 100.0
    bits: int = 12
    full_well_e: float = 8000.0
    dark_e_per_s: float = 0.1

    def __post_init__(self) -> None:
        _require_range(self.bits, self.offset_dn)
        require_between("qe", self.qe, 0.0, 1.0, example=0.8)
        require_between("read_noise_e", self.read_noise_e, 0.0, 1000.0, example=1.5)
        require_between("full_well_e", self.full_well_e, 1.0, 1e8, example=8000)
        require_between("gain_e_per_dn", self.gain_e_per_dn, 0.0, 1e6, example=2, open_low=True)
        require_between("dark_e_per_s", self.dark_e_per_s, 0.0, 1e6, example=0.1)

    @property
    def max_dn(self) -> int:
        """Largest value of the ADC, 2^bits − 1, in DN."""
        return int(2**self.bits - 1)

    @property
    def dtype(self) -> np.dtype[np.unsignedinteger]:
        """The smallest unsigned container that holds `max_dn`."""
        return np.dtype(np.min_scalar_type(self.max_dn))

    def mean_electrons(self, photons: npt.ArrayLike, exposure_ms: float) -> npt.NDArray[np.float64]:
        """Return the expected electrons of each pixel: QE·photons + dark current·time.

        Parameters
        ----------
        photons
            Photons that reach each pixel during the exposure; any shape, not negative.
        exposure_ms
            Exposure time in ms.
        """
        dark_e = self.dark_e_per_s * exposure_ms * 1e-3
        return self.qe * np.asarray(photons, dtype=np.float64) + dark_e

    def expose(
        self, photons: npt.ArrayLike, exposure_ms: float, rng: np.random.Generator
    ) -> Pixels:
        """Take one exposure.

        The order is that of the hardware and matters: everything that shapes the mean, shot
        noise, full well, read noise, conversion, one rounding, the ADC's range
        (EMVA Standard 1288, release 4.0, §2).

        Parameters
        ----------
        photons
            Photons that reach each pixel during the exposure, (y, x), not negative.
        exposure_ms
            Exposure time in ms.
        rng
            Where the noise comes from; the same state gives the same exposure.

        Returns
        -------
        ndarray
            (y, x) in DN, `dtype`: clip(floor(K·(e + σ_r·z) + offset + ½), 0, 2^bits − 1).
        """
        electrons = rng.poisson(self.mean_electrons(photons, exposure_ms))
        signal = np.minimum(electrons, self.full_well_e).astype(np.float32)
        # Electrons below zero stay: the offset is there to carry them.
        noise = rng.standard_normal(signal.shape, dtype=np.float32)
        noise *= np.float32(self.read_noise_e)
        signal += noise
        signal *= np.float32(1.0 / self.gain_e_per_dn)
        signal += np.float32(self.offset_dn + 0.5)
        np.floor(signal, out=signal)
        np.clip(signal, 0, self.max_dn, out=signal)
        return signal.astype(self.dtype)


def spanning_gain_e_per_dn(full_well_e: float, bits: int, offset_dn: float) -> float:
    """Return the gain in e⁻/DN at which a full pixel reads the ADC's largest value.

    Raises
    ------
    SourceError
        If such an ADC cannot exist, or the offset alone fills it.
    """
    _require_range(bits, offset_dn)
    return full_well_e / (2.0**bits - 1.0 - offset_dn)


def _require_range(bits: int, offset_dn: float) -> None:
    require_between("bits", bits, 1, 16, example=12)
    max_dn = 2**bits - 1
    if not 0 <= offset_dn < max_dn:
        raise SourceError(
            f"The simulated camera received offset_dn={offset_dn:g} with bits={bits}; "
            f"allowed is an offset from 0 to below {max_dn}, the ADC's largest value. "
            "Lower offset_dn or raise bits"
        )
