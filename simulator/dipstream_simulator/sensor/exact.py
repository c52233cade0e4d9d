"""The signal chain in plain numpy: the golden model that the fast kernels are tested against.

The order is that of the hardware and matters: shot noise around the mean, full well, on-chip
binning, multiplication with its register, read noise, conversion, one rounding, the ADC's range
(EMVA Standard 1288, release 4.0, §2; Huang et al. 2013, Nat. Methods 10:653, for the maps).
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from dipstream.frame import Pixels
from dipstream_simulator.sensor.sensor import Sensor

__all__ = ["bin_any", "bin_sum", "digitise", "gamma_law", "multiply"]

Electrons = npt.NDArray[np.floating]


def multiply(
    electrons: Electrons, sensor: Sensor, rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Multiply electrons: Gamma(N, G) in an EMCCD, Gamma(N/(F² − 1), G·(F² − 1)) in a PMT.

    The mean is G·N and the variance for a Poisson N is F²·G²·⟨N⟩. The gamma law of an EMCCD is
    the limit of many stages and high gain (Basden et al. 2003, MNRAS 345:985). At gains of 200 it
    can hardly be told from a register simulated stage by stage, at 14 it can (Hirsch et al. 2013,
    PLoS ONE 8:e53671, figures 4 and 5).
    """
    per_electron, scale = gamma_law(sensor)
    if per_electron == 0.0:
        return electrons.astype(np.float64) * sensor.em_gain
    amplified = np.zeros(electrons.shape, dtype=np.float64)
    some = electrons > 0
    amplified[some] = rng.gamma(electrons[some] * per_electron, scale)
    return amplified


def gamma_law(sensor: Sensor) -> tuple[float, float]:
    """Return the gamma law's shape per electron and its scale; (0, G) = no spread at all."""
    excess = sensor.noise_factor - 1.0
    if excess == 0.0:
        return 0.0, sensor.em_gain
    return 1.0 / excess, sensor.em_gain * excess


def digitise(
    electrons: Electrons,
    noise: Electrons,
    scale_dn_per_e: npt.ArrayLike,
    offset_dn: npt.ArrayLike,
    sensor: Sensor,
) -> Pixels:
    """Turn electrons and read noise, both in e⁻, into DN.

    clip(floor(K·(e + noise) + offset + ½), 0, 2^bits − 1). Electrons below zero stay until the
    ADC: the offset is there to carry them.
    """
    signal = np.asarray(scale_dn_per_e) * (electrons + noise) + np.asarray(offset_dn)
    dn: Pixels = np.clip(np.floor(signal + 0.5), 0, sensor.max_dn).astype(sensor.dtype)
    return dn


def bin_sum(values: npt.NDArray[Any], binning: int, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Sum b × b pixels; what is left over at the bottom and the right is not read."""
    if binning == 1:
        return values.astype(dtype, copy=False)
    rows, columns = values.shape[0] // binning, values.shape[1] // binning
    used = values[: rows * binning, : columns * binning]
    summed = np.zeros((rows, columns), dtype=dtype)
    for dy in range(binning):
        for dx in range(binning):
            summed += used[dy::binning, dx::binning]
    return summed


def bin_any(flags: npt.NDArray[np.bool_], binning: int) -> npt.NDArray[np.bool_]:
    """Say for b × b pixels whether one of them is flagged."""
    found: npt.NDArray[np.bool_] = bin_sum(flags, binning, np.uint16) > 0
    return found
