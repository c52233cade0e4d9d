"""How noisy a pixel is: the formulas that frames can be checked against."""

import math

from dipstream_simulator.limits import require_between
from dipstream_simulator.sensor.sensor import Sensor

__all__ = ["QUANTISATION_DN", "snr", "variance_dn2"]

QUANTISATION_DN = 1.0 / math.sqrt(12.0)
"""Standard deviation of rounding to whole numbers, 0.2887 DN (EMVA 1288, release 4.0)."""


def snr(
    sensor: Sensor, signal_e: float, *, background_e: float = 0.0, exposure_ms: float = 0.0
) -> float:
    """Return the signal-to-noise ratio of one pixel in one frame.

    SNR = S / √(F²·(S + B + D) + (σ_r/G)² + 1/(12 K² G²)), all in photo-electrons. The first term
    is shot noise with the multiplication's excess, the last what the ADC's steps add: where it
    leads, the camera is limited by its ADC (EMVA 1288, release 4.0, for G = 1;
    Robbins & Hadwen 2003, IEEE Trans. Electron Devices 50:1227, for F² and G).

    Parameters
    ----------
    sensor
        The camera; D is its dark current at its temperature and its clock-induced charge.
    signal_e, background_e
        Mean photo-electrons S of the signal and B of the background, ≥ 0.
    exposure_ms
        Exposure time in ms, for the dark current.

    Raises
    ------
    SourceError
        If a number is negative.
    """
    require_between("signal_e", signal_e, 0.0, 1e12, example=100)
    require_between("background_e", background_e, 0.0, 1e12, example=10)
    require_between("exposure_ms", exposure_ms, 0.0, 1e9, example=10)
    dark_e = sensor.dark_now_e_per_s * exposure_ms * 1e-3 + sensor.cic_e
    to_photo_electrons = sensor.gain_e_per_dn / sensor.em_gain
    variance_dn = variance_dn2(sensor, signal_e + background_e + dark_e)
    return signal_e / (to_photo_electrons * math.sqrt(variance_dn))


def variance_dn2(sensor: Sensor, mean_e: float) -> float:
    """Return the variance of a pixel over frames, in DN².

    σ² = K²·(F² G² μ + σ_r²) + 1/12: the photon-transfer line, whose slope over the mean in DN is
    K·G·F² (EMVA 1288, release 4.0, for G = 1). True below saturation, and as long
    as the noise is wider than about half a DN.

    Parameters
    ----------
    sensor
        The camera.
    mean_e
        Mean electrons μ before multiplication, dark current included.
    """
    amplified = sensor.noise_factor * sensor.em_gain**2 * mean_e
    return (amplified + sensor.read_noise_e**2) / sensor.gain_e_per_dn**2 + QUANTISATION_DN**2
