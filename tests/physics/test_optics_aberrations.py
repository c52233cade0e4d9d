"""Aberrations and mismatched media blur and shift as wave optics says."""

import math

import numpy as np
import numpy.typing as npt
import pytest

from dipstream_simulator.optics import ABERRATIONS, Microscope, Objective
from dipstream_simulator.optics.field import SCALAR
from dipstream_simulator.optics.layers import Layers
from dipstream_simulator.optics.pupil import pupil_transfer
from dipstream_simulator.optics.radial import radial_density
from dipstream_simulator.optics.wavefront import Wavefront

OIL_60 = Objective(60, 1.4, 1.515)
DRY_40 = Objective(40, 0.95)
WAVELENGTH_NM = 525.0
CENTRE = np.zeros(1)

Array = npt.NDArray[np.float64]


def on_axis(wavefront: Wavefront, z_um: float) -> float:
    density = radial_density(SCALAR.terms, wavefront, WAVELENGTH_NM, z_um, 1.0)
    return float(density(CENTRE)[0])


def best_focus_um(wavefront: Wavefront, low_um: float, high_um: float) -> float:
    z_um = np.linspace(low_um, high_um, 161)
    return float(z_um[np.argmax([on_axis(wavefront, z) for z in z_um])])


def centroid_um(psf: Array, pixel_um: float) -> tuple[float, float]:
    axis = (np.arange(len(psf)) - len(psf) // 2) * pixel_um
    return float(psf.sum(axis=1) @ axis), float(psf.sum(axis=0) @ axis)


@pytest.mark.parametrize("name", [n for n in ABERRATIONS if not n.startswith("tilt")])
def test_strehl_ratio_follows_the_rms(name: str) -> None:
    """Maréchal: exp(−(2πσ/λ)²) for a small RMS σ, whatever its shape (Born & Wolf, §9.1.3)."""
    rms_nm = 25.0
    aberrated = Wavefront(0.75, Layers(1.0), ((name, rms_nm),))
    ideal = Wavefront(0.75, Layers(1.0))

    def peak(wavefront: Wavefront) -> float:
        transfer = pupil_transfer(SCALAR, wavefront, WAVELENGTH_NM, 0.0, 60.0)
        return float(transfer.image(CENTRE)[0, 0])

    expected = math.exp(-((2.0 * math.pi * rms_nm / WAVELENGTH_NM) ** 2))
    assert peak(aberrated) / peak(ideal) == pytest.approx(expected, abs=0.004)


@pytest.mark.parametrize("psf_model", ["scalar", "vectorial"])
@pytest.mark.parametrize("name", ["coma_x", "coma_y"])
def test_coma_moves_the_centroid(psf_model: str, name: str) -> None:
    rms_nm, pixel_um = 40.0, 0.05
    microscope = Microscope(OIL_60, psf_model=psf_model, aberrations_nm={name: rms_nm})  # type: ignore[arg-type]
    y_um, x_um = centroid_um(microscope.psf(WAVELENGTH_NM, 488.0, pixel_um), pixel_um)
    along, across = (x_um, y_um) if name == "coma_x" else (y_um, x_um)
    # The mean slope of √8(3ρ³ − 2ρ)cos φ over the pupil is √8, in units of rms/NA.
    expected = math.sqrt(8.0) * rms_nm * 1e-3 / 1.4
    if psf_model == "vectorial":
        expected *= 1.36  # its pupil weighs the steep edge more; from this code, to keep it so
    # The crop's edge costs some of the coma's tail.
    assert along == pytest.approx(expected, rel=0.07)
    assert abs(across) < 1e-3 * expected


@pytest.mark.parametrize("axis", [0, 1])
def test_tilt_moves_the_image_and_nothing_else(axis: int) -> None:
    # Z = 2ρ cos φ: a slope of 2·rms/NA, here 4 pixels.
    pixel_um, name = 0.05, ("tilt_y", "tilt_x")[axis]
    rms_nm = 4 * pixel_um * 1e3 * 1.4 / 2.0
    tilted = Microscope(OIL_60, aberrations_nm={name: rms_nm}).psf(525.0, 488.0, pixel_um)
    straight = Microscope(OIL_60).psf(525.0, 488.0, pixel_um)
    peak = np.unravel_index(tilted.argmax(), tilted.shape)
    shift = [int(peak[0]) - len(tilted) // 2, int(peak[1]) - len(tilted) // 2]
    assert shift[axis] == 4
    assert shift[1 - axis] == 0
    assert tilted.max() == pytest.approx(straight.max(), rel=0.01)


def test_spherical_aberration_tells_the_sides_of_the_focus_apart() -> None:
    microscope = Microscope(OIL_60, aberrations_nm={"spherical": 60.0})
    above = microscope.psf(525.0, 488.0, 0.08, 0.6)
    below = microscope.psf(525.0, 488.0, 0.08, -0.6)
    assert above.max() / below.max() > 1.5 or below.max() / above.max() > 1.5


@pytest.mark.parametrize("depth_um", [5.0, 10.0])
def test_watery_samples_under_oil_focus_nearer_to_the_coverslip(depth_um: float) -> None:
    # A small aperture sees only the paraxial shift: actual depth = nominal · n_s/n_i.
    paraxial = Wavefront(0.3, Layers(1.515, 1.333, depth_um))
    shift_um = best_focus_um(paraxial, -0.3 * depth_um, 0.1 * depth_um)
    assert shift_um == pytest.approx(-depth_um * (1.0 - 1.333 / 1.515), rel=0.04)
    # Marginal rays come down still nearer: a large aperture focuses before the paraxial plane.
    steep = Wavefront(1.2, Layers(1.515, 1.333, depth_um))
    assert best_focus_um(steep, -0.4 * depth_um, 0.1 * depth_um) < shift_um - 0.02 * depth_um


def test_dense_samples_shift_the_other_way() -> None:
    assert best_focus_um(Wavefront(0.8, Layers(1.0, 1.333, 10.0)), 0.0, 8.0) > 3.0


def test_mismatch_blurs_more_with_depth_and_not_at_the_coverslip() -> None:
    def peak(depth_um: float) -> float:
        wavefront = Wavefront(1.2, Layers(1.515, 1.333, depth_um))
        return max(on_axis(wavefront, z) for z in np.linspace(-0.3, 0.05, 71) * depth_um)

    ideal = on_axis(Wavefront(1.2, Layers(1.515)), 0.0)
    assert peak(0.0) == pytest.approx(ideal, rel=1e-6)
    assert ideal > 1.05 * peak(3.0) > 1.1 * peak(10.0)


def test_matched_media_do_not_notice_the_depth() -> None:
    deep = Microscope(OIL_60, sample_index=1.515, depth_um=50.0)
    np.testing.assert_allclose(
        deep.psf(525.0, 488.0, 0.1, 0.7),
        Microscope(OIL_60).psf(525.0, 488.0, 0.1, 0.7),
        atol=1e-12,
    )


def test_aperture_is_limited_by_the_sample() -> None:
    wavefront = Wavefront(1.49, Layers(1.515, 1.333, 0.0))
    assert wavefront.filled_na == 1.333
    density = radial_density(SCALAR.terms, wavefront, WAVELENGTH_NM, 0.0, 2.0)
    assert density(CENTRE)[0] == pytest.approx(math.pi * (1.333 / 0.525) ** 2, rel=1e-3)


@pytest.mark.parametrize(("na", "least", "most"), [(0.95, 0.0, 0.6), (0.3, 0.99, 1.0)])
def test_wrong_coverslips_hurt_high_dry_apertures(na: float, least: float, most: float) -> None:
    wrong = Wavefront(na, Layers(1.0, coverslip_um=190.0))
    strehl = max(on_axis(wrong, z) for z in np.linspace(-12.0, 12.0, 241))
    strehl /= on_axis(Wavefront(na, Layers(1.0)), 0.0)
    assert least <= strehl <= most


def test_coverslip_barely_matters_in_oil() -> None:
    wrong = Wavefront(1.4, Layers(1.515, coverslip_um=190.0))
    strehl = max(on_axis(wrong, z) for z in np.linspace(-0.5, 0.5, 101))
    assert strehl / on_axis(Wavefront(1.4, Layers(1.515)), 0.0) > 0.8


def test_coverslip_phase_is_that_of_the_two_layers() -> None:
    """20 µm more glass and, refocused for paraxial rays, n_i/n_g of it less air."""
    sine = np.linspace(0.0, 0.9, 10)
    waves = Layers(1.0, coverslip_um=190.0).path_waves(sine, 500.0, 0.0)
    glass = 20.0 * np.sqrt(1.5255**2 - sine**2)
    air = 20.0 / 1.5255 * np.sqrt(1.0 - sine**2)
    np.testing.assert_allclose(waves, (glass - air) / 0.5, rtol=1e-9)
    # No ρ² is left: near the axis the phase is flat.
    assert abs(waves[1] - waves[0]) < 0.01 * abs(waves[9] - waves[0])


def test_named_aberrations_belong_to_the_whole_pupil() -> None:
    """A sample that fills less of the pupil does not stretch the objective's own aberration."""
    full = Wavefront(1.49, Layers(1.515), (("spherical", 80.0),))
    cut = Wavefront(1.49, Layers(1.515, 1.333), (("spherical", 80.0),))
    rho = np.linspace(0.0, 1.0, 11)
    aberration = [
        wavefront.phase(sine / wavefront.filled_na, rho, WAVELENGTH_NM, 0.0)
        for wavefront, sine in ((full, rho * 1.333), (cut, rho * 1.333))
    ]
    np.testing.assert_allclose(aberration[0], aberration[1], atol=1e-12)
