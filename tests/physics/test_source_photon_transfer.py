"""What a bench measures on frames of `sim:` is what the camera's preset says.

Photon transfer after EMVA Standard 1288, release 4.0, §6 and §7; nothing but the public source is
used: `dipstream calibrate` does the same.
"""

from typing import Any

import numpy as np
import pytest

import dipstream as ds
from dipstream.calibrate import Calibration, calibrate, warnings_of
from dipstream.frame import Frame, Segment
from dipstream_simulator.sensor import camera_names, camera_preset

MODES = [(name, mode) for name in camera_names() for mode in camera_preset(name).modes]
SOLVABLE_DN = 0.5  # below this the ADC's steps hide the read noise


def calibrated(camera: str, mode: str) -> Calibration:
    with ds.open_source(f"sim:{camera}?mode={mode}&width=512&height=512&seed=7") as source:
        (found,) = calibrate(source, levels=50)
    return found


@pytest.fixture(scope="module")
def calibrations(two_at_a_time: Any) -> Any:
    return two_at_a_time("test_a_calibration_recovers_each_preset", calibrated)


@pytest.mark.parametrize(("camera", "mode"), MODES)
def test_a_calibration_recovers_each_preset(
    camera: str, mode: str, calibrations: Any, request: pytest.FixtureRequest
) -> None:
    sensor = camera_preset(camera).sensor(mode)
    found: Calibration = calibrations[request.node.callspec.id].result()
    # The fewest electrons, 20 at the most, are those of pmt-gaasp in its weak-light mode, where
    # 12 levels are below 70 % of saturation: 0.14 %.
    assert found.gain_e_per_dn.se < 0.0017 * sensor.gain_e_per_dn
    assert found.gain_e_per_dn.value == pytest.approx(sensor.gain_e_per_dn, rel=0.005)
    assert found.excess_noise == sensor.noise_factor
    assert found.excess_noise_from == ("source" if sensor.multiplies else "none")
    assert found.offset_dn.value == pytest.approx(sensor.offset_dn, rel=0.005)
    if sensor.read_noise_e / sensor.gain_e_per_dn >= SOLVABLE_DN:
        assert found.read_noise_e.value == pytest.approx(sensor.read_noise_e, rel=0.01)
    else:
        assert not found.floor.resolved
    assert found.saturation_e is not None
    assert found.full_well_e is not None
    # EMVA's is below the full well where noise is a large part of it: most with 20 electrons.
    assert 0.65 < found.saturation_e.value / found.full_well_e.value < 1.02


@pytest.mark.parametrize("camera", ["generic", "pmt-gaasp", "ixon-888"])
def test_a_camera_without_read_noise(camera: str) -> None:
    uri = f"sim:{camera}?width=128&height=128&read_noise_e=0&dark_e_per_s=0"
    with ds.open_source(uri) as source:
        (found,) = calibrate(source)
    assert found.read_noise_e.value == pytest.approx(0.0, abs=0.3 * found.gain_e_per_dn.value)
    assert any("unreliable" in text for text in warnings_of(found))


def flat_pair(camera: str, photons: float) -> tuple[np.ndarray, np.ndarray, Segment]:
    uri = f"sim:{camera}?specimen=flat&photons={photons}&width=512&height=512&fps=0&frames=2"
    with ds.open_source(uri) as source:
        one, other = source.frames()
    assert isinstance(one, Frame)
    assert isinstance(other, Frame)
    return one.data.astype(float), other.data.astype(float), one.info.segment


def test_photon_transfer_by_hand() -> None:
    """50 levels of `specimen=flat&photons=…`, as a student would do it."""
    means, variances = [], []
    for photons in np.linspace(0, 25_000, 50):
        one, other, segment = flat_pair("orca-flash4", float(photons))
        means.append((one.mean() + other.mean()) / 2)
        variances.append((one - other).var() / 2)
    weights = 1 / np.asarray(variances)
    slope, intercept = np.polyfit(means, variances, 1, w=weights)
    gain = segment.gain_e_per_dn
    assert gain is not None
    assert 1 / slope == pytest.approx(gain, rel=0.005)
    read_noise_e = gain * (variances[0] - 1 / 12) ** 0.5
    assert read_noise_e == pytest.approx(1.6, rel=0.01)
    assert means[0] == pytest.approx(segment.offset_dn, abs=0.05)
    del intercept


@pytest.mark.parametrize("photons", [10.0, 500.0])
@pytest.mark.parametrize("camera", ["orca-flash4", "orca-r2", "ixon-888", "kinetix"])
def test_the_mean_is_quantum_efficiency_times_photons(camera: str, photons: float) -> None:
    sensor = camera_preset(camera).sensor()
    one, _, segment = flat_pair(camera, photons)
    gain = segment.gain_e_per_dn
    assert gain is not None
    electrons = (one - segment.offset_dn) * gain / (segment.em_gain or 1)
    # The shot noise, and what each pixel is off by itself.
    expected = sensor.qe * photons + sensor.dark_e_per_s * 0.01 + sensor.cic_e
    error = electrons.std() / one.size**0.5 + expected * 2e-4
    assert electrons.mean() == pytest.approx(expected, abs=4 * error + 0.005)


def test_a_flat_field_is_flat_whatever_the_optics() -> None:
    means = []
    for optics in ("objective=10x0.30", "objective=100x1.49&vignetting=0&exposure_ms=50"):
        uri = f"sim:?specimen=flat&photons=300&width=64&height=64&fps=0&frames=1&{optics}"
        with ds.open_source(uri) as source:
            (frame,) = source.frames()
        means.append(frame.data.mean())
    assert means[0] == pytest.approx(means[1], abs=0.5)
