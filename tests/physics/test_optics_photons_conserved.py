"""No plane gains or loses photons, and every kernel sits on its middle pixel."""

import numpy as np
import numpy.typing as npt
import pytest

from dipstream_simulator.optics import MAX_PSF_PX, Microscope, Objective
from dipstream_simulator.optics.field import SCALAR, FieldModel
from dipstream_simulator.optics.layers import Layers
from dipstream_simulator.optics.pupil import pupil_transfer
from dipstream_simulator.optics.radial import integrate_pixels, radial_density
from dipstream_simulator.optics.vectorial import VECTORIAL
from dipstream_simulator.optics.wavefront import Wavefront

DRY_20 = Objective(20, 0.75)
OIL_60 = Objective(60, 1.4, 1.515)
COMA = (("coma_x", 40.0),)

Array = npt.NDArray[np.float64]


def density_sum(
    objective: Objective, model: FieldModel, z_um: float, layers: Layers, radius_spots: float
) -> float:
    """The light in a wide square, before any rescaling."""
    wavefront = Wavefront(objective.na, layers)
    spot_um = 0.525 / objective.na
    pixel_um = 0.25 * spot_um
    half_px = round(radius_spots * 4)
    density = radial_density(model.terms, wavefront, 525.0, z_um, 1.45 * half_px * pixel_um)
    return float(integrate_pixels(density, pixel_um, half_px, spot_um).sum())


@pytest.mark.parametrize("model", [SCALAR, VECTORIAL], ids=["scalar", "vectorial"])
@pytest.mark.parametrize(
    ("objective", "z_um"),
    [(DRY_20, 0.0), (DRY_20, 4.0), (OIL_60, 0.0), (OIL_60, -1.5), (OIL_60, 4.0)],
)
def test_planes_are_normalised_before_they_are_cropped(
    model: FieldModel, objective: Objective, z_um: float
) -> None:
    # The tails hold 2/(π v) of the Airy pattern, a little more of the vectorial one.
    total = density_sum(objective, model, z_um, Layers(objective.immersion_index), 60.0)
    assert total == pytest.approx(1.0, abs=0.005)


def test_the_tail_is_what_is_missing() -> None:
    layers = Layers(1.0)
    missing = [1.0 - density_sum(DRY_20, SCALAR, 0.0, layers, spots) for spots in (5, 20, 80)]
    assert missing[0] / missing[1] == pytest.approx(4.0, rel=0.05)
    assert missing[1] / missing[2] == pytest.approx(4.0, rel=0.1)


@pytest.mark.parametrize("psf_model", ["scalar", "vectorial", "gaussian"])
@pytest.mark.parametrize("objective", [Objective(4, 0.16), DRY_20, OIL_60], ids=str)
def test_every_widefield_plane_has_all_the_light(psf_model: str, objective: Objective) -> None:
    microscope = Microscope(objective, psf_model=psf_model)  # type: ignore[arg-type]
    depth_um = 0.525 * objective.immersion_index / objective.na**2
    for z_um in depth_um * np.array([-8.0, -1.0, 0.0, 0.3, 1.0, 4.0]):
        psf = microscope.psf(525.0, 488.0, 0.15 * 0.525 / objective.na, z_um)
        assert psf.sum() == pytest.approx(1.0, abs=1e-3)
        assert psf.min() >= 0.0


@pytest.mark.parametrize(
    ("z_um", "options"),
    [
        (0.7, {"aberrations_nm": COMA}),
        (-0.7, {"aberrations_nm": COMA, "psf_model": "vectorial"}),
        (-1.0, {"sample_index": 1.333, "depth_um": 5.0}),
        (0.0, {"coverslip_um": 200.0}),
        (12.0, {}),
    ],
)
def test_aberrated_planes_have_all_the_light(z_um: float, options: dict[str, object]) -> None:
    microscope = Microscope(OIL_60, **options)  # type: ignore[arg-type]
    psf = microscope.psf(525.0, 488.0, 0.1, z_um)
    assert psf.sum() == pytest.approx(1.0, abs=1e-3)
    assert len(psf) <= MAX_PSF_PX


@pytest.mark.parametrize("method", ["widefield", "confocal"])
@pytest.mark.parametrize("psf_model", ["scalar", "vectorial", "gaussian"])
@pytest.mark.parametrize("pixel_um", [0.06, 0.31])
@pytest.mark.parametrize("z_um", [0.0, 1.3])
def test_kernels_are_odd_centred_and_symmetric(
    method: str, psf_model: str, pixel_um: float, z_um: float
) -> None:
    microscope = Microscope(OIL_60, method, psf_model)  # type: ignore[arg-type]
    psf = microscope.psf(525.0, 488.0, pixel_um, z_um)
    size = len(psf)
    assert psf.shape == (size, size)
    assert size % 2 == 1
    np.testing.assert_allclose(psf, psf[::-1, ::-1], atol=1e-12)
    np.testing.assert_allclose(psf, psf.T, atol=1e-12)
    axis = np.arange(size) - size // 2
    assert abs((psf.sum(axis=0) * axis).sum()) < 1e-9
    assert abs((psf.sum(axis=1) * axis).sum()) < 1e-9


@pytest.mark.parametrize("pixel_um", [0.05, 0.2])
def test_general_engine_is_centred(pixel_um: float) -> None:
    # Trefoil and astigmatism leave the centroid in the middle, though they are not round.
    microscope = Microscope(OIL_60, aberrations_nm={"astigmatism": 60.0})
    psf = microscope.psf(525.0, 488.0, pixel_um, 0.4)
    np.testing.assert_allclose(psf, psf[::-1], atol=1e-9)
    np.testing.assert_allclose(psf, psf[:, ::-1], atol=1e-9)
    assert np.abs(psf - psf.T).max() > 0.05 * psf.max()


@pytest.mark.parametrize("psf_model", ["scalar", "vectorial", "gaussian"])
@pytest.mark.parametrize("method", ["widefield", "confocal"])
def test_defocus_is_symmetric_without_a_mismatch(psf_model: str, method: str) -> None:
    microscope = Microscope(OIL_60, method, psf_model)  # type: ignore[arg-type]
    np.testing.assert_allclose(
        microscope.psf(525.0, 488.0, 0.1, 1.1),
        microscope.psf(525.0, 488.0, 0.1, -1.1),
        atol=1e-12,
    )


@pytest.mark.parametrize("z_um", [0.0, 2.0])
def test_another_magnification_with_the_same_object_pixel_changes_nothing(z_um: float) -> None:
    def image(magnification: float, camera_pixel_um: float) -> Array:
        objective = Objective(magnification, 1.4, 1.515)
        pixel_um = objective.object_pixel_um(camera_pixel_um)
        return Microscope(objective).psf(525.0, 488.0, pixel_um, z_um)

    np.testing.assert_allclose(image(60, 6.5), image(120, 13.0), rtol=1e-12)
    assert image(60, 6.5).max() > image(100, 6.5).max()


@pytest.mark.parametrize("model", [SCALAR, VECTORIAL], ids=["scalar", "vectorial"])
@pytest.mark.parametrize("z_um", [0.0, 1.0])
def test_both_engines_agree_where_both_apply(model: FieldModel, z_um: float) -> None:
    wavefront = Wavefront(1.4, Layers(1.515), (("spherical", 30.0),))
    pixel_um, half_px, spot_um = 0.08, 60, 0.375
    density = radial_density(model.terms, wavefront, 525.0, z_um, 1.5 * half_px * pixel_um)
    radial = integrate_pixels(density, pixel_um, half_px, spot_um)
    transfer = pupil_transfer(model, wavefront, 525.0, z_um, 4 * half_px * pixel_um)
    axis_um = np.arange(-half_px, half_px + 1, dtype=np.float64) * pixel_um
    general = transfer.over_pixels(pixel_um).image(axis_um)
    np.testing.assert_allclose(general, radial, atol=0.005 * radial.max())


def test_kernels_grow_with_the_cone_of_rays() -> None:
    microscope = Microscope(DRY_20)
    sizes = [len(microscope.psf(525.0, 488.0, 0.2, z)) for z in (0.0, 5.0, 10.0)]
    tangent = 0.75 / np.sqrt(1 - 0.75**2)
    assert (sizes[1] - sizes[0]) / 2 * 0.2 == pytest.approx(5.0 * tangent, rel=0.05)
    assert (sizes[2] - sizes[0]) / 2 * 0.2 == pytest.approx(10.0 * tangent, rel=0.05)


@pytest.mark.parametrize("objective", [DRY_20, OIL_60], ids=str)
def test_what_is_rendered_keeps_its_middle_and_its_halo(objective: Objective) -> None:
    """The light that the crop cuts off is not piled up in the middle."""
    pixel_um = 0.05 * 0.525 / objective.na
    psf = Microscope(objective).psf(525.0, 488.0, pixel_um)
    axis_um = (np.arange(len(psf)) - len(psf) // 2) * pixel_um
    radius_um = np.hypot(axis_um[:, None], axis_um[None, :])
    inside = np.clip((objective.rayleigh_um(525.0) - radius_um) / pixel_um + 0.5, 0.0, 1.0)
    assert (psf * inside).sum() == pytest.approx(0.838, abs=0.002)
    assert psf.sum() == pytest.approx(1.0, abs=1e-6)
