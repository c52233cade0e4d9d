"""Stamping blurred nuclei neither loses light nor moves it."""

import numpy as np
import pytest
from scipy import ndimage

from dipstream_simulator.optics import Objective
from dipstream_simulator.render.scene import Scene, make_scene
from dipstream_simulator.render.sprites import Sprite, make_sprite, place
from dipstream_simulator.specimen.motion import Motion
from dipstream_simulator.specimen.nuclei import CHANNELS, random_specimen

PIXEL_UM = 0.325


def scene_through(objective: Objective, camera_pixel_um: float, n: int = 4) -> Scene:
    return make_scene(
        random_specimen(3, n, 10.0),
        objective,
        shape=(160, 192),
        camera_pixel_um=camera_pixel_um,
        exposure_ms=10.0,
        photons=2400.0,
        background_photons=200.0,
    )


@pytest.fixture(scope="module")
def sprite() -> Sprite:
    nucleus = random_specimen(5, 1, 10.0).shapes[0]
    return make_sprite(nucleus, Objective(20, 0.75), CHANNELS, PIXEL_UM)


@pytest.mark.parametrize(
    ("dy", "dx"), [(0.0, 0.0), (0.5, -0.5), (0.31, 0.07), (-0.49, 0.49), (0.499, 0.501)]
)
@pytest.mark.parametrize("channel", [0, 1])
def test_sub_pixel_places_keep_light_and_move_its_centre(
    sprite: Sprite, channel: int, dy: float, dx: float
) -> None:
    def stamped(y_px: float, x_px: float) -> np.ndarray:
        canvas = np.zeros((100, 100))
        where, patch = place((100, 100), *sprite.stamp(sprite.light[channel], y_px, x_px))
        canvas[where] = patch
        return canvas

    reference, moved = stamped(50, 50), stamped(50 + dy, 50 + dx)
    assert moved.sum() == pytest.approx(reference.sum(), rel=1e-3)
    shift = np.subtract(ndimage.center_of_mass(moved), ndimage.center_of_mass(reference))
    np.testing.assert_allclose(shift, (dy, dx), atol=0.01)


def test_blur_conserves_light_and_spreads_it(sprite: Sprite) -> None:
    step_um = PIXEL_UM / sprite.oversample
    half = (len(sprite.depth) - 1) // 2
    sharp = random_specimen(5, 1, 10.0).shapes[0].light(step_um, half)
    for blurred, unblurred in zip(sprite.light, sharp, strict=True):
        assert blurred.sum() == pytest.approx(unblurred.sum(), rel=1e-3)
        assert blurred[unblurred == 0].sum() > 0.01 * blurred.sum()


def test_photons_add_up_to_what_was_emitted_and_collected() -> None:
    objective = Objective(20, 0.75)
    scene = scene_through(objective, 6.5)
    field_um = (160 * PIXEL_UM, 192 * PIXEL_UM)
    position_um = Motion(scene.specimen, field_um, step_um=0.8, seed=3).at(0)
    image = scene.photons(position_um, 0).astype(float)
    assert image.min() == pytest.approx(200 * PIXEL_UM**2 * 10 * objective.collected_fraction)
    received = image.sum() - image.size * scene.background_photons
    areas_um2 = [
        (sprite.depth > 0).sum() * (PIXEL_UM / sprite.oversample) ** 2 for sprite in scene.sprites
    ]
    emitted = 2400 * 10 * np.dot(areas_um2, scene.specimen.brightness[:, 0])
    # What misses the image: nuclei are whole, but the blur of those at the border is not.
    assert received == pytest.approx(emitted * objective.collected_fraction, rel=0.005)


def test_magnification_alone_changes_nothing() -> None:
    one, other = scene_through(Objective(20, 0.75), 6.5), scene_through(Objective(40, 0.75), 13.0)
    position_um = np.array([[20.0, 20.0], [20.0, 40.0], [35.0, 15.3], [38.0, 50.0]])
    np.testing.assert_array_equal(one.photons(position_um, 1), other.photons(position_um, 1))
