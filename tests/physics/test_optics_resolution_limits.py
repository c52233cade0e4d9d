"""What the microscope resolves, against the numbers of diffraction theory."""

import math

import numpy as np
import numpy.typing as npt
import pytest
from scipy import interpolate, optimize

from dipstream_simulator.optics import Microscope, Objective, airy_intensity, mtf_of_psf, resolution
from dipstream_simulator.optics.field import SCALAR, FieldModel
from dipstream_simulator.optics.layers import Layers
from dipstream_simulator.optics.radial import radial_density
from dipstream_simulator.optics.vectorial import VECTORIAL
from dipstream_simulator.optics.wavefront import Wavefront

WAVELENGTH_NM = 525.0
DRY_20 = Objective(20, 0.75)
OIL_60 = Objective(60, 1.4, 1.515)
OBJECTIVES = [Objective(10, 0.3), DRY_20, Objective(60, 1.2, 1.333), OIL_60]

Array = npt.NDArray[np.float64]


def spot_um(objective: Objective) -> float:
    return WAVELENGTH_NM * 1e-3 / objective.na


def middle_row(objective: Objective, pixel_um: float) -> tuple[Array, Array]:
    """The image of a point along x, the distance from its middle in µm."""
    psf = Microscope(objective).psf(WAVELENGTH_NM, 488.0, pixel_um)
    half = len(psf) // 2
    return np.arange(-half, half + 1, dtype=np.float64) * pixel_um, psf[half]


def minimum_and_fwhm(objective: Objective, model: FieldModel) -> tuple[float, float]:
    """In units of λ/NA, from the density of an ideal wavefront."""
    wavefront = Wavefront(objective.na, Layers(objective.immersion_index))
    spot = spot_um(objective)
    density = radial_density(model.terms, wavefront, WAVELENGTH_NM, 0.0, 1.5 * spot)
    radius = np.linspace(0.0, 1.2, 2401)
    profile = density(radius * spot)
    lowest = int(np.flatnonzero(np.diff(profile) > 0)[0])
    half = np.interp(-0.5 * profile[0], -profile[: lowest + 1], radius[: lowest + 1])
    return float(radius[lowest]), 2.0 * float(half)


@pytest.mark.parametrize("objective", OBJECTIVES, ids=str)
def test_scalar_zero_and_width_are_those_of_the_airy_pattern(objective: Objective) -> None:
    minimum, fwhm = minimum_and_fwhm(objective, SCALAR)
    assert minimum == pytest.approx(0.6098, rel=0.01)
    assert fwhm == pytest.approx(0.5145, rel=0.002)
    assert resolution.airy_fwhm_um(objective.na, WAVELENGTH_NM) == pytest.approx(
        fwhm * spot_um(objective), rel=0.002
    )


@pytest.mark.parametrize(
    ("objective", "minimum", "fwhm"), [(DRY_20, 0.66, 0.544), (OIL_60, 0.71, 0.564)]
)
def test_vectorial_minimum_and_width(objective: Objective, minimum: float, fwhm: float) -> None:
    seen_minimum, seen_fwhm = minimum_and_fwhm(objective, VECTORIAL)
    assert seen_minimum == pytest.approx(minimum, rel=0.02)
    assert seen_fwhm == pytest.approx(fwhm, rel=0.02)


def test_vectorial_pattern_becomes_scalar_at_small_apertures() -> None:
    minimum, fwhm = minimum_and_fwhm(Objective(4, 0.1), VECTORIAL)
    assert (minimum, fwhm) == pytest.approx((0.6098, 0.5145), rel=0.003)


@pytest.mark.parametrize("objective", OBJECTIVES, ids=str)
def test_pattern_in_focus_is_airy_everywhere(objective: Objective) -> None:
    wavefront = Wavefront(objective.na, Layers(objective.immersion_index))
    radius = np.linspace(0.0, 5.0 * spot_um(objective), 777)
    density = radial_density(SCALAR.terms, wavefront, WAVELENGTH_NM, 0.0, 6.0 * spot_um(objective))
    airy = airy_intensity(radius, objective, WAVELENGTH_NM) * math.pi / spot_um(objective) ** 2
    np.testing.assert_allclose(density(radius), airy, atol=2e-4 * airy[0])


@pytest.mark.parametrize("objective", [DRY_20, OIL_60], ids=str)
def test_rayleigh_pair_on_fine_pixels(objective: Objective) -> None:
    apart_um = objective.rayleigh_um(WAVELENGTH_NM)
    x_um, row = middle_row(objective, apart_um / 30)  # 0.02 λ/NA
    pair = np.interp(x_um - apart_um / 2, x_um, row) + np.interp(x_um + apart_um / 2, x_um, row)
    assert pair[len(pair) // 2] / pair.max() == pytest.approx(0.735, abs=0.005)


def pair_at_phase(point: Array, steps: int, phase: int, apart: int) -> Array:
    """Pixels of `steps` fine samples through two points, the middle at a sub-pixel phase."""
    centre = len(point) // 2
    ends = np.arange(-3, 4) * steps + phase
    return np.asarray(point[centre + ends - apart // 2] + point[centre + ends + apart // 2])


def test_rayleigh_pair_on_the_nyquist_pixel() -> None:
    # 60 fine steps between the points; 25 of them, 0.2541 λ/NA, are a pixel.
    steps, apart = 25, 60
    step_um = DRY_20.rayleigh_um(WAVELENGTH_NM) / apart
    fine = Microscope(DRY_20).psf(WAVELENGTH_NM, 488.0, step_um)
    middle = len(fine) // 2
    band = fine[middle - 12 : middle + 13].sum(axis=0)
    point = np.convolve(band, np.ones(steps), mode="same")
    # Sub-pixel phases of a periodic row of pixels together trace out the integrated profile.
    traced = np.roll(point, apart // 2) + np.roll(point, -apart // 2)
    ratio = traced[middle] / traced[middle - apart : middle + apart].max()
    assert ratio == pytest.approx(0.79, abs=0.005)

    # The same by brute force: the Airy formula, summed over each pixel's area.
    x_um = np.arange(-120, 121, dtype=np.float64) * step_um
    y_um = (np.arange(25) - 12) * step_um
    airy = airy_intensity(np.hypot(y_um[:, None], x_um), DRY_20, WAVELENGTH_NM).sum(axis=0)
    brute = np.convolve(airy, np.ones(steps), mode="same")
    for phase in range(-12, 13):
        seen = pair_at_phase(point, steps, phase, apart)
        numeric = pair_at_phase(brute, steps, phase, apart)
        np.testing.assert_allclose(seen / seen.max(), numeric / numeric.max(), atol=2e-3)
        dip = seen[2:5].min() / seen.max()
        assert 0.79 <= dip <= 0.91


@pytest.mark.parametrize("objective", [DRY_20, OIL_60], ids=str)
def test_sparrow_dip_vanishes(objective: Objective) -> None:
    x_um, row = middle_row(objective, 0.02 * spot_um(objective))
    bend = interpolate.CubicSpline(x_um, row).derivative(2)
    # Between two points the profile is flat where each has an inflection at half the distance.
    half = optimize.brentq(lambda u: float(bend(u * spot_um(objective))), 0.15, 0.35)
    assert 2.0 * half == pytest.approx(0.474, abs=0.005)
    sparrow = resolution.sparrow_um(objective.na, WAVELENGTH_NM) / spot_um(objective)
    assert sparrow == pytest.approx(0.4736, abs=1e-4)


@pytest.mark.parametrize("objective", OBJECTIVES, ids=str)
def test_axial_zero_is_exact_not_paraxial(objective: Objective) -> None:
    wavefront = Wavefront(objective.na, Layers(objective.immersion_index))
    exact = resolution.axial_exact_um(objective.na, objective.immersion_index, WAVELENGTH_NM)
    z_um = np.concatenate([[0.0], np.linspace(0.9, 1.2, 301) * exact])
    centre = np.zeros(1)
    axis = np.array(
        [
            radial_density(SCALAR.terms, wavefront, WAVELENGTH_NM, z, spot_um(objective))(centre)[0]
            for z in z_um
        ]
    )
    lowest = int(np.flatnonzero(np.diff(axis) > 0)[0])
    assert z_um[lowest] == pytest.approx(exact, rel=0.05)
    assert axis[lowest] < 0.02 * axis[0]


def test_paraxial_axial_zero_is_too_long_at_high_apertures() -> None:
    paraxial = resolution.axial_paraxial_um(1.4, 1.515, WAVELENGTH_NM)
    assert paraxial / resolution.axial_exact_um(1.4, 1.515, WAVELENGTH_NM) == pytest.approx(
        1.45, abs=0.01
    )
    low = resolution.axial_paraxial_um(0.1, 1.0, 525.0) / resolution.axial_exact_um(0.1, 1.0, 525.0)
    assert low == pytest.approx(1.0, abs=0.005)


@pytest.mark.parametrize("objective", [DRY_20, OIL_60], ids=str)
def test_mtf_of_the_image_of_a_point(objective: Objective) -> None:
    pixel_um = spot_um(objective) / 10
    psf = Microscope(objective).psf(WAVELENGTH_NM, 488.0, pixel_um)
    frequency, mtf = mtf_of_psf(psf, pixel_um)
    mtf = mtf / np.sinc(frequency * pixel_um)
    cutoff = resolution.cutoff_per_um(objective.na, WAVELENGTH_NM)
    assert np.interp(0.5 * cutoff, frequency, mtf) == pytest.approx(0.391, abs=0.01)
    np.testing.assert_allclose(
        mtf, resolution.mtf(frequency, objective.na, WAVELENGTH_NM), atol=0.012
    )
    assert float(resolution.mtf(0.5 * cutoff, objective.na, WAVELENGTH_NM)) == pytest.approx(
        0.3910, abs=1e-4
    )
    beyond = (np.where(frequency > 1.02 * cutoff, mtf, 0.0) ** 2).sum() / (mtf**2).sum()
    assert beyond < 1e-6


@pytest.mark.parametrize("objective", [DRY_20, OIL_60], ids=str)
def test_encircled_energy_to_the_first_zero(objective: Objective) -> None:
    wavefront = Wavefront(objective.na, Layers(objective.immersion_index))
    zero_um = objective.rayleigh_um(WAVELENGTH_NM)
    density = radial_density(SCALAR.terms, wavefront, WAVELENGTH_NM, 0.0, 2.0 * zero_um)
    radius = (np.arange(400, dtype=np.float64) + 0.5) * (zero_um / 400)
    inside = (density(radius) * 2.0 * math.pi * radius).sum() * zero_um / 400
    assert inside == pytest.approx(0.838, abs=0.005)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (resolution.rayleigh_um(1.4, 525), 0.229),
        (resolution.nyquist_um(0.3, 525), 0.438),
        (resolution.abbe_um(0.75, 525), 0.350),
        (resolution.gaussian_sigma_xy_um(1.0, 1000), 0.225),
        (resolution.gaussian_sigma_z_um(1.0, 1.0, 1000), 0.780),
        (resolution.depth_of_field_um(0.75, 1.0, 525, 20, 6.5), 0.9333 + 0.4333),
        # Equal wavelengths: λ̄ = λ.
        (resolution.confocal_lateral_fwhm_um(1.0, 500, 500), 0.185),
        (resolution.confocal_axial_fwhm_um(0.8, 1.0, 500, 500), 0.8),
        (resolution.laser_spot_fwhm_um(1.0, 500), 0.255),
        (resolution.optical_section_um(0.8, 1.0, 500, 0.0), 1.1),
    ],
)
def test_formulas_at_known_numbers(value: float, expected: float) -> None:
    assert value == pytest.approx(expected, abs=6e-4)
