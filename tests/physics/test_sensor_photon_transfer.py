"""A camera's gain, noise and saturation can be measured from its frames, as on a bench."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from dipstream_simulator.sensor import Chip, Sensor, camera_preset, snr, spanning_gain_e_per_dn
from dipstream_simulator.sensor.noise import variance_dn2

PLAIN = Sensor(
    gain_e_per_dn=1.3, read_noise_e=2.0, full_well_e=30_000, dark_e_per_s=0.0, rows=512, columns=512
)
PATTERNED = replace(
    PLAIN,
    read_noise_median_e=1.5,
    prnu=0.01,
    gain_variation=0.01,
    offset_variation_dn=3.0,
    dark_variation=0.5,
)
CCD = replace(PLAIN, kind="CCD", binning="on-chip")
chains = pytest.mark.parametrize("exact", [True, False], ids=["exact", "fast"])


def flat(
    sensor: Sensor, photons: float, exact: bool, seed: int, *, ms: float = 10.0, binning: int = 1
) -> npt.NDArray[np.float64]:
    """A frame of an evenly lit chip."""
    chip = Chip(sensor, binning=binning)
    light = [(sensor.qe_nm, np.full(chip.roi[2:], photons, dtype=np.float32))]
    return chip.expose(light, ms, seed=seed, number=0, exact=exact).dn.astype(np.float64)


@chains
def test_photon_transfer_slope_is_the_gain(exact: bool) -> None:
    sensor = PATTERNED
    chip = Chip(sensor)
    means, variances = [], []
    for level, photons in enumerate(np.linspace(20, 3500, 50)):
        light = [(550.0, np.full(chip.shape, photons, dtype=np.float32))]
        first, second = (
            chip.expose(light, 10.0, seed=1, number=2 * level + half, exact=exact).dn.astype(float)
            for half in range(2)
        )
        means.append((first.mean() + second.mean()) / 2 - sensor.offset_dn)
        variances.append((first - second).var() / 2)
    slope, at_zero = np.polyfit(means, variances, 1, w=1 / np.asarray(variances))
    assert slope == pytest.approx(1 / sensor.gain_e_per_dn, rel=0.005)
    assert at_zero == pytest.approx(variance_dn2(sensor, 0.0), abs=0.15)


@chains
@pytest.mark.parametrize(("read_noise_e", "gain_e_per_dn"), [(2.0, 1.3), (1.0, 0.4), (1.0, 2.0)])
def test_read_noise_from_dark_pairs(read_noise_e: float, gain_e_per_dn: float, exact: bool) -> None:
    sensor = replace(
        PATTERNED,
        read_noise_e=read_noise_e,
        read_noise_median_e=0.8 * read_noise_e,
        gain_e_per_dn=gain_e_per_dn,
    )
    variances = [
        (flat(sensor, 0.0, exact, seed) - flat(sensor, 0.0, exact, seed + 100)).var() / 2
        for seed in range(3)
    ]
    measured_e = gain_e_per_dn * (np.mean(variances) - 1 / 12) ** 0.5
    assert measured_e == pytest.approx(read_noise_e, rel=0.01)


@chains
def test_read_noise_map_has_the_quoted_root_mean_square(exact: bool) -> None:
    sensor = camera_preset("orca-flash4").sensor(rows=1024, columns=1024)
    difference = flat(sensor, 0.0, exact, 1) - flat(sensor, 0.0, exact, 2)
    measured_e = sensor.gain_e_per_dn * (difference.var() / 2 - 1 / 12) ** 0.5
    assert measured_e == pytest.approx(1.6, rel=0.01)


@chains
def test_quantisation_noise(exact: bool) -> None:
    sensor = replace(PLAIN, read_noise_e=0.0, gain_e_per_dn=10 * np.pi)
    chip = Chip(sensor)
    light = [(550.0, np.full(chip.shape, 8000, dtype=np.float32))]
    exposed = chip.expose(light, 10.0, seed=3, number=0, exact=exact, with_electrons=True)
    assert exposed.electrons is not None
    analogue_dn = exposed.electrons.astype(np.float64) / sensor.gain_e_per_dn + sensor.offset_dn
    rounding = exposed.dn - analogue_dn
    assert rounding.std() == pytest.approx(0.2887, rel=0.005)
    assert rounding.mean() == pytest.approx(0.0, abs=4 * 0.2887 / 512)


@chains
@pytest.mark.parametrize(
    "sensor",
    [
        PLAIN,
        *(camera_preset(name).sensor(rows=512, columns=512) for name in ("kinetix", "orca-r2")),
    ],
    ids=lambda sensor: sensor.name,
)
@pytest.mark.parametrize("wavelength_nm", [460.0, 525.0, 700.0])
def test_mean_is_quantum_efficiency_times_photons(
    sensor: Sensor, wavelength_nm: float, exact: bool
) -> None:
    chip = Chip(sensor)
    light = [(wavelength_nm, np.full(chip.shape, 600, dtype=np.float32))]
    exposed = chip.expose(light, 0.0, seed=4, number=0, exact=exact)
    mean_e = sensor.qe_at(wavelength_nm) * 600
    pattern = np.mean(chip.pattern.prnu) * np.mean(chip.pattern.gain)
    offset_dn = np.mean(chip.pattern.offset_dn)
    measured_e = (exposed.dn.mean() - offset_dn) * sensor.gain_e_per_dn / pattern
    error_e = (variance_dn2(sensor, mean_e) / exposed.dn.size) ** 0.5 * sensor.gain_e_per_dn
    assert measured_e == pytest.approx(mean_e, abs=4 * error_e)


@chains
@pytest.mark.parametrize(
    ("dark_e_per_s", "exposure_ms", "read_noise_e", "gain_e_per_dn"),
    [(0.0, 10.0, 2.0, 1.3), (50.0, 400.0, 2.0, 1.3), (3.0, 2000.0, 1.0, 0.4), (0.5, 1e4, 1.5, 2.0)],
)
def test_dark_frame(
    dark_e_per_s: float, exposure_ms: float, read_noise_e: float, gain_e_per_dn: float, exact: bool
) -> None:
    sensor = replace(
        PLAIN, read_noise_e=read_noise_e, gain_e_per_dn=gain_e_per_dn, dark_e_per_s=dark_e_per_s
    )
    dark = flat(sensor, 0.0, exact, 5, ms=exposure_ms)
    dark_e = dark_e_per_s * exposure_ms * 1e-3
    variance = (read_noise_e**2 + dark_e) / gain_e_per_dn**2 + 1 / 12
    assert dark.mean() == pytest.approx(
        100 + dark_e / gain_e_per_dn, abs=4 * (variance / dark.size) ** 0.5
    )
    assert dark.var() == pytest.approx(variance, rel=0.01)


@chains
@pytest.mark.parametrize(("sensor", "factor"), [(PLAIN, 2.0), (CCD, 1.0)], ids=["digital", "chip"])
def test_binning_adds_read_noise_digitally_only(sensor: Sensor, factor: float, exact: bool) -> None:
    larger = replace(sensor, rows=1024, columns=1024)
    dark = flat(larger, 0.0, exact, 6, binning=2)
    assert dark.shape == (512, 512)
    quantised = factor**2 / 12
    measured_e = sensor.gain_e_per_dn * (dark.var() - quantised) ** 0.5
    assert measured_e == pytest.approx(factor * sensor.read_noise_e, rel=0.01)


@chains
@pytest.mark.parametrize("sensor", [PLAIN, CCD], ids=["digital", "chip"])
def test_binning_sums_the_light(sensor: Sensor, exact: bool) -> None:
    chip = Chip(sensor, binning=2)
    light = [(550.0, np.full((512, 512), 100, dtype=np.float32))]
    exposed = chip.expose(light, 0.0, seed=6, number=0, exact=exact, with_electrons=True)
    assert exposed.electrons is not None
    assert exposed.electrons.mean() == pytest.approx(320, abs=4 * (320 / exposed.dn.size) ** 0.5)
    assert exposed.electrons.var() == pytest.approx(320, rel=0.02)
    assert chip.to_electrons(exposed.dn).mean() == pytest.approx(320, abs=0.4)


@chains
@pytest.mark.parametrize(
    ("full_well_e", "plateau_dn"), [(1300.0, 1100.0), (4000.5, 100 + 4000.5 / 1.3), (3e4, 4095.0)]
)
def test_saturation(full_well_e: float, plateau_dn: float, exact: bool) -> None:
    sensor = replace(PLAIN, full_well_e=full_well_e)
    below, above = (
        flat(sensor, photons, exact, 7) for photons in (0.6 * sensor.saturation_e / 0.8, 1e5)
    )
    assert above.mean() == pytest.approx(plateau_dn, abs=0.05)
    assert above.var() < 0.1 * below.var()
    if sensor.saturates == "well":
        # What the full well has clipped still carries read noise.
        assert above.var() == pytest.approx(variance_dn2(sensor, 0.0), rel=0.02)


@chains
def test_signal_to_noise_ratio(exact: bool) -> None:
    em = camera_preset("ixon-888").sensor(rows=512, columns=512, prnu=0.0)
    adc_limited = replace(PLAIN, read_noise_e=3.0, gain_e_per_dn=8.0)
    for sensor, signal_e in ((PLAIN, 5.0), (PLAIN, 500.0), (adc_limited, 20.0), (em, 4.0)):
        lit = flat(sensor, (signal_e + 3.0) / sensor.qe, exact, 8, ms=200.0)
        background = flat(sensor, 3.0 / sensor.qe, exact, 9, ms=200.0)
        measured = (lit.mean() - background.mean()) / lit.std()
        expected = snr(sensor, signal_e, background_e=3.0, exposure_ms=200.0)
        assert measured == pytest.approx(expected, rel=0.015)


@chains
@pytest.mark.parametrize(
    ("bits", "dtype", "top"),
    [(1, "uint8", 1), (8, "uint8", 255), (9, "uint16", 511), (16, "uint16", 65_535)],
)
def test_smallest_container(bits: int, dtype: str, top: int, exact: bool) -> None:
    sensor = replace(PLAIN, bits=bits, offset_dn=0.0, full_well_e=1e6, rows=16, columns=16)
    chip = Chip(sensor)
    light = [(550.0, np.full((16, 16), 1e6, dtype=np.float32))]
    frame = chip.expose(light, 10.0, seed=7, number=0, exact=exact).dn
    assert frame.dtype == np.dtype(dtype) == sensor.dtype == chip.dtype
    assert frame.max() == top == sensor.max_dn
    assert chip.bit_depth == bits


@chains
@pytest.mark.parametrize(("offset_dn", "read"), [(100.0, 100), (100.4, 100), (100.6, 101)])
def test_values_are_rounded_not_floored(offset_dn: float, read: int, exact: bool) -> None:
    sensor = replace(PLAIN, read_noise_e=0.0, offset_dn=offset_dn)
    assert (flat(sensor, 0.0, exact, 8) == read).all()


@chains
def test_noise_below_the_offset_survives(exact: bool) -> None:
    dark = flat(replace(PLAIN, read_noise_e=20.0), 0.0, exact, 9)
    assert (dark < 100).mean() == pytest.approx(0.5, abs=0.03)


def test_more_bits_keep_the_analogue_range() -> None:
    assert spanning_gain_e_per_dn(8000, 12, 0) == pytest.approx(8000 / 4095)
    assert spanning_gain_e_per_dn(8000, 16, 0) == pytest.approx(8000 / 65_535)
