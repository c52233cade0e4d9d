"""The fixed pattern has the quoted statistics, stays with the chip, and shows in frames."""

from dataclasses import replace

import numpy as np
import pytest

from dipstream_simulator.sensor import Chip, Sensor, camera_preset
from dipstream_simulator.sensor.maps import fixed_pattern

SENSOR = Sensor(
    rows=1024,
    columns=1024,
    read_noise_e=1.6,
    read_noise_median_e=1.0,
    prnu=0.01,
    gain_variation=0.02,
    offset_variation_dn=2.0,
    dark_e_per_s=2.0,
    dark_variation=0.5,
    hot_pixel_fraction=1e-3,
    hot_pixel_e_per_s=500.0,
    serial=42,
)
WHOLE = (0, 0, 1024, 1024)
NAMES = ("offset_dn", "gain", "read_noise_e", "dark_e_per_s", "prnu")
chains = pytest.mark.parametrize("exact", [True, False], ids=["exact", "fast"])


def test_quoted_statistics() -> None:
    pattern = fixed_pattern(SENSOR, WHOLE)
    error = 4 / 1024
    assert pattern.offset_dn.mean() == pytest.approx(100.0, abs=2 * error)
    assert pattern.offset_dn.std() == pytest.approx(2.0, rel=error)
    assert pattern.gain.mean() == pytest.approx(1.0, abs=0.02 * error)
    assert pattern.gain.std() == pytest.approx(0.02, rel=error)
    assert pattern.prnu.mean() == pytest.approx(1.0, abs=0.01 * error)
    assert pattern.prnu.std() == pytest.approx(0.01, rel=error)
    assert all(getattr(pattern, name).dtype == np.float32 for name in NAMES)


@pytest.mark.parametrize(("median_e", "rms_e"), [(1.0, 1.6), (0.27, 0.30), (1.6, 1.8)])
def test_read_noise_map_is_lognormal(median_e: float, rms_e: float) -> None:
    sensor = replace(SENSOR, read_noise_e=rms_e, read_noise_median_e=median_e)
    noise_e = fixed_pattern(sensor, WHOLE).read_noise_e.astype(np.float64)
    assert np.median(noise_e) == pytest.approx(median_e, rel=0.005)
    assert np.sqrt(np.mean(noise_e**2)) == pytest.approx(rms_e, rel=0.005)
    assert np.log(noise_e).std() ** 2 == pytest.approx(np.log(rms_e / median_e), rel=0.01)


def test_hot_pixels_and_dark_current() -> None:
    dark = fixed_pattern(SENSOR, WHOLE).dark_e_per_s
    hot = dark > 300
    assert hot.sum() == pytest.approx(1024**2 * 1e-3, abs=4 * (1024**2 * 1e-3) ** 0.5)
    assert dark[hot].mean() == pytest.approx(502, abs=1)
    assert dark[~hot].mean() == pytest.approx(2.0, rel=0.004)
    assert dark[~hot].std() == pytest.approx(1.0, rel=0.02)


@pytest.mark.parametrize(("temperature_c", "factor"), [(20, 1), (27, 2), (13, 0.5), (-1, 0.125)])
def test_dark_current_doubles_every_7_kelvins(temperature_c: float, factor: float) -> None:
    warm = replace(SENSOR, temperature_c=temperature_c)
    assert warm.dark_now_e_per_s == pytest.approx(2.0 * factor)
    np.testing.assert_allclose(
        fixed_pattern(warm, WHOLE).dark_e_per_s,
        factor * fixed_pattern(SENSOR, WHOLE).dark_e_per_s,
        rtol=1e-5,
    )


@pytest.mark.parametrize("roi", [(0, 0, 10, 10), (63, 5, 2, 700), (100, 200, 300, 77)])
def test_a_region_shows_the_same_pixels(roi: tuple[int, int, int, int]) -> None:
    y, x, height, width = roi
    whole, part = fixed_pattern(SENSOR, WHOLE), fixed_pattern(SENSOR, roi)
    for name in NAMES:
        cut = getattr(whole, name)[y : y + height, x : x + width]
        np.testing.assert_array_equal(getattr(part, name), cut)


def test_serial_number_and_nothing_else_changes_the_pattern() -> None:
    same = fixed_pattern(replace(SENSOR, em_gain=1.0, bits=16, qe=0.5), WHOLE)
    other = fixed_pattern(replace(SENSOR, serial=43), WHOLE)
    mine = fixed_pattern(SENSOR, WHOLE)
    for name in NAMES:
        np.testing.assert_array_equal(getattr(same, name), getattr(mine, name))
        assert not np.array_equal(getattr(other, name), getattr(mine, name))


def test_the_maps_are_independent_of_each_other() -> None:
    pattern = fixed_pattern(replace(SENSOR, hot_pixel_fraction=0.0), WHOLE)
    maps = np.stack([np.log(getattr(pattern, name)).ravel() for name in NAMES])
    between = np.corrcoef(maps) - np.eye(len(NAMES))
    assert np.abs(between).max() < 4.5 / 1024


@chains
def test_the_pattern_can_be_measured_from_frames(exact: bool) -> None:
    # As in Huang et al. 2013: offset and variance from dark frames, gain from lit ones.
    chip = Chip(replace(SENSOR, gain_e_per_dn=0.3, full_well_e=1e5, bits=16), roi=(0, 0, 64, 64))
    lit = [(550.0, np.full(chip.shape, 2000, dtype=np.float32))]
    dark, bright = (
        np.stack(
            [chip.expose(light, 1.0, seed=1, number=k, exact=exact).dn for k in range(300)]
        ).astype(np.float64)
        for light in ([], lit)
    )
    pattern = chip.pattern
    assert np.corrcoef(dark.mean(axis=0).ravel(), pattern.offset_dn.ravel())[0, 1] > 0.97
    noise_dn = pattern.read_noise_e * pattern.gain / 0.3
    assert np.corrcoef(dark.std(axis=0).ravel(), noise_dn.ravel())[0, 1] > 0.97
    signal = bright.mean(axis=0) - dark.mean(axis=0)
    response = pattern.gain * pattern.prnu
    assert np.corrcoef(signal.ravel(), response.ravel())[0, 1] > 0.99
    gain = (bright.var(axis=0) - dark.var(axis=0)) / signal
    # Shot noise belongs to the electrons after PRNU, so that the slope is the gain alone.
    assert gain.mean() * 0.3 == pytest.approx(1.0, abs=4 * (2 / 300) ** 0.5 / 64)


@chains
def test_hot_pixels_show_in_long_exposures(exact: bool) -> None:
    sensor = replace(SENSOR, offset_variation_dn=0.0)
    chip = Chip(sensor, roi=(0, 0, 512, 512))
    dark = chip.expose([], 1000.0, seed=1, number=0, exact=exact).dn
    np.testing.assert_array_equal(dark > 200, chip.pattern.dark_e_per_s > 300)


def test_presets_have_their_pattern() -> None:
    for name in ("orca-flash4", "kinetix", "prime-95b"):
        pattern = Chip(camera_preset(name).sensor(), roi=(0, 0, 64, 64)).pattern
        assert all(getattr(pattern, which).shape == (64, 64) for which in NAMES)
    assert Chip(camera_preset("generic").sensor()).pattern.gain.shape[0] == 1
