"""What a person should know of a calibration: how it was found, and what to mistrust."""

import numpy as np

from dipstream.calibrate.calibration import Calibration
from dipstream.calibrate.linearity import Unknown

__all__ = ["notes_of", "warnings_of"]

_CUT_OFF = 0.01
_CROOKED = 0.03
_UNEVEN = 0.1

_EXCESS = {"given": ", as given", "source": ", as the source says", "assumed": "", "none": ""}
_DARK = {
    "source": "the dark pairs are the first level of the source",
    "names": "the dark pairs are those whose files are called dark, bias or offset",
    "darkest": "the darkest level is taken to be without light",
    "none": "there is no dark pair: the offset was given, and the read noise is the intercept",
}


def notes_of(calibration: Calibration) -> list[str]:
    """Return how the numbers were found, a sentence each."""
    notes = [_DARK[calibration.dark.told_by]]
    gain = calibration.segment.em_gain
    if gain is not None and gain > 1:
        notes.append(
            f"EM gain {gain:g}: the slope {calibration.line.slope_dn.value:.4g} DN is K·G·F² with "
            f"F² = {calibration.excess_noise:g}{_EXCESS[calibration.excess_noise_from]}; read "
            "noise and full well are electrons after "
            "multiplication, the read noise that of the narrow core, without clock-induced charge"
        )
    if isinstance(calibration.linearity, Unknown):
        notes.append(f"no linearity error: {calibration.linearity.reason}")
    if calibration.saturation.mosaic_part:
        notes.append(
            f"a colour mosaic (its pixels differ by {calibration.saturation.mosaic_part:.0%}): "
            "pixels of each colour are full at another light, and saturation is that of the "
            "brightest colour's pixels"
        )
    if calibration.adc_limited:
        notes.append("the ADC ends where a pixel is full, or before: the full well is the ADC's")
    defects = max((pair.stats.defects for pair in calibration.dark.pairs), default=0)
    if defects:
        notes.append(f"{defects} defective pixels of the dark frames are left out")
    return notes


def warnings_of(calibration: Calibration) -> list[str]:
    """Return what is to be mistrusted, a sentence each."""
    return [
        *calibration.problems,
        *_of_assumptions(calibration),
        *_of_noise(calibration),
        *_of_range(calibration),
    ]


def _of_assumptions(calibration: Calibration) -> list[str]:
    found = []
    if calibration.dark.told_by == "darkest" and not calibration.dark.agrees:
        darkest = calibration.dark.pairs[0]
        found.append(
            f"nobody says which pair is dark: the darkest frames ({darkest.first} and "
            f"{darkest.second}) are taken to be, and if light fell on them, offset and read noise "
            "are wrong, and so is each photo-electron. Take a pair with the shutter closed and "
            "call its files dark…, or give the camera's offset with --offset-dn"
        )
    if calibration.excess_noise_from == "assumed":
        found.append(
            f"the excess noise of the multiplication is not known: F² = "
            f"{calibration.excess_noise:g} is assumed, an EMCCD's at high gain. The gain is as "
            "wrong as that: with a photomultiplier (F² about 1.2) by 60 % and more. Say it with "
            "--excess-noise"
        )
    return found


def _of_noise(calibration: Calibration) -> list[str]:
    found = []
    sigma_dn = float(np.sqrt(calibration.floor.variance_dn2.value))
    if not calibration.floor.resolved:
        found.append(
            f"the noise without light, {sigma_dn:.2f} DN, is below 0.5 DN or its own error: the "
            "rounding of the ADC hides it, and the read noise is unreliable. Use a mode of higher "
            "gain"
        )
    empty = max((pair.stats.empty_fraction for pair in calibration.dark.pairs), default=0.0)
    if empty > _CUT_OFF:
        found.append(
            f"{empty:.0%} of the dark pixels are 0: the camera's offset is too low and cuts the "
            "noise off, so that offset and read noise are wrong. Raise the offset (black level)"
        )
    crooked = _crookedness(calibration)
    if crooked > _CROOKED:
        found.append(
            f"the variances lie up to {crooked:.0%} off the straight line: the light flickered, "
            "the frames were processed (denoised, gamma), or the gain changes with the signal"
        )
    return found


def _crookedness(calibration: Calibration) -> float:
    """Return the largest relative deviation from the line that the noise does not explain."""
    line, chosen = calibration.line, calibration.line.fitted
    x = calibration.means_dn[chosen] - calibration.dark.offset_dn
    expected = line.intercept_dn2.value + line.slope_dn.value * x
    away = np.abs(calibration.variances_dn2[chosen] - expected)
    errors = np.array([pair.stats.variance_se_dn2 for pair in calibration.pairs])[chosen]
    certain = away > 5 * errors
    return float(np.max(away[certain] / expected[certain], initial=0.0))


def _of_range(calibration: Calibration) -> list[str]:
    found = []
    if not calibration.saturation.reached:
        gain, offset = calibration.gain_e_per_dn.value, calibration.offset_dn.value
        brightest = (calibration.saturation.filled_dn - offset) * gain
        found.append(
            f"saturation was not reached: the full well is above {brightest:,.0f} e⁻. Take "
            "brighter pairs to measure it"
        )
    if calibration.saturation.plateau_dn is None and _unevenness(calibration) > _UNEVEN:
        found.append(
            f"the field is uneven by {_unevenness(calibration):.0%}, so that its bright part is "
            "full before the rest: the full well is too low. Take brighter pairs, or a smaller "
            "region"
        )
    return found


def _unevenness(calibration: Calibration) -> float:
    """Return how much brighter than the mean the brightest block is, on the straight part.

    Blocks are compared with the mean of their own group: the colours of a mosaic are not shading.
    """
    straight = [p for p, on in zip(calibration.pairs, calibration.line.fitted, strict=True) if on]
    bright = max(straight, key=lambda pair: pair.stats.mean_dn).stats
    offset = calibration.dark.offset_dn
    brightest = bright.pattern_dn.max(axis=(2, 3)) - offset
    means = np.maximum(bright.group_mean_dn - offset, 1e-9)
    # A group of hardly any light is all noise.
    lit = means > 0.1 * means.max()
    return float(np.max(brightest[lit] / means[lit])) - 1
