"""Cameras by name: modes that belong together, a source for each number, near names in errors."""

from dataclasses import replace
from typing import Any

import pytest

from dipstream.errors import SourceError
from dipstream_simulator.sensor import Sensor, camera_names, camera_preset

NAMES = (
    "generic",
    "ixon-888",
    "kinetix",
    "orca-flash4",
    "orca-quest2",
    "orca-r2",
    "pmt-gaasp",
    "prime-95b",
    "zelux-cs165c",
)
MODES = [(name, mode) for name in NAMES for mode in camera_preset(name).modes]
NOT_IN_THE_FILE = {"kind", "qe_curve", "binning", "rolling", "mosaic", "colour_filters"}


def test_names() -> None:
    assert camera_names() == NAMES
    assert camera_preset("zelux") is camera_preset("Zelux-CS165C ")


def test_the_generic_camera_is_the_default() -> None:
    assert camera_preset("generic").sensor() == Sensor()


@pytest.mark.parametrize(("name", "mode"), MODES)
def test_each_number_has_a_source(name: str, mode: str) -> None:
    preset = camera_preset(name)
    sensor, plain = preset.sensor(mode), Sensor()
    for key in Sensor.__dataclass_fields__:
        if key in NOT_IN_THE_FILE or key in {"name", "mode", "temperature_c", "serial"}:
            continue
        source = preset.sources.get(f"{mode}.{key}", preset.sources.get(key))
        if getattr(sensor, key) != getattr(plain, key):
            assert source is not None, key
        if source is not None:
            assert source.startswith("unverified") or "data sheet" in source or "://" in source


@pytest.mark.parametrize(
    ("name", "mode", "first", "electrons"),
    [
        ("orca-flash4", "standard", "well", 30_000),
        ("orca-quest2", "standard", "ADC", 6990.8),
        ("kinetix", "sensitivity", "ADC", 918.9),
        ("kinetix", "dynamic-range", "well", 15_000),
        ("kinetix", "speed", "ADC", 206.6),
        ("prime-95b", "standard", "ADC", 78_522),
        ("ixon-888", "em-10mhz", "ADC", 1067.1),
        ("ixon-888", "conventional", "ADC", 78_402),
        ("orca-r2", "standard", "ADC", 17_578),
        ("zelux-cs165c", "standard", "ADC", 10_994),
        ("pmt-gaasp", "standard", "ADC", 99.9),
    ],
)
def test_what_is_full_first(name: str, mode: str, first: str, electrons: float) -> None:
    sensor = camera_preset(name).sensor(mode)
    assert sensor.saturates == first
    assert sensor.saturation_e == pytest.approx(electrons, rel=1e-3)


def test_weak_multiplication_fills_the_well_or_the_register() -> None:
    ixon = camera_preset("ixon-888")
    assert ixon.sensor(em_gain=1).saturates == "well"
    assert replace(ixon.sensor(em_gain=20), gain_e_per_dn=20).saturates == "register"


@pytest.mark.parametrize(("name", "mode"), MODES)
def test_cameras_are_plausible(name: str, mode: str) -> None:
    sensor = camera_preset(name).sensor(mode)
    # Noise around zero must fit above the ADC's zero, and the offset be a small part of its range.
    noise_dn = sensor.read_noise_e / sensor.gain_e_per_dn
    assert sensor.offset_dn >= 3 * noise_dn
    assert sensor.offset_dn < 0.1 * sensor.max_dn
    if sensor.rolling:
        rows = sensor.rows / 2 if sensor.rolling == "centre-out" else sensor.rows
        assert rows * sensor.row_time_us * 1e-6 == pytest.approx(1 / sensor.max_fps, rel=0.01)
    assert (sensor.kind in {"EMCCD", "PMT"}) or sensor.em_gain == 1.0
    assert sensor.binning == ("on-chip" if "CCD" in sensor.kind else "digital")
    assert (sensor.name, sensor.mode) == (name, mode)


@pytest.mark.parametrize(("name", "mode"), MODES)
def test_quantum_efficiency_goes_through_the_quoted_number(name: str, mode: str) -> None:
    sensor = camera_preset(name).sensor(mode)
    assert sensor.qe_at(sensor.qe_nm) == sensor.qe
    for wavelength_nm in range(300, 1100, 10):
        assert 0.0 <= sensor.qe_at(wavelength_nm) <= 1.0
    if name != "generic":
        assert sensor.qe_at(1100) < 0.05
        assert sensor.qe_at(460) > 0.7 * sensor.qe


@pytest.mark.parametrize("bits", [1, 4, 8, 12, 14])
def test_other_bits_keep_the_analogue_range(bits: int) -> None:
    flash, fewer = (camera_preset("orca-flash4").sensor(bits=wanted) for wanted in (None, bits))
    assert fewer.bits == bits
    assert 2**bits * fewer.gain_e_per_dn == pytest.approx(2**16 * flash.gain_e_per_dn)
    assert fewer.offset_dn * fewer.gain_e_per_dn == pytest.approx(100 * 0.47)
    assert (fewer.read_noise_e, fewer.full_well_e) == (flash.read_noise_e, flash.full_well_e)


@pytest.mark.parametrize(
    ("mode", "bits", "expected_mode", "gain_e_per_dn"),
    [
        (None, None, "sensitivity", 0.23),
        (None, 12, "sensitivity", 0.23),
        (None, 16, "dynamic-range", 0.24),
        (None, 8, "speed", 0.85),
        (None, 14, "sensitivity", 0.23 / 4),
        ("dynamic-range", 12, "dynamic-range", 0.24 * 16),
    ],
)
def test_bits_choose_a_mode_that_has_them(
    mode: str | None, bits: int | None, expected_mode: str, gain_e_per_dn: float
) -> None:
    sensor = camera_preset("kinetix").sensor(mode, bits=bits)
    assert sensor.mode == expected_mode
    assert sensor.gain_e_per_dn == pytest.approx(gain_e_per_dn)


def test_overrides() -> None:
    preset = camera_preset("orca-flash4")
    quieter = preset.sensor(read_noise_e=0.8, offset_dn=50, temperature_c=-30, serial=9)
    assert quieter.read_noise_median_e == pytest.approx(0.5)
    assert quieter.dark_now_e_per_s == pytest.approx(0.06 * 2 ** (-20 / 7))
    assert (quieter.offset_dn, quieter.serial) == (50, 9)
    assert preset.sensor(read_noise_e=0.0).read_noise_median_e is None
    assert preset.sensor(read_noise_median_e=1.2).read_noise_median_e == 1.2
    assert camera_preset("ixon-888").sensor(em_gain=50).em_gain == 50


@pytest.mark.parametrize("name", NAMES)
def test_a_camera_sits_at_the_temperature_of_its_quoted_dark_current(name: str) -> None:
    sensor = camera_preset(name).sensor()
    assert sensor.dark_now_e_per_s == sensor.dark_e_per_s


@pytest.mark.parametrize(
    ("name", "keywords", "received", "advice"),
    [
        ("orca-flash", {}, "'orca-flash'", "did you mean orca-flash4"),
        ("nikon", {}, "'nikon'", "allowed are generic, ixon-888"),
        ("kinetix", {"mode": "sensitivty"}, "'sensitivty'", "did you mean sensitivity"),
        ("kinetix", {"read_nois_e": 2}, "'read_nois_e'", "did you mean read_noise_e"),
        ("kinetix", {"bits": 17}, "bits=17", "1 and up to 16"),
        ("kinetix", {"bits": 0}, "bits=0", "1 and up to 16"),
        ("kinetix", {"em_gain": 30}, "em_gain=30 for a sCMOS", "only an EMCCD or a PMT"),
        ("kinetix", {"offset_dn": 5000}, "offset_dn=5000", "below 4095"),
        ("generic", {"read_noise_e": -1}, "read_noise_e=-1", "0 and up"),
        ("generic", {"qe": 1.2}, "qe=1.2", "0 and up to 1"),
        ("generic", {"kind": "film"}, "kind='film'", "'sCMOS'"),
        ("generic", {"mosaic": "RGBG"}, "mosaic='RGBG'", "'RGGB'"),
        ("generic", {"rolling": "up"}, "rolling='up'", "'centre-out'"),
        ("generic", {"binning": "both"}, "binning='both'", "'on-chip'"),
        ("generic", {"read_noise_median_e": 3}, "read_noise_median_e=3", "at most at its root"),
        ("generic", {"qe_curve": ((600, 1), (500, 1))}, "500 nm after 600", "Sort"),
        ("generic", {"qe_curve": ((300, 0), (600, 0))}, "0 at qe_nm=550", "Move qe_nm"),
        ("generic", {"temperature_c": float("nan")}, "temperature_c=nan", "-273 and up to 100"),
    ],
)
def test_cameras_that_do_not_exist(
    name: str, keywords: dict[str, Any], received: str, advice: str
) -> None:
    with pytest.raises(SourceError) as caught:
        camera_preset(name).sensor(**keywords)
    assert received in str(caught.value)
    assert advice in str(caught.value)
