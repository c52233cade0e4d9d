"""A chip's fixed pattern: what is a little different in each pixel, for good."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dipstream_simulator.sensor.sensor import Sensor

__all__ = ["FixedPattern", "fixed_pattern"]

Map = npt.NDArray[np.float32]
Roi = tuple[int, int, int, int]

_FIXED_PATTERN = 5  # purpose of these seeds, so that they never meet those of frames
_BLOCK_ROWS = 64  # rows that share a seed: a small region needs only its own blocks
_OFFSET, _GAIN, _READ_NOISE, _DARK, _PRNU, _HOT = range(6)


@dataclass(frozen=True, slots=True, eq=False)
class FixedPattern:
    """The maps of a region of a chip (Huang et al. 2013, Nat. Methods 10:653).

    Each is float32, (height, width), or (1, width) where all pixels are alike.

    Attributes
    ----------
    offset_dn
        Offset in DN; its mean is the camera's.
    gain
        Conversion relative to the camera's K, mean 1.
    read_noise_e
        Standard deviation of the read noise in e⁻, with the camera's root mean square and median.
    dark_e_per_s
        Dark current in e⁻/s at the chip's temperature, hot pixels included.
    prnu
        Response relative to the camera's quantum efficiency, mean 1.
    """

    offset_dn: Map
    gain: Map
    read_noise_e: Map
    dark_e_per_s: Map
    prnu: Map


def fixed_pattern(sensor: Sensor, roi: Roi) -> FixedPattern:
    """Return the fixed pattern of a region.

    It is a pure function of the sensor with its serial number: the same pixels of the chip have
    the same values in every region.

    Parameters
    ----------
    sensor
        The camera.
    roi
        (y, x, height, width) in px, inside the chip.
    """
    offset_dn = np.float32(sensor.offset_dn) + _spread(
        sensor, roi, _OFFSET, sensor.offset_variation_dn
    )
    return FixedPattern(
        offset_dn=np.maximum(offset_dn, np.float32(0)),
        gain=_positive(1 + _spread(sensor, roi, _GAIN, sensor.gain_variation)),
        read_noise_e=_read_noise_e(sensor, roi),
        dark_e_per_s=_dark_e_per_s(sensor, roi),
        prnu=_positive(1 + _spread(sensor, roi, _PRNU, sensor.prnu)),
    )


def _read_noise_e(sensor: Sensor, roi: Roi) -> Map:
    """Lognormal with the quoted median m and root mean square: σ = m·exp(s·z).

    E[σ²] = m²·exp(2 s²), so that rms/m = exp(s²) and s = √ln(rms/m). All its moments are finite.
    """
    median_e = sensor.read_noise_median_e
    if median_e is None or sensor.read_noise_e == 0.0:
        return np.full((1, roi[3]), sensor.read_noise_e, dtype=np.float32)
    width = math.sqrt(math.log(sensor.read_noise_e / median_e))
    noise_e: Map = np.float32(median_e) * np.exp(_spread(sensor, roi, _READ_NOISE, width))
    return noise_e


def _dark_e_per_s(sensor: Sensor, roi: Roi) -> Map:
    """Lognormal with the quoted mean, plus the hot pixels; all of it follows the temperature."""
    variance = math.log1p(sensor.dark_variation**2)
    relative = np.exp(_spread(sensor, roi, _DARK, math.sqrt(variance)) - np.float32(variance / 2))
    dark: Map = (sensor.dark_now_e_per_s * relative).astype(np.float32)
    if sensor.hot_pixel_fraction == 0.0 or sensor.hot_pixel_e_per_s == 0.0:
        return dark
    hot = _blocks(sensor, roi, _HOT) < sensor.hot_pixel_fraction
    hotter: Map = dark + np.float32(sensor.hot_pixel_e_per_s * sensor.dark_factor)
    return np.where(hot, hotter, dark)


def _spread(sensor: Sensor, roi: Roi, purpose: int, deviation: float) -> Map:
    if deviation == 0.0:
        return np.zeros((1, roi[3]), dtype=np.float32)
    return np.float32(deviation) * _blocks(sensor, roi, purpose)


def _blocks(sensor: Sensor, roi: Roi, purpose: int) -> Map:
    """Draw what the region needs of the whole chip, in blocks of rows that have their own seeds."""
    y, x, height, width = roi
    drawn = np.empty((height, width), dtype=np.float32)
    for block in range(y // _BLOCK_ROWS, -(-(y + height) // _BLOCK_ROWS)):
        rng = np.random.default_rng([sensor.serial, _FIXED_PATTERN, purpose, block])
        shape = (_BLOCK_ROWS, sensor.columns)
        draw = rng.random if purpose == _HOT else rng.standard_normal
        rows = draw(shape, dtype=np.float32)[:, x : x + width]
        first = block * _BLOCK_ROWS
        low, high = max(first, y), min(first + _BLOCK_ROWS, y + height)
        drawn[low - y : high - y] = rows[low - first : high - first]
    return drawn


def _positive(relative: Map) -> Map:
    return np.maximum(relative, np.float32(0.01)).astype(np.float32)
