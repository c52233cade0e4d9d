"""The same seed gives bit-identical frames; others share nothing but the fixed pattern."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from dipstream_simulator.sensor import Chip, Sensor, camera_preset

SIDE = 256
CAMERAS = {
    "sCMOS": camera_preset("orca-flash4").sensor(rows=SIDE, columns=SIDE),
    "CCD": camera_preset("orca-r2").sensor(rows=SIDE, columns=SIDE),
    "EMCCD": camera_preset("ixon-888").sensor(rows=SIDE, columns=SIDE),
    "PMT": camera_preset("pmt-gaasp").sensor(rows=SIDE, columns=SIDE),
}
chains = pytest.mark.parametrize("exact", [True, False], ids=["exact", "fast"])
cameras = pytest.mark.parametrize("sensor", CAMERAS.values(), ids=CAMERAS)
PHOTONS = {"dim": 4.0, "bright": 60.0}
lights = pytest.mark.parametrize("photons", PHOTONS.values(), ids=PHOTONS)


def frame(
    chip: Chip,
    photons: float,
    *,
    seed: int = 1,
    number: int = 0,
    exact: bool = False,
    threads: int = 1,
) -> npt.NDArray[np.unsignedinteger]:
    light = [(550.0, np.full(chip.roi[2:], photons, dtype=np.float32))]
    return chip.expose(light, 10.0, seed=seed, number=number, exact=exact, threads=threads).dn


@chains
@cameras
def test_bit_identical_in_any_order(sensor: Sensor, exact: bool) -> None:
    chip, again = Chip(sensor), Chip(sensor)
    in_order = [frame(chip, 60.0, number=number, exact=exact) for number in range(3)]
    for number in (2, 0, 1):
        np.testing.assert_array_equal(
            frame(again, 60.0, number=number, exact=exact), in_order[number]
        )


@cameras
@lights
@pytest.mark.parametrize("binning", [1, 2])
@pytest.mark.parametrize("threads", [2, 3])
def test_threads_change_nothing(sensor: Sensor, photons: float, binning: int, threads: int) -> None:
    chip = Chip(sensor, binning=binning, roi=(3, 5, 201, 211))
    np.testing.assert_array_equal(frame(chip, photons, threads=threads), frame(chip, photons))


@cameras
def test_electrons_are_those_of_the_frame(sensor: Sensor) -> None:
    chip = Chip(sensor)
    light = [(550.0, np.full(chip.shape, 40.0, dtype=np.float32))]
    told = chip.expose(light, 10.0, seed=1, number=0, with_electrons=True)
    np.testing.assert_array_equal(told.dn, frame(chip, 40.0))
    assert told.electrons is not None
    assert np.corrcoef(told.electrons.ravel(), told.dn.ravel())[0, 1] > 0.5


def noise(
    chip: Chip, photons: float, exact: bool, count: int, seed: int = 1
) -> npt.NDArray[np.float64]:
    """Standardised noise of some frames: what is left without the fixed pattern."""
    mean = chip.expected([(550.0, np.full(chip.roi[2:], photons, dtype=np.float32))], 10.0)
    pattern = chip.pattern
    mean_dn = mean * chip.em_gain * pattern.gain / chip.gain_e_per_dn + pattern.offset_dn
    left = np.stack(
        [frame(chip, photons, seed=seed, number=number, exact=exact) for number in range(count)]
    ).astype(np.float64)
    left -= mean_dn
    left /= np.sqrt(mean + pattern.read_noise_e**2 / chip.em_gain**2)
    standard: npt.NDArray[np.float64] = (left - left.mean()) / left.std()
    return standard


def largest_correlation(
    one: npt.NDArray[np.float64], two: npt.NDArray[np.float64], same: bool = False
) -> float:
    """Of all cyclic shifts, in standard errors."""
    spectrum = np.fft.fft2(one) * np.conj(np.fft.fft2(two))
    correlation = np.fft.ifft2(spectrum).real / np.sqrt(one.size)
    if same:
        correlation[0, 0] = 0.0
    return float(np.abs(correlation).max())


@chains
@cameras
@lights
def test_no_correlation_at_any_lag(sensor: Sensor, photons: float, exact: bool) -> None:
    frames = noise(Chip(sensor), photons, exact, count=4)
    # Of 65,536 normal variates the largest is beyond 5.8 once in 2300 times.
    for number, one in enumerate(frames):
        assert largest_correlation(one, one, same=True) < 5.8
        for later in frames[number + 1 :]:
            assert largest_correlation(one, later) < 5.8


@chains
@pytest.mark.parametrize("seeds", [(1, 2), (0, 2**40), (7, 8)])
def test_other_seeds_are_uncorrelated(seeds: tuple[int, int], exact: bool) -> None:
    chip = Chip(CAMERAS["sCMOS"])
    one, two = (noise(chip, 60.0, exact, 1, seed=seed)[0] for seed in seeds)
    assert largest_correlation(one, two) < 5.8


@chains
def test_a_long_run_repeats_nothing(exact: bool) -> None:
    chip = Chip(replace(CAMERAS["sCMOS"], rows=8, columns=512))
    series = noise(chip, 60.0, exact, count=400).reshape(400, -1)
    series -= series.mean(axis=0)
    for lag in (1, 2, 3, 8, 16, 64, 128, 256):
        pairs = series[lag:] * series[:-lag]
        assert pairs.mean() == pytest.approx(0.0, abs=5 / np.sqrt(pairs.size) + 1 / 400)


def test_frame_numbers_and_seeds_are_not_added_up() -> None:
    chip = Chip(CAMERAS["sCMOS"])
    assert not np.array_equal(
        frame(chip, 60.0, seed=1, number=2), frame(chip, 60.0, seed=2, number=1)
    )
    rows = frame(chip, 60.0, seed=1, number=0)
    assert not np.array_equal(rows[1:], frame(chip, 60.0, seed=1, number=1)[:-1])


def test_two_cameras_of_a_kind_have_other_patterns() -> None:
    one, two = (Chip(replace(CAMERAS["sCMOS"], serial=serial)).pattern for serial in (1, 2))
    for name in ("offset_dn", "gain", "read_noise_e", "prnu"):
        first, second = getattr(one, name), getattr(two, name)
        assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 4 / SIDE
