"""Points: light is conserved, lies where the point is, and is spread as the optics say."""

import numpy as np
import pytest
from scipy import ndimage

from dipstream_simulator.optics import Microscope, Objective
from dipstream_simulator.render import Renderer, View
from dipstream_simulator.specimen.model import CHANNELS
from dipstream_simulator.specimen.points import Point, StillPoints, still_objects

GFP = CHANNELS["GFP"]
DRY = Objective(20, 0.75)
WATER = Objective(60, 1.2, 1.333)


def points(
    *places_um: tuple[float, float, float], radius_um: float = 0.0, channel: str = "GFP"
) -> StillPoints:
    z_um, y_um, x_um = np.array(places_um).T
    still = still_objects(y_um, x_um, z_um, np.ones((len(z_um), 1)))
    return StillPoints((CHANNELS[channel],), (40.0, 40.0), (Point(radius_um, 0.2, 1),), still)


def image(renderer: Renderer, view: View | None = None) -> np.ndarray:
    return renderer.photons(0, 0, view or View(), signal=1000.0, background=0.0).astype(float)


@pytest.mark.parametrize("radius_um", [0.0, 0.05, 0.5, 2.0])
@pytest.mark.parametrize(
    ("dy", "dx"), [(0.0, 0.0), (0.5, -0.5), (0.31, 0.07), (-0.49, 0.49), (0.499, 0.501)]
)
def test_light_is_conserved_and_centred_at_any_sub_pixel_place(
    radius_um: float, dy: float, dx: float
) -> None:
    pixel_um = 0.325
    specimen = points((0.0, dy * pixel_um, dx * pixel_um), radius_um=radius_um)
    seen = image(Renderer(specimen, Microscope(DRY), shape=(81, 83), pixel_um=pixel_um))
    assert seen.sum() == pytest.approx(1000.0, rel=1e-4)
    np.testing.assert_allclose(ndimage.center_of_mass(seen), (40 + dy, 41 + dx), atol=0.01)


@pytest.mark.parametrize("z_um", [0.05, 0.4, -0.4, 1.0, -2.3, 4.0, 7.0])
@pytest.mark.parametrize(("objective", "pixel_um"), [(DRY, 0.325), (WATER, 0.108)])
def test_every_plane_of_defocus_holds_all_photons(
    objective: Objective, pixel_um: float, z_um: float
) -> None:
    side = 601 if objective is WATER else 161
    renderer = Renderer(
        points((0, 0.1, 0.2)), Microscope(objective), shape=(side, side), pixel_um=pixel_um
    )
    focused, blurred = image(renderer), image(renderer, View(z_um=z_um))
    assert blurred.sum() == pytest.approx(1000.0, rel=1e-3)
    assert blurred.max() < focused.max()


def test_in_focus_each_pixel_holds_the_integral_of_the_psf_over_its_area() -> None:
    microscope = Microscope(WATER)
    seen = image(Renderer(points((0, 0, 0)), microscope, shape=(31, 31), pixel_um=0.108))
    psf = microscope.psf(GFP.emission_nm, GFP.excitation_nm, 0.108)
    middle = len(psf) // 2
    expected = 1000.0 * psf[middle - 15 : middle + 16, middle - 15 : middle + 16]
    np.testing.assert_allclose(seen, expected, atol=0.002 * expected.max())


def test_between_fine_samples_the_image_is_still_that_of_a_shifted_point() -> None:
    # On the corner of four pixels: the sum over a quadrant of a PSF drawn 20 times finer, whose
    # first and last samples lie half in the next pixel.
    microscope = Microscope(WATER)
    fine = microscope.psf(GFP.emission_nm, GFP.excitation_nm, 0.108 / 20)
    middle = len(fine) // 2
    share = np.array([0.5, *[1.0] * 19, 0.5])
    expected = 1000.0 * share @ fine[middle : middle + 21, middle : middle + 21] @ share
    renderer = Renderer(points((0, 0.054, 0.054)), microscope, shape=(31, 31), pixel_um=0.108)
    np.testing.assert_allclose(image(renderer)[15:17, 15:17], expected, rtol=0.01)


@pytest.mark.parametrize("z_um", [0.03, 0.11, 0.33, 0.71, 1.3, -0.9])
def test_between_the_heights_that_are_drawn_the_image_follows_the_optics(z_um: float) -> None:
    microscope = Microscope(WATER)
    renderer = Renderer(points((0, 0, 0)), microscope, shape=(41, 41), pixel_um=0.108)
    psf = microscope.psf(GFP.emission_nm, GFP.excitation_nm, 0.108, -z_um)
    middle = len(psf) // 2
    expected = 1000.0 * psf[middle - 20 : middle + 21, middle - 20 : middle + 21]
    seen = image(renderer, View(z_um=z_um))
    focused = image(renderer).max()
    np.testing.assert_allclose(seen, expected, atol=0.01 * focused)


def test_a_stack_of_planes_changes_smoothly_and_sharpest_where_the_point_is() -> None:
    renderer = Renderer(points((1.0, 0, 0)), Microscope(WATER), shape=(41, 41), pixel_um=0.108)
    heights_um = np.arange(0.3, 1.9, 0.01)
    peaks = np.array([image(renderer, View(z_um=z_um)).max() for z_um in heights_um])
    assert heights_um[peaks.argmax()] == pytest.approx(1.0, abs=0.03)
    assert np.abs(np.diff(peaks)).max() < 0.03 * peaks.max()


def test_a_point_above_the_focus_is_imaged_as_a_point_above_the_focus() -> None:
    # With an index mismatch above and below differ: the sign must not be lost.
    microscope = Microscope(Objective(60, 1.4, 1.515), aberrations_nm=(("spherical", 60.0),))
    up = Renderer(points((0.8, 0, 0)), microscope, shape=(31, 31), pixel_um=0.1)
    down = Renderer(points((-0.8, 0, 0)), microscope, shape=(31, 31), pixel_um=0.1)
    above = microscope.psf(GFP.emission_nm, GFP.excitation_nm, 0.1, 0.8)
    middle = len(above) // 2
    peak = 1000.0 * above[middle, middle]
    assert image(up)[15, 15] == pytest.approx(peak, rel=0.02)
    assert image(down)[15, 15] != pytest.approx(peak, rel=0.2)


def test_the_confocal_rejects_light_from_other_planes() -> None:
    microscope = Microscope(WATER, method="confocal")
    renderer = Renderer(points((0, 0, 0)), microscope, shape=(201, 201), pixel_um=0.108)
    kept = [image(renderer, View(z_um=z_um)).sum() / 1000.0 for z_um in (0.0, 1.0, 2.0)]
    shares = [
        microscope.psf(GFP.emission_nm, GFP.excitation_nm, 0.05, -z_um).sum()
        for z_um in (0.0, 1.0, 2.0)
    ]
    np.testing.assert_allclose(kept, shares, rtol=0.02)
    assert kept[0] > 5 * kept[1] > 5 * kept[2]


def test_photons_are_background_plus_signal_times_brightness() -> None:
    renderer = Renderer(points((0, 0, 0)), Microscope(DRY), shape=(64, 64), pixel_um=0.325)
    plain = renderer.photons(0, 0, View(), signal=1.0, background=0.0).astype(float)
    out = np.empty((64, 64), dtype=np.float32)
    lit = renderer.photons(0, 0, View(), signal=250.0, background=7.0, out=out)
    assert lit is out
    np.testing.assert_allclose(lit, 7.0 + 250.0 * plain, rtol=1e-5)
