"""Photon transfer: from means and variances to gain, read noise and full well.

Equations and terms are those of EMVA Standard 1288, release 4.0 Linear: a camera of system gain K
(DN/e⁻) and dark noise σ_d (e⁻) has, by shot noise, σ_y² = K² σ_d² + 1/12 + K (μ_y − μ_dark), where
1/12 DN² is the rounding to whole DN.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from dipstream.calibrate.dark import Dark
from dipstream.calibrate.measured import Measured
from dipstream.calibrate.pairs import Pair, count_levels
from dipstream.errors import SourceError

__all__ = [
    "QUANTISATION_DN2",
    "Line",
    "NoiseFloor",
    "Saturation",
    "fit_line",
    "noise_floor",
    "require_noise",
    "saturation",
]

QUANTISATION_DN2 = 1 / 12
_FIT_PART = 0.7
_FULL_FRACTION = 0.001
_FEWEST_POINTS = 4
_MOSAIC = 0.05
_MOSAIC_SIGMAS = 6.0
_PLATEAU = 0.05
_STILL = 0.02
_ROUNDS = 3
_UNIT_SIGMA_DN = 0.5
_CORE_ERROR = 1.7  # the core says less than all pixels would; seen in simulated normal noise


@dataclass(frozen=True, slots=True, eq=False)
class Saturation:
    """Where the camera is full.

    Attributes
    ----------
    mean_dn
        Mean of all pixels at the level of the largest variance, EMVA's saturation, in DN.
    filled_dn, filled_se_dn
        The same mean of those pixels that are full first, and half of the way to its neighbours,
        which is how well the levels say it; in DN. In a mosaic of colours that is the brightest
        one of its four groups, whose level of the largest variance counts; else all pixels.
    mosaic_part
        By how much of their mean the four groups of pixels differ, if that is more than 5 %: a
        mosaic of colours. 0 if not.
    reached
        Whether a brighter level has less variance; if not, `mean_dn` is but the brightest level.
    plateau_dn, plateau_se_dn
        Mean of full pixels: of levels whose noise is gone (below 5 % of the largest variance), or
        of the brightest spot of an uneven field once it grows no more; None if it always does.
    """

    mean_dn: float
    filled_dn: float
    filled_se_dn: float
    mosaic_part: float
    reached: bool
    plateau_dn: float | None
    plateau_se_dn: float


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """The straight part of the transfer curve: variance = intercept + slope · (mean − offset).

    Attributes
    ----------
    slope_dn, intercept_dn2
        Slope in DN (DN² a DN) and intercept in DN², with standard errors.
    fitted
        Which pairs lie on it, bool, in the order of pairs.
    chi2
        Reduced χ²; errors are multiplied by its root where it is above 1.
    """

    slope_dn: Measured
    intercept_dn2: Measured
    fitted: npt.NDArray[np.bool_]
    chi2: float


@dataclass(frozen=True, slots=True, eq=False)
class NoiseFloor:
    """The noise without light.

    Attributes
    ----------
    variance_dn2
        Variance in time without light, rounding included, in DN².
    told_by
        ``dark pairs``, or ``intercept`` of the line where there are none.
    resolved
        Its root is at least 0.5 DN. Below that the rounding is no longer independent noise of
        1/12 DN², and what is left after subtracting it means little.
    """

    variance_dn2: Measured
    told_by: Literal["dark pairs", "intercept"]
    resolved: bool


def require_noise(pairs: Sequence[Pair]) -> None:
    """Raise `SourceError` if no pair has noise that could be measured."""
    if min(pair.stats.full_fraction for pair in pairs) > 0.5:
        raise SourceError(
            "all frames are saturated, the darkest ones too. Take pairs from dark to bright: "
            "shorten the exposure, dim the light"
        )
    largest = max(pair.stats.variance_dn2 for pair in pairs)
    if largest < _UNIT_SIGMA_DN**2:
        raise SourceError(
            f"the two frames of a pair hardly differ: their noise is {np.sqrt(largest):.2g} DN at "
            "most, and less than half a DN cannot be measured. Are they copies of one exposure, or "
            "averaged? Take two raw exposures of each level, in a mode of higher gain"
        )


def saturation(pairs: Sequence[Pair], offset_dn: float) -> Saturation:
    """Find saturation: the level of the largest variance (EMVA 1288), and the plateau beyond.

    The pixels of a colour mosaic are full at different light. Over all of them the largest variance
    would lie where the first colour is full and the others are not, and be the signal of no pixel.
    EMVA 1288 has each colour measured by itself; here it is the brightest that says where the
    camera is full, as all have the same well.
    """
    ordered = sorted(pairs, key=lambda pair: pair.stats.mean_dn)
    means = np.array([pair.stats.mean_dn for pair in ordered])
    variances = np.array([pair.stats.variance_dn2 for pair in ordered])
    plateau = _plateau(ordered, means, variances, int(np.argmax(variances)))
    part, group = _mosaic(ordered, offset_dn)
    filled = means
    if group is not None:
        filled = np.array([pair.stats.group_mean_dn[group] for pair in ordered])
        variances = np.array([pair.stats.group_variance_dn2[group] for pair in ordered])
    peak = int(np.argmax(variances))
    others = np.unique(np.append(filled, offset_dn))
    away = np.abs(others - filled[peak])
    step = float(np.min(away[away > 0], initial=np.inf))
    return Saturation(
        mean_dn=float(means[peak]),
        filled_dn=float(filled[peak]),
        filled_se_dn=step / 2 if np.isfinite(step) else 0.0,
        mosaic_part=part,
        reached=bool((variances[peak:] < 0.8 * variances[peak]).any()),
        plateau_dn=None if plateau is None else float(plateau.mean()),
        plateau_se_dn=0.0 if plateau is None else float(plateau.std() / np.sqrt(plateau.size)),
    )


def _mosaic(ordered: Sequence[Pair], offset_dn: float) -> tuple[float, tuple[int, int] | None]:
    """Return how far the four groups of pixels are apart, and the brightest; (0, None) if alike."""
    straight = [pair for pair in ordered if pair.stats.full_fraction < _FULL_FRACTION]
    if not straight:
        return 0.0, None
    # Full pixels are alike, and so are dark ones.
    stats = max(straight, key=lambda pair: pair.stats.variance_dn2).stats
    signal = stats.group_mean_dn - offset_dn
    mean = float(signal.mean())
    part = float(np.ptp(signal)) / mean if mean > 0 else 0.0
    certain = _MOSAIC_SIGMAS * 2 * stats.mean_se_dn < part * mean
    if part <= _MOSAIC or not certain:
        return 0.0, None
    row, column = np.unravel_index(int(np.argmax(signal)), signal.shape)
    return part, (int(row), int(column))


def _plateau(
    ordered: Sequence[Pair],
    means: npt.NDArray[np.float64],
    variances: npt.NDArray[np.float64],
    peak: int,
) -> npt.NDArray[np.float64] | None:
    full = (variances < _PLATEAU * variances[peak]) & (means > means[peak])
    if full.any():
        flat: npt.NDArray[np.float64] = means[full]
        return flat
    if peak + 2 >= means.size:
        return None
    spots = np.array([float(pair.stats.pattern_dn.max()) for pair in ordered[-3:]])
    # The field still grows, its brightest spot does not.
    still = np.ptp(spots) < _STILL * (means[-1] - means[-3])
    return spots[-2:] if still else None


def fit_line(pairs: Sequence[Pair], dark: Dark, limit_dn: float) -> Line:
    """Fit the straight part, from dark to 70 % of the way to saturation.

    Weighted least squares. A variance's error comes from its own squares; its *size* is then taken
    from the line, because weights by the measured variance would favour those that came out low.

    Parameters
    ----------
    pairs
        All pairs.
    dark
        The offset.
    limit_dn
        Mean at saturation, in DN.

    Raises
    ------
    SourceError
        If too few levels are left, or the variance does not grow with the mean.
    """
    means = np.array([pair.stats.mean_dn for pair in pairs]) - dark.offset_dn
    variances = np.array([pair.stats.variance_dn2 for pair in pairs])
    errors = np.array([pair.stats.variance_se_dn2 for pair in pairs])
    full = np.array([pair.stats.full_fraction for pair in pairs])
    fitted = (means <= _FIT_PART * (limit_dn - dark.offset_dn)) & (full < _FULL_FRACTION)
    # Below half a DN of noise the rounding is neither independent nor 1/12 DN².
    fitted &= variances >= _UNIT_SIGMA_DN**2
    _require_levels(pairs, fitted)
    x, y, relative = means[fitted], variances[fitted], errors[fitted]
    # A rounded constant has no noise at all, and would be infinitely certain.
    relative = np.maximum(relative, 1e-6 * y.max() + 1e-12) / np.maximum(y, 1e-6 * y.max() + 1e-12)
    size: npt.NDArray[np.float64] = y
    for _ in range(_ROUNDS):
        sigma = relative * np.maximum(size, 1e-6 * float(y.max()) + 1e-12)
        (intercept, slope), covariance = _least_squares(x, y, sigma)
        size = intercept + slope * x
    chi2 = float(np.square((y - size) / sigma).sum() / max(x.size - 2, 1))
    covariance *= max(chi2, 1.0)
    line = Line(
        slope_dn=Measured(slope, float(np.sqrt(covariance[1, 1]))),
        intercept_dn2=Measured(intercept, float(np.sqrt(covariance[0, 0]))),
        fitted=fitted,
        chi2=chi2,
    )
    if line.slope_dn.value <= 3 * line.slope_dn.se:
        raise SourceError(
            "the variance does not grow with the mean (slope "
            f"{line.slope_dn.value:.3g} ± {line.slope_dn.se:.2g} DN), as shot noise does. Are "
            "these raw frames, each pair of two exposures and not of a copy?"
        )
    return line


def _least_squares(
    x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], sigma: npt.NDArray[np.float64]
) -> tuple[tuple[float, float], npt.NDArray[np.float64]]:
    design = np.stack([np.ones_like(x), x], axis=1) / sigma[:, None]
    covariance = np.asarray(np.linalg.inv(design.T @ design), dtype=np.float64)
    intercept, slope = covariance @ (design.T @ (y / sigma))
    return (float(intercept), float(slope)), covariance


def _require_levels(pairs: Sequence[Pair], fitted: npt.NDArray[np.bool_]) -> None:
    straight = count_levels(pair for pair, taken in zip(pairs, fitted, strict=True) if taken)
    if straight < _FEWEST_POINTS:
        levels = count_levels(pairs)
        raise SourceError(
            f"too few light levels: {levels} in all, {straight} between dark and 70 % of "
            f"saturation; at least {_FEWEST_POINTS} are needed there, and 20 or more are better. "
            "Take pairs of frames at more levels (--levels, where the source dims its own light), "
            "and dimmer ones if most are saturated"
        )


def noise_floor(dark: Dark, line: Line, *, amplified: bool) -> NoiseFloor:
    """Return the variance without light: of the dark pairs, or the intercept without any.

    With an EM gain the rare electrons of the clock become spikes, in the dark too. They are noise
    of the light's kind, and the line has them; the read noise is the core without them.
    """
    if not dark.pairs:
        intercept = line.intercept_dn2
        variance = max(intercept.value, 0.0)
        resolved = variance >= _UNIT_SIGMA_DN**2 and variance > 3 * intercept.se
        return NoiseFloor(Measured(variance, intercept.se), "intercept", resolved)
    found = [_dark_variance(pair, amplified=amplified) for pair in dark.pairs]
    variance = float(np.mean([one.value for one in found]))
    error = float(np.sqrt(np.sum(np.square([one.se for one in found])))) / len(found)
    return NoiseFloor(Measured(variance, error), "dark pairs", variance >= _UNIT_SIGMA_DN**2)


def _dark_variance(pair: Pair, *, amplified: bool) -> Measured:
    stats = pair.stats
    if not amplified:
        return Measured(stats.variance_dn2, stats.variance_se_dn2)
    error = _CORE_ERROR * float(np.sqrt(2 / stats.pixels)) * stats.core_variance_dn2
    return Measured(stats.core_variance_dn2, error)
