"""Far from the focus rays replace waves, and nobody notices."""

import math

import numpy as np
import pytest

from dipstream_simulator.optics import Microscope, Objective
from dipstream_simulator.optics.field import SCALAR, FieldModel
from dipstream_simulator.optics.layers import Layers
from dipstream_simulator.optics.radial import integrate_pixels, radial_density
from dipstream_simulator.optics.rays import ray_density
from dipstream_simulator.optics.vectorial import VECTORIAL
from dipstream_simulator.optics.wavefront import Wavefront

DRY_20 = Objective(20, 0.75)
OIL_60 = Objective(60, 1.4, 1.515)


@pytest.mark.parametrize("objective", [DRY_20, OIL_60], ids=str)
@pytest.mark.parametrize("share", [0.25, 0.5, 0.99])
def test_rays_land_on_the_cone(objective: Objective, share: float) -> None:
    wavefront = Wavefront(objective.na, Layers(objective.immersion_index))
    sine = objective.na / objective.immersion_index * math.sqrt(share)
    expected_um = 10.0 * sine / math.sqrt(1.0 - sine**2)
    assert wavefront.reach_um(525.0, -10.0, share) == pytest.approx(expected_um, rel=0.01)


@pytest.mark.parametrize("model", [SCALAR, VECTORIAL], ids=["scalar", "vectorial"])
@pytest.mark.parametrize("objective", [DRY_20, OIL_60], ids=str)
def test_rays_and_waves_agree_on_coarse_pixels(objective: Objective, model: FieldModel) -> None:
    wavefront = Wavefront(objective.na, Layers(objective.immersion_index))
    spot_um = 0.525 / objective.na
    z_um = 40.0 * spot_um / wavefront.reach_um(525.0, 1.0, share=0.5)
    pixel_um, half_px = 8.0 * spot_um, 8
    waves = radial_density(model.terms, wavefront, 525.0, z_um, 12.0 * pixel_um)
    rays = ray_density(model.terms, wavefront, 525.0, z_um, 0.8 * spot_um)
    np.testing.assert_allclose(
        integrate_pixels(rays, pixel_um, half_px, spot_um),
        integrate_pixels(waves, pixel_um, half_px, spot_um),
        atol=1.5e-3,  # of all the light; a pixel in the middle has 1 %
    )


def test_rays_carry_all_the_light() -> None:
    wavefront = Wavefront(1.2, Layers(1.515, 1.333, 40.0))
    density = ray_density(SCALAR.terms, wavefront, 525.0, 100.0, 0.5)
    radius = (np.arange(20_000, dtype=np.float64) + 0.5) * 0.05
    light = (density(radius) * 2.0 * math.pi * radius).sum() * 0.05
    assert light == pytest.approx(1.0, abs=2e-3)


@pytest.mark.parametrize(
    ("psf_model", "aberrations"),
    [
        ("scalar", {}),
        ("vectorial", {}),
        ("gaussian", {}),
        ("scalar", {"coma_x": 40.0}),
        ("vectorial", {"coma_x": 40.0}),
    ],
)
def test_very_far_points_are_quick_and_keep_their_light(
    psf_model: str, aberrations: dict[str, float]
) -> None:
    microscope = Microscope(OIL_60, psf_model=psf_model, aberrations_nm=aberrations)  # type: ignore[arg-type]
    psf = microscope.psf(525.0, 488.0, 2.0, 200.0)
    assert psf.sum() == pytest.approx(1.0, abs=1e-3)
    assert psf.min() >= 0.0
    assert len(psf) < 1025


def test_confocal_rejection_goes_on_with_the_square_of_the_distance() -> None:
    confocal = Microscope(DRY_20, "confocal")
    shares = [float(confocal.psf(525.0, 488.0, 1.0, z).sum()) for z in (20.0, 40.0, 80.0)]
    assert shares[0] / shares[1] == pytest.approx(4.0, rel=0.05)
    assert shares[1] / shares[2] == pytest.approx(4.0, rel=0.05)
