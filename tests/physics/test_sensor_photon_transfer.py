"""A camera's gain, noise and saturation can be measured from its frames, as on a bench."""

from dataclasses import replace

import numpy as np
import pytest

from dipstream_simulator.sensor import Sensor, spanning_gain_e_per_dn

PLAIN = Sensor(gain_e_per_dn=1.3, read_noise_e=2.0, full_well_e=30_000, dark_e_per_s=0.0)
SHAPE = (256, 256)


def test_photon_transfer_slope_is_the_gain() -> None:
    rng = np.random.default_rng(1)
    means, variances = [], []
    for photons in np.linspace(20, 3500, 20):
        first, second = (
            PLAIN.expose(np.full(SHAPE, photons), 10.0, rng).astype(float) for _ in range(2)
        )
        means.append((first.mean() + second.mean()) / 2 - PLAIN.offset_dn)
        variances.append((first - second).var() / 2)
    slope, _ = np.polyfit(means, variances, 1, w=1 / np.asarray(variances))
    assert slope == pytest.approx(1 / PLAIN.gain_e_per_dn, rel=0.01)


@pytest.mark.parametrize(("read_noise_e", "gain_e_per_dn"), [(2.0, 1.3), (1.0, 0.4), (1.5, 2.0)])
def test_dark_frame(read_noise_e: float, gain_e_per_dn: float) -> None:
    sensor = replace(PLAIN, read_noise_e=read_noise_e, gain_e_per_dn=gain_e_per_dn)
    dark = sensor.expose(np.zeros((512, 512)), 10.0, np.random.default_rng(2)).astype(float)
    variance = (read_noise_e / gain_e_per_dn) ** 2 + 1 / 12
    assert dark.mean() == pytest.approx(100.0, abs=4 * (variance / dark.size) ** 0.5)
    assert dark.var() == pytest.approx(variance, rel=0.012)


def test_dark_current_adds_mean_and_shot_noise() -> None:
    sensor = replace(PLAIN, dark_e_per_s=50.0)
    dark = sensor.expose(np.zeros((512, 512)), 400.0, np.random.default_rng(3)).astype(float)
    gain = 1 / sensor.gain_e_per_dn
    variance = gain**2 * (2.0**2 + 20.0) + 1 / 12
    assert dark.mean() == pytest.approx(100 + gain * 20, abs=4 * (variance / dark.size) ** 0.5)
    assert dark.var() == pytest.approx(variance, rel=0.012)


def test_mean_is_quantum_efficiency_times_photons() -> None:
    frame = PLAIN.expose(np.full(SHAPE, 1000.0), 10.0, np.random.default_rng(4)).astype(float)
    electrons = (frame - PLAIN.offset_dn) * PLAIN.gain_e_per_dn
    assert electrons.mean() == pytest.approx(800.0, abs=4 * (810 / frame.size) ** 0.5)


def test_full_well_clips_before_read_noise() -> None:
    sensor = replace(PLAIN, full_well_e=1300.0)
    frame = sensor.expose(np.full(SHAPE, 1e5), 10.0, np.random.default_rng(5)).astype(float)
    assert frame.mean() == pytest.approx(100 + 1300 / 1.3, abs=0.05)
    assert frame.var() == pytest.approx((2.0 / 1.3) ** 2 + 1 / 12, rel=0.03)


def test_adc_clips_at_its_largest_value() -> None:
    frame = PLAIN.expose(np.full(SHAPE, 1e5), 10.0, np.random.default_rng(6))
    assert (frame == 4095).all()


@pytest.mark.parametrize(
    ("bits", "dtype", "top"),
    [(1, "uint8", 1), (8, "uint8", 255), (9, "uint16", 511), (16, "uint16", 65_535)],
)
def test_smallest_container(bits: int, dtype: str, top: int) -> None:
    sensor = replace(PLAIN, bits=bits, offset_dn=0.0, full_well_e=1e6)
    frame = sensor.expose(np.full((16, 16), 1e6), 10.0, np.random.default_rng(7))
    assert frame.dtype == np.dtype(dtype) == sensor.dtype
    assert frame.max() == top == sensor.max_dn


@pytest.mark.parametrize(("offset_dn", "read"), [(100.0, 100), (100.4, 100), (100.6, 101)])
def test_values_are_rounded_not_floored(offset_dn: float, read: int) -> None:
    sensor = replace(PLAIN, read_noise_e=0.0, offset_dn=offset_dn)
    frame = sensor.expose(np.zeros((16, 16)), 10.0, np.random.default_rng(8))
    assert (frame == read).all()


def test_noise_below_the_offset_survives() -> None:
    sensor = replace(PLAIN, read_noise_e=20.0)
    frame = sensor.expose(np.zeros(SHAPE), 10.0, np.random.default_rng(9))
    assert (frame < 100).mean() == pytest.approx(0.5, abs=0.03)


def test_more_bits_keep_the_analogue_range() -> None:
    assert spanning_gain_e_per_dn(8000, 12, 0) == pytest.approx(8000 / 4095)
    assert spanning_gain_e_per_dn(8000, 16, 0) == pytest.approx(8000 / 65_535)
