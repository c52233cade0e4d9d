"""How bright it is: emission, what the objective collects, bleaching, and a lamp that flickers."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dipstream_simulator.limits import require_between

__all__ = ["Lamp", "row_light"]


@dataclass(frozen=True, slots=True)
class Lamp:
    """The light source, and what it does to the dye.

    Attributes
    ----------
    photons, background_photons
        Emitted into all directions: by a typical body per µm² and ms, or by a typical point per ms;
        and by everything else per µm² and ms.
    bleach_ms
        Exposure after which 1/e of the dye is left; 0 for a dye that does not bleach.
    flicker_hz, flicker_depth
        Frequency of the lamp, and the relative amplitude of its flicker.
    """

    photons: float
    background_photons: float = 0.0
    bleach_ms: float = 0.0
    flicker_hz: float = 0.0
    flicker_depth: float = 0.0

    def __post_init__(self) -> None:
        require_between("photons", self.photons, 0.0, 1e9, example=2400)
        require_between("background_photons", self.background_photons, 0.0, 1e9, example=200)
        require_between("bleach_ms", self.bleach_ms, 0.0, 1e12, example=5000)
        require_between("flicker_hz", self.flicker_hz, 0.0, 1e6, example=100)
        require_between("flicker_depth", self.flicker_depth, 0.0, 1.0, example=0.2)

    def unbleached(self, dose_ms: float, exposure_ms: float) -> float:
        """Return the mean share of the dye that shines during an exposure.

        First-order photobleaching under constant light leaves exp(−t/τ); its mean from the dose d
        on over an exposure T is exp(−d/τ)·(1 − exp(−T/τ))·τ/T.
        """
        if not self.bleach_ms:
            return 1.0
        left = math.exp(-dose_ms / self.bleach_ms)
        periods = exposure_ms / self.bleach_ms
        return left * -math.expm1(-periods) / periods if periods else left


def row_light(
    lamp: Lamp, row_times_ms: npt.NDArray[np.float64], start_ms: float, exposure_ms: float
) -> npt.NDArray[np.float32] | None:
    """Return the mean brightness of the lamp while each row is exposed; None if it is steady.

    The lamp shines as 1 + a·sin(2πft). A row that begins to expose at b is lit by its mean from b
    to b + T: 1 + a·[cos 2πfb − cos 2πf(b + T)]/(2πfT). Rows of a rolling shutter begin one
    after the other, which shows as bands.

    Parameters
    ----------
    lamp
        Its flicker.
    row_times_ms
        (rows,) when each row begins, after the frame's start.
    start_ms, exposure_ms
        When the frame begins, on the lamp's clock, and how long each row is exposed.
    """
    if not lamp.flicker_hz or not lamp.flicker_depth or exposure_ms <= 0:
        return None
    omega = 2.0 * math.pi * lamp.flicker_hz * 1e-3  # per ms
    begin = omega * (start_ms + row_times_ms)
    mean = (np.cos(begin) - np.cos(begin + omega * exposure_ms)) / (omega * exposure_ms)
    return np.asarray(1.0 + lamp.flicker_depth * mean, dtype=np.float32)
