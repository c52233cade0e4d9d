"""Multiplied electrons: an EMCCD's and a PMT's gain, excess noise, register and dark counts."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from dipstream_simulator.sensor import Chip, Sensor, camera_preset

EMCCD = Sensor(
    kind="EMCCD",
    binning="on-chip",
    em_gain=300.0,
    gain_e_per_dn=4.0,
    read_noise_e=45.0,
    offset_dn=200.0,
    bits=16,
    full_well_e=80_000,
    dark_e_per_s=0.0,
    rows=1024,
    columns=1024,
)
PMT = replace(EMCCD, kind="PMT", excess_noise=1.2, read_noise_e=0.0, binning="digital")
chains = pytest.mark.parametrize("exact", [True, False], ids=["exact", "fast"])


def photo_electrons(sensor: Sensor, mean_e: float, exact: bool, number: int = 0) -> np.ndarray:
    """A frame of the whole chip in photo-electrons: (DN − offset)/(K·G)."""
    chip = Chip(sensor)
    light = [(sensor.qe_nm, np.full(chip.shape, mean_e / sensor.qe, dtype=np.float32))]
    dn = chip.expose(light, 0.0, seed=21, number=number, exact=exact).dn
    return chip.to_electrons(dn).astype(np.float64)


@chains
@pytest.mark.parametrize(
    ("sensor", "noise_factor"),
    [(EMCCD, 2.0), (PMT, 1.2), (replace(PMT, excess_noise=3.0), 3.0)],
    ids=["EMCCD", "PMT", "noisy PMT"],
)
@pytest.mark.parametrize("mean_e", [0.3, 30.0])
def test_excess_noise(sensor: Sensor, noise_factor: float, mean_e: float, exact: bool) -> None:
    found = photo_electrons(sensor, mean_e, exact)
    steps_e = sensor.gain_e_per_dn / sensor.em_gain
    read_out = (sensor.read_noise_e / sensor.em_gain) ** 2 + steps_e**2 / 12
    variance = noise_factor * mean_e + read_out
    assert found.mean() == pytest.approx(mean_e, abs=4 * (variance / found.size) ** 0.5)
    # Few electrons have a long tail: their variance is known four times less well.
    tolerance = 0.01 if mean_e > 1.0 else 0.03
    assert (found.var() - read_out) / mean_e == pytest.approx(noise_factor, rel=tolerance)


@chains
@pytest.mark.parametrize("electrons", [1, 2, 7, 60])
def test_each_electron_is_multiplied_by_a_gamma_law(electrons: int, exact: bool) -> None:
    # Full wells hold exactly as many electrons as wanted.
    sensor = replace(
        EMCCD, full_well_e=electrons, read_noise_e=0.0, gain_e_per_dn=1.0, rows=256, columns=256
    )
    found = photo_electrons(sensor, 1000.0, exact).ravel() * sensor.em_gain
    law = stats.gamma(electrons, scale=sensor.em_gain)
    assert stats.kstest(found, law.cdf).pvalue > 1e-3


@chains
def test_without_light_nothing_is_multiplied(exact: bool) -> None:
    dark = photo_electrons(replace(EMCCD, read_noise_e=0.0), 0.0, exact)
    assert (dark == 0).all()


@chains
def test_gain_1_switches_the_multiplication_off(exact: bool) -> None:
    found = photo_electrons(replace(EMCCD, em_gain=1.0, read_noise_e=1.0), 2000.0, exact)
    assert found.var() == pytest.approx(2000 + 1 + 16 / 12, rel=0.01)


@chains
def test_photon_transfer_slope_carries_gain_and_excess_noise(exact: bool) -> None:
    small = replace(EMCCD, em_gain=20.0, rows=384, columns=384)
    means, variances = [], []
    for level, mean_e in enumerate(np.linspace(5, 1200, 12)):
        first, second = (
            photo_electrons(small, mean_e, exact, 2 * level + half) * 20 / 4 for half in range(2)
        )
        means.append((first.mean() + second.mean()) / 2)
        variances.append((first - second).var() / 2)
    slope, _ = np.polyfit(means, variances, 1, w=1 / np.asarray(variances))
    assert slope == pytest.approx(20.0 * 2.0 / 4.0, rel=0.01)


@chains
def test_register_clips_after_the_gain(exact: bool) -> None:
    sensor = replace(EMCCD, register_full_well_e=120_000.0, rows=256, columns=256)
    chip = Chip(sensor)
    light = [(550.0, np.full(chip.shape, 5000, dtype=np.float32))]
    exposed = chip.expose(light, 0.0, seed=1, number=1, exact=exact, with_electrons=True)
    assert exposed.electrons is not None
    assert exposed.saturated is not None
    assert exposed.electrons.mean() == pytest.approx(4000, rel=0.01)
    assert exposed.dn.mean() == pytest.approx(200 + 120_000 / 4, abs=0.3)
    assert exposed.dn.std() == pytest.approx((45**2 / 16 + 1 / 12) ** 0.5, rel=0.02)
    assert exposed.saturated.all()


@chains
def test_clock_induced_charge_comes_without_light(exact: bool) -> None:
    preset = camera_preset("ixon-888").sensor(cic_e=0.02, hot_pixel_fraction=0.0)
    chip = Chip(preset)
    exposed = chip.expose([], 0.0, seed=2, number=2, exact=exact, with_electrons=True)
    assert exposed.electrons is not None
    error = 4 * (0.02 / exposed.electrons.size) ** 0.5
    assert exposed.electrons.mean() == pytest.approx(0.02, abs=error)


@chains
def test_on_chip_binning_comes_before_the_gain(exact: bool) -> None:
    chip = Chip(EMCCD, binning=4)
    light = [(550.0, np.full((1024, 1024), 1.0, dtype=np.float32))]
    dn = chip.expose(light, 0.0, seed=3, number=3, exact=exact).dn
    found = chip.to_electrons(dn).astype(np.float64)
    assert found.shape == (256, 256)
    assert found.mean() == pytest.approx(12.8, rel=0.01)
    assert found.var() == pytest.approx(2 * 12.8 + (45 / 300) ** 2, rel=0.03)
