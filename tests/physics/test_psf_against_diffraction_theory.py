"""The point spread function is the Airy pattern of scalar diffraction theory."""

import numpy as np
import numpy.typing as npt
import pytest

from dipstream_simulator.optics import Objective, airy_intensity, airy_psf

DRY_20 = Objective(20, 0.75)
OIL_60 = Objective(60, 1.4, 1.515)


def first_minimum_um(profile: npt.NDArray[np.float64], step_um: float) -> float:
    rising = np.flatnonzero(np.diff(profile) > 0)
    return float(rising[0] * step_um)


@pytest.mark.parametrize("objective", [DRY_20, OIL_60, Objective(10, 0.3)])
@pytest.mark.parametrize("wavelength_nm", [461.0, 525.0])
@pytest.mark.parametrize("pixel_um", [0.05, 0.108, 0.325])
def test_psf_is_odd_centred_symmetric_and_conserves_photons(
    objective: Objective, wavelength_nm: float, pixel_um: float
) -> None:
    psf = airy_psf(objective, wavelength_nm, pixel_um)
    half = len(psf) // 2
    assert psf.shape == (2 * half + 1, 2 * half + 1)
    assert psf.sum() == pytest.approx(1.0, abs=1e-12)
    assert psf.argmax() == half * len(psf) + half
    np.testing.assert_allclose(psf, psf[::-1, ::-1], atol=1e-15)
    np.testing.assert_allclose(psf, psf.T, atol=1e-15)
    assert (psf >= 0).all()


@pytest.mark.parametrize("objective", [DRY_20, OIL_60])
def test_first_zero_is_at_the_rayleigh_distance(objective: Objective) -> None:
    step_um = 0.002
    psf = airy_psf(objective, 525.0, step_um, radius_um=1.2 * 0.61 * 0.525 / objective.na)
    profile = psf[len(psf) // 2, len(psf) // 2 :]
    expected_um = 0.6098 * 0.525 / objective.na
    assert first_minimum_um(profile, step_um) == pytest.approx(expected_um, rel=0.01)
    assert objective.rayleigh_um(525.0) == pytest.approx(expected_um, rel=1e-4)


def test_smaller_aperture_and_longer_wavelength_blur_more() -> None:
    def peak(na: float, wavelength_nm: float) -> float:
        return float(airy_psf(Objective(20, na), wavelength_nm, 0.1, radius_um=4.0).max())

    assert peak(0.3, 525) < peak(0.5, 525) < peak(0.75, 525)
    assert peak(0.75, 700) < peak(0.75, 461)


def test_energy_within_the_first_zero() -> None:
    step_um = DRY_20.rayleigh_um(525.0) / 200
    radius_um = np.asarray((np.arange(200) + 0.5) * step_um, dtype=np.float64)
    inside = (airy_intensity(radius_um, DRY_20, 525.0) * 2 * np.pi * radius_um).sum() * step_um
    # The integral of [2 J1(v)/v]² v dv over all v is 2.
    total = 2 * np.pi * 2 * (0.525 / (2 * np.pi * DRY_20.na)) ** 2
    assert inside / total == pytest.approx(0.838, abs=0.005)


def test_two_points_at_the_rayleigh_distance_show_the_classical_dip() -> None:
    apart_um = DRY_20.rayleigh_um(525.0)
    x_um = np.linspace(-apart_um, apart_um, 2001)
    left = airy_intensity(np.abs(x_um + apart_um / 2), DRY_20, 525.0)
    right = airy_intensity(np.abs(x_um - apart_um / 2), DRY_20, 525.0)
    pair = left + right
    assert pair[1000] / pair.max() == pytest.approx(0.735, abs=0.005)


def test_pixel_integration_matches_brute_force() -> None:
    pixel_um, fine_um = 0.325, 0.325 / 65
    coarse = airy_psf(DRY_20, 461.0, pixel_um, radius_um=3 * pixel_um)
    axis_um = (np.arange(7 * 65) - (7 * 65 - 1) / 2) * fine_um
    radius_um = np.hypot(axis_um[:, None], axis_um[None, :])
    brute = airy_intensity(radius_um, DRY_20, 461.0).reshape(7, 65, 7, 65).sum(axis=(1, 3))
    np.testing.assert_allclose(coarse, brute / brute.sum(), atol=2e-3 * coarse.max())


def test_collected_fraction_is_the_solid_angle() -> None:
    assert DRY_20.collected_fraction == pytest.approx(0.1693, abs=1e-4)
    half_angle = np.arcsin(1.4 / 1.515)
    assert OIL_60.collected_fraction == pytest.approx((1 - np.cos(half_angle)) / 2)


@pytest.mark.parametrize(
    ("objective", "pixel_um", "nyquist_um"),
    [(Objective(10, 0.3), 0.65, 0.438), (DRY_20, 0.325, 0.175), (OIL_60, 0.108, 0.094)],
)
def test_sampling_table(objective: Objective, pixel_um: float, nyquist_um: float) -> None:
    assert objective.object_pixel_um(6.5) == pytest.approx(pixel_um, abs=5e-4)
    assert objective.nyquist_um(525.0) == pytest.approx(nyquist_um, abs=5e-4)
    assert objective.abbe_um(525.0) == pytest.approx(2 * objective.nyquist_um(525.0))
