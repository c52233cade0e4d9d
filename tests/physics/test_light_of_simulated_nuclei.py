"""Bodies with a texture: stamping them neither loses light nor moves it."""

import numpy as np
import pytest

from dipstream_simulator.optics import Microscope, Objective
from dipstream_simulator.render import Renderer, View
from dipstream_simulator.specimen.model import CHANNELS
from dipstream_simulator.specimen.points import StillPoints, still_objects
from dipstream_simulator.specimen.population import nuclei
from dipstream_simulator.specimen.spots import Body

PIXEL_UM = 0.325
CHANNEL_PAIR = (CHANNELS["DAPI"], CHANNELS["GFP"])


def one_nucleus(y_um: float, x_um: float) -> StillPoints:
    shape = nuclei(5, 1, extent_um=(60.0, 60.0), channels=CHANNEL_PAIR).shapes[0]
    zero = np.zeros(1)
    still = still_objects(zero + y_um, zero + x_um, zero, np.ones((1, 2)))
    return StillPoints(CHANNEL_PAIR, (60.0, 60.0), (shape,), still)


def photons(renderer: Renderer, channel: int, view: View | None = None) -> np.ndarray:
    image = renderer.photons(0, channel, view or View(), signal=100.0, background=0.0)
    return np.asarray(image, dtype=np.float64)


def centre_px(image: np.ndarray) -> np.ndarray:
    places = np.indices(image.shape)
    return np.array([np.average(place, weights=image) for place in places])


@pytest.mark.parametrize("channel", [0, 1])
@pytest.mark.parametrize(("dy", "dx"), [(0.5, -0.5), (0.31, 0.07), (-0.49, 0.49), (0.499, 0.501)])
def test_sub_pixel_places_keep_light_and_move_its_centre(
    channel: int, dy: float, dx: float
) -> None:
    microscope = Microscope(Objective(20, 0.75))
    specimen = one_nucleus(0.0, 0.0)
    renderer = Renderer(specimen, microscope, shape=(111, 111), pixel_um=PIXEL_UM)
    reference = photons(renderer, channel)
    moved = photons(renderer, channel, View(-dy * PIXEL_UM, -dx * PIXEL_UM))
    assert moved.sum() == pytest.approx(reference.sum(), rel=1e-3)
    np.testing.assert_allclose(centre_px(moved) - centre_px(reference), (dy, dx), atol=0.01)


@pytest.mark.parametrize("z_um", [0.0, 0.7, -2.0, 6.0, 15.0])
def test_a_nucleus_shines_by_its_area_in_every_plane(z_um: float) -> None:
    specimen = one_nucleus(0.3, -0.2)
    microscope = Microscope(Objective(20, 0.75))
    renderer = Renderer(specimen, microscope, shape=(261, 261), pixel_um=PIXEL_UM)
    depth = specimen.shapes[0].depth(0.05, 250)
    area_um2 = (depth > 0).sum() * 0.05**2
    received = photons(renderer, 0, View(z_um=z_um)).sum()
    assert received == pytest.approx(100.0 * area_um2, rel=0.01)
    assert received == pytest.approx(photons(renderer, 0).sum(), rel=1e-3)


@pytest.mark.parametrize("z_um", [1.0, 5.0, 15.0])
def test_a_small_body_keeps_its_light_where_it_is_drawn_coarsely(z_um: float) -> None:
    zero = np.zeros(1)
    still = still_objects(zero, zero, zero, np.ones((1, 1)))
    specimen = StillPoints(CHANNEL_PAIR[:1], (60.0, 60.0), (Body(1.6, 0.9, 0.3, 1),), still)
    microscope = Microscope(Objective(20, 0.75))
    renderer = Renderer(specimen, microscope, shape=(261, 261), pixel_um=PIXEL_UM)
    focused, blurred = photons(renderer, 0), photons(renderer, 0, View(z_um=z_um))
    assert blurred.sum() == pytest.approx(focused.sum(), rel=1e-3)


def test_photons_add_up_to_what_all_nuclei_emit() -> None:
    specimen = nuclei(3, 4, extent_um=(50.0, 60.0), channels=CHANNEL_PAIR)
    microscope = Microscope(Objective(20, 0.75))
    renderer = Renderer(specimen.fork(), microscope, shape=(240, 260), pixel_um=PIXEL_UM)
    objects = specimen.objects(0)
    areas_um2 = np.array(
        [(specimen.shapes[i].depth(0.05, 300) > 0).sum() * 0.05**2 for i in objects.shape]
    )
    expected = 100.0 * np.dot(areas_um2, objects.brightness[:, 0])
    assert photons(renderer, 0).sum() == pytest.approx(expected, rel=0.01)


def test_the_blur_spreads_light_beyond_the_outline() -> None:
    specimen = one_nucleus(0.0, 0.0)
    microscope = Microscope(Objective(20, 0.75))
    renderer = Renderer(specimen, microscope, shape=(111, 111), pixel_um=PIXEL_UM)
    image, labels = photons(renderer, 0), renderer.truth(0, View()).labels
    outside = image[labels == 0].sum() / image.sum()
    assert 0.01 < outside < 0.15
