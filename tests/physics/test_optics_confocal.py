"""A pinhole sharpens a little, sections a lot, and costs light."""

import itertools
import math

import numpy as np
import numpy.typing as npt
import pytest

from dipstream_simulator.optics import Microscope, Objective, airy_intensity, resolution
from dipstream_simulator.optics.confocal import pinhole_radius_um

WATER_60 = Objective(60, 1.2, 1.333)
DRY_20 = Objective(20, 0.75)

Array = npt.NDArray[np.float64]


def fwhm_um(profile: Array, step_um: float) -> float:
    """Full width of a falling profile that starts at its peak."""
    lowest = int(np.flatnonzero(profile < 0.5 * profile[0])[0])
    radius = np.arange(lowest + 1) * step_um
    return 2.0 * float(np.interp(-0.5 * profile[0], -profile[: lowest + 1], radius))


def lateral_fwhm_um(microscope: Microscope, excitation_nm: float = 488.0) -> float:
    psf = microscope.psf(525.0, excitation_nm, 0.01)
    half = len(psf) // 2
    return fwhm_um(psf[half, half:], 0.01)


def test_closed_pinhole_multiplies_the_patterns() -> None:
    pixel_um = 0.02
    psf = Microscope(DRY_20, "confocal", pinhole_au=0.02).psf(525.0, 488.0, pixel_um)
    half = len(psf) // 2
    radius = np.arange(half + 1, dtype=np.float64) * pixel_um
    product = airy_intensity(radius, DRY_20, 525.0) * airy_intensity(radius, DRY_20, 488.0)
    row = psf[half, half:]
    np.testing.assert_allclose(row / row[0], product, atol=2e-3)


def test_open_pinhole_leaves_the_laser_spot_and_all_the_light() -> None:
    psf = Microscope(DRY_20, "confocal", pinhole_au=20.0).psf(525.0, 488.0, 0.05)
    assert psf.sum() == pytest.approx(1.0, abs=0.04)
    spot = Microscope(DRY_20).psf(488.0, 488.0, 0.05)
    assert psf.max() == pytest.approx(spot.max(), rel=0.03)


def test_light_that_passes_is_the_encircled_energy() -> None:
    """Of a point on the axis, 83.8 % pass a pinhole of 1 Airy unit (Born & Wolf, §8.5.2)."""
    pixel_um = 0.01
    confocal = Microscope(DRY_20, "confocal", pinhole_au=1.0).psf(525.0, 488.0, pixel_um)
    laser = Microscope(DRY_20).psf(488.0, 488.0, pixel_um)
    assert confocal.max() / laser.max() == pytest.approx(0.838, abs=0.01)


@pytest.mark.parametrize("objective", [DRY_20, WATER_60], ids=str)
def test_width_between_the_two_limits(objective: Objective) -> None:
    closed = lateral_fwhm_um(Microscope(objective, "confocal", pinhole_au=0.05))
    open_ = lateral_fwhm_um(Microscope(objective, "confocal", pinhole_au=5.0))
    middle = lateral_fwhm_um(Microscope(objective, "confocal", pinhole_au=1.0))
    limit_um = resolution.confocal_lateral_fwhm_um(objective.na, 488.0, 525.0)
    assert closed == pytest.approx(limit_um, rel=0.02)
    assert open_ == pytest.approx(resolution.laser_spot_fwhm_um(objective.na, 488.0), rel=0.02)
    assert closed < middle < open_


def test_axial_width_of_a_point_with_a_closed_pinhole() -> None:
    microscope = Microscope(DRY_20, "confocal", pinhole_au=0.05)
    step_um = 0.05
    axis = np.array([microscope.psf(525.0, 488.0, 0.05, z).max() for z in np.arange(20) * step_um])
    limit_um = resolution.confocal_axial_fwhm_um(0.75, 1.0, 488.0, 525.0)
    assert fwhm_um(axis, step_um) == pytest.approx(limit_um, rel=0.05)


def kept(microscope: Microscope, z_um: float) -> float:
    """A share, or with it a fluorescent plane's signal at that defocus."""
    return float(microscope.psf(525.0, 488.0, 0.1, z_um).sum())


@pytest.mark.parametrize("psf_model", ["scalar", "vectorial", "gaussian"])
def test_planes_out_of_focus_fade(psf_model: str) -> None:
    confocal = Microscope(WATER_60, "confocal", psf_model)  # type: ignore[arg-type]
    shares = [kept(confocal, z) for z in (0.0, 0.3, 0.6, 1.5, 3.0)]
    assert 0.5 < shares[0] < 0.9
    assert all(later < 0.9 * earlier for earlier, later in itertools.pairwise(shares))
    # The cone's cross-section grows with z²: so does the loss (Wilson & Sheppard 1984, ch. 5).
    assert kept(confocal, 3.0) / kept(confocal, 6.0) == pytest.approx(4.0, rel=0.2)


@pytest.mark.parametrize("pinhole_au", [1.0, 2.0])
def test_section_is_a_fixed_share_of_the_geometric_estimate(pinhole_au: float) -> None:
    confocal = Microscope(DRY_20, "confocal", pinhole_au=pinhole_au)
    step_um = 0.1
    signal = np.array([kept(confocal, z) for z in np.arange(16) * step_um])
    formula_um = resolution.optical_section_um(0.75, 1.0, 525.0, pinhole_au)
    assert 0.6 < fwhm_um(signal, step_um) / formula_um < 0.7


def test_section_with_a_closed_pinhole() -> None:
    """A layer's section is a little thicker than a point's image is long."""
    confocal = Microscope(DRY_20, "confocal", pinhole_au=0.05)
    step_um = 0.05
    signal = np.array([kept(confocal, z) for z in np.arange(15) * step_um])
    point_um = resolution.confocal_axial_fwhm_um(0.75, 1.0, 488.0, 525.0)
    assert 1.0 < fwhm_um(signal, step_um) / point_um < 1.15


def test_wider_pinholes_pass_more_and_section_less() -> None:
    shares = {
        pinhole: (
            kept(Microscope(DRY_20, "confocal", pinhole_au=pinhole), 0.0),
            kept(Microscope(DRY_20, "confocal", pinhole_au=pinhole), 3.0),
        )
        for pinhole in (0.5, 1.0, 3.0)
    }
    focus = [share for share, _ in shares.values()]
    rejection = [share / far for share, far in shares.values()]
    assert focus == sorted(focus)
    assert rejection == sorted(rejection, reverse=True)


def cropped(psf: Array, half: int) -> Array:
    middle = len(psf) // 2
    return psf[middle - half : middle + half + 1, middle - half : middle + half + 1]


def test_general_engine_agrees_with_the_round_one() -> None:
    # A hundredth of a nanometre of astigmatism forces the general engine and changes nothing.
    forced = Microscope(WATER_60, "confocal", aberrations_nm={"astigmatism": 0.01})
    plain = Microscope(WATER_60, "confocal")
    for z_um in (0.0, 0.8):
        general = forced.psf(525.0, 488.0, 0.1, z_um)
        radial = plain.psf(525.0, 488.0, 0.1, z_um)
        assert abs(len(general) - len(radial)) <= 2
        half = min(len(general), len(radial)) // 2
        np.testing.assert_allclose(
            cropped(general, half), cropped(radial, half), atol=0.01 * radial.max()
        )
        assert general.sum() == pytest.approx(radial.sum(), rel=0.01)


def test_kernel_is_large_enough() -> None:
    confocal = Microscope(WATER_60, "confocal")
    for z_um in (0.0, 2.0):
        psf = confocal.psf(525.0, 488.0, 0.05, z_um)
        edge = psf.sum() - psf[2:-2, 2:-2].sum()
        assert edge < 1e-3 * psf.sum()


def test_airy_unit() -> None:
    assert pinhole_radius_um(1.0, 0.75, 525.0) == pytest.approx(DRY_20.rayleigh_um(525.0))
    assert pinhole_radius_um(2.0, 0.75, 525.0) == pytest.approx(2 * 0.6098 * 0.525 / 0.75, rel=1e-4)
    assert math.isclose(2 * pinhole_radius_um(1.0, 1.0, 1000.0), 1.2197, rel_tol=1e-4)
