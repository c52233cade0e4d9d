"""Linearity: whether the signal grows in proportion to the light."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dipstream.calibrate.measured import Measured
from dipstream.calibrate.pairs import Pair

__all__ = ["Linearity", "Unknown", "measure_linearity"]

_LOW, _HIGH = 0.05, 0.95
_FEWEST = 5
_STEADY = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class Linearity:
    """How far the signal is from a straight line of the exposure.

    Attributes
    ----------
    error_percent
        Mean of the absolute relative deviations, in percent.
    exposure_ms, signal_dn, deviation_percent
        The points of the fit: exposure, mean above the offset, relative deviation.
    slope_dn_per_ms, intercept_dn
        The line.
    """

    error_percent: Measured
    exposure_ms: npt.NDArray[np.float64]
    signal_dn: npt.NDArray[np.float64]
    deviation_percent: npt.NDArray[np.float64]
    slope_dn_per_ms: float
    intercept_dn: float


@dataclass(frozen=True, slots=True)
class Unknown:
    """Why there is no linearity error."""

    reason: str


def measure_linearity(
    pairs: Sequence[Pair], offset_dn: float, saturation_dn: float
) -> Linearity | Unknown:
    """Return EMVA's linearity error, with the exposure time as the measure of the light.

    EMVA Standard 1288, release 4.0 Linear, the section on linearity: a line is fitted to the
    signals from 5 % to 95 % of saturation so that the *relative* deviations are least; the error is
    the mean of their absolute values. Only an exposure time that changes from level to level tells
    how much light there was; a lamp that was dimmed says nothing.
    """
    exposures = [pair.exposure_ms for pair in pairs]
    if any(one is None for one in exposures):
        return Unknown("the light of the levels is not known: the source tells no exposure time")
    times = np.array(exposures, dtype=np.float64)
    signals = np.array([pair.stats.mean_dn for pair in pairs]) - offset_dn
    full = saturation_dn - offset_dn
    used = (signals >= _LOW * full) & (signals <= _HIGH * full)
    x, y = times[used], signals[used]
    if np.unique(x).size < _FEWEST:
        return Unknown(
            f"only {np.unique(x).size} exposure times from 5 % to 95 % of saturation, and at least "
            f"{_FEWEST} are needed: how far the lamp was dimmed is not known"
        )
    if not _told_by_exposure(x, y):
        return Unknown("levels of one exposure time differ: the lamp was changed as well")
    design = np.stack([np.ones_like(x), x], axis=1) / y[:, None]
    (intercept, slope), *_ = np.linalg.lstsq(design, np.ones_like(y), rcond=None)
    line = intercept + slope * x
    deviation = 100 * (y - line) / line
    sizes = np.abs(deviation)
    return Linearity(
        error_percent=Measured(float(sizes.mean()), float(sizes.std() / np.sqrt(sizes.size))),
        exposure_ms=x,
        signal_dn=y,
        deviation_percent=deviation,
        slope_dn_per_ms=float(slope),
        intercept_dn=float(intercept),
    )


def _told_by_exposure(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> bool:
    for time in np.unique(x):
        same = y[x == time]
        if np.ptp(same) > _STEADY * same.mean():
            return False
    return True
