"""One world, many views: what moves is the stage, never the specimen."""

import functools
import threading

import numpy as np
import pytest

from dipstream_simulator.optics import Microscope, Objective
from dipstream_simulator.render import Renderer, SceneTruth, View
from dipstream_simulator.specimen.filaments import filaments
from dipstream_simulator.specimen.model import CHANNELS, Specimen
from dipstream_simulator.specimen.points import beads
from dipstream_simulator.specimen.population import nuclei
from dipstream_simulator.specimen.spots import spots
from dipstream_simulator.specimen.targets import siemens

CHANNEL = (CHANNELS["GFP"],)
EXTENT_UM = (120.0, 140.0)
PIXEL_UM = 0.325

SPECIMENS: dict[str, Specimen] = {
    "nuclei": nuclei(3, 20, extent_um=EXTENT_UM, channels=CHANNEL),
    "beads": beads(3, 30, extent_um=EXTENT_UM, channels=CHANNEL, z_spread_um=0.2),
    "spots": spots(3, 6, extent_um=EXTENT_UM, channels=CHANNEL),
    "filaments": filaments(3, 20, extent_um=EXTENT_UM, channels=CHANNEL),
    "siemens": siemens(extent_um=EXTENT_UM, channels=CHANNEL, radius_um=20.0),
}


@functools.cache  # shares what is drawn between tests
def known_renderer_of(name: str, shape: tuple[int, int] = (160, 200)) -> Renderer:
    return fresh_renderer_of(name, shape)


def renderer_of(name: str, shape: tuple[int, int] = (160, 200)) -> Renderer:
    return known_renderer_of(name, shape).fork()


def fresh_renderer_of(name: str, shape: tuple[int, int] = (160, 200)) -> Renderer:
    microscope = Microscope(Objective(20, 0.75))
    return Renderer(SPECIMENS[name].fork(), microscope, shape=shape, pixel_um=PIXEL_UM)


def photons(renderer: Renderer, view: View, t: int = 2) -> np.ndarray:
    return renderer.photons(t, 0, view, signal=100.0, background=5.0)


@pytest.mark.parametrize("name", SPECIMENS)
@pytest.mark.parametrize("focus_um", [0.0, 1.1])
def test_a_stage_moved_by_whole_pixels_moves_the_image_by_whole_pixels(
    name: str, focus_um: float
) -> None:
    renderer = renderer_of(name)
    here = photons(renderer, View(3.21, -5.4, focus_um))
    there = photons(renderer, View(3.21 + 31 * PIXEL_UM, -5.4 - 17 * PIXEL_UM, focus_um))
    np.testing.assert_allclose(here[31:, :-17], there[:-31, 17:], rtol=2e-4)
    assert here.std() > 0.1


@pytest.mark.parametrize("name", SPECIMENS)
def test_the_truth_moves_with_the_stage(name: str) -> None:
    renderer = renderer_of(name)
    here = renderer.truth(2, View(3.21, -5.4))
    there = renderer.truth(2, View(3.21 + 31 * PIXEL_UM, -5.4 - 17 * PIXEL_UM))

    def tracks(truth: SceneTruth) -> np.ndarray:
        return np.asarray(np.concatenate([[0], truth.track_ids])[truth.labels])

    np.testing.assert_array_equal(tracks(here)[31:, :-17], tracks(there)[:-31, 17:])
    assert here.labels.max() == len(here.track_ids) > 1


@pytest.mark.parametrize("name", SPECIMENS)
def test_a_small_camera_sees_the_middle_of_what_a_large_one_sees(name: str) -> None:
    large = photons(renderer_of(name, (240, 300)), View(1.0, 2.0, 0.3))
    small = photons(renderer_of(name, (100, 140)), View(1.0, 2.0, 0.3))
    np.testing.assert_allclose(large[70:170, 80:220], small, rtol=2e-4)


@pytest.mark.parametrize("name", ["beads", "siemens"])
def test_the_first_pixel_lies_at_the_lowest_y_and_x(name: str) -> None:
    # Moving the stage towards +y and +x moves the image towards row 0 and column 0.
    renderer = renderer_of(name)
    here = photons(renderer, View(0.0, 0.0)).astype(float)
    down = photons(renderer, View(0.1 * PIXEL_UM, 0.0)).astype(float)
    right = photons(renderer, View(0.0, 0.1 * PIXEL_UM)).astype(float)
    slope_y, slope_x = np.gradient(here)
    assert np.corrcoef((down - here).ravel(), slope_y.ravel())[0, 1] > 0.7
    assert np.corrcoef((right - here).ravel(), slope_x.ravel())[0, 1] > 0.7


@pytest.mark.parametrize("name", ["nuclei", "filaments"])
def test_magnification_alone_changes_nothing(name: str) -> None:
    images = []
    for magnification in (20, 60):
        microscope = Microscope(Objective(magnification, 0.75))
        renderer = Renderer(SPECIMENS[name].fork(), microscope, shape=(100, 100), pixel_um=PIXEL_UM)
        images.append(photons(renderer, View()))
    np.testing.assert_array_equal(images[0], images[1])


@pytest.mark.parametrize("name", ["nuclei", "beads", "siemens"])
def test_what_was_drawn_before_changes_nothing(name: str) -> None:
    view = View(2.0, -1.0, 0.4)
    fresh = photons(fresh_renderer_of(name), view)
    used = fresh_renderer_of(name)
    for z_um in (3.0, -2.0, 0.0):
        photons(used, View(z_um=z_um))
        used.truth(5, View())
    np.testing.assert_array_equal(photons(used, view), fresh)


def test_two_threads_draw_what_one_draws() -> None:
    views = [View(0.4 * i, -0.3 * i, 0.2 * i) for i in range(12)]
    expected = [photons(renderer_of("nuclei"), view, t) for t, view in enumerate(views)]
    first = fresh_renderer_of("nuclei")
    assert first.fork()._specimen is not first._specimen, "each thread has a clock of its own"
    seen: dict[int, list[np.ndarray]] = {}

    def draw(which: int, renderer: Renderer) -> None:
        seen[which] = [photons(renderer, view, t) for t, view in enumerate(views)]

    threads = [
        threading.Thread(target=draw, args=(which, renderer))
        for which, renderer in enumerate((first, first.fork()))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for which in (0, 1):
        np.testing.assert_array_equal(seen[which], expected)
