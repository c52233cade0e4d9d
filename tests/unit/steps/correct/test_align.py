import io

import numpy as np
import pytest
from scipy import ndimage

from dipstream.errors import StepError
from dipstream.steps import Image, State
from dipstream.steps.correct.align import align

SIZE = 200
SHIFTS = [(0.0, 0.0), (1.3, -2.6), (-4.5, 7.2), (10.4, 12.1), (-0.3, 0.4)]


def field(shift: tuple[float, float] = (0, 0), *, size: int = SIZE, seed: int = 7) -> np.ndarray:
    """Return cells that reach beyond the field of view, moved down and right by a shift."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size].astype(np.float32)
    image = np.zeros((size, size))
    for cy, cx, width in rng.uniform((-20, -20, 2.5), (size + 20, size + 20, 5), (size // 4, 3)):
        image += np.exp(-((y - cy - shift[0]) ** 2 + (x - cx - shift[1]) ** 2) / (2 * width**2))
    return image


def exposed(image: np.ndarray, seed: int) -> np.ndarray:
    """Return a frame with shot noise and the sensor's fixed pattern."""
    pattern = np.random.default_rng(99).normal(100, 8, image.shape)
    return (np.random.default_rng(seed).poisson(300 * image) + pattern).clip(0).astype(np.uint16)


def drifts(images: dict[str, Image]) -> tuple[float, float]:
    (found,) = {(i.estimates["drift_y_px"], i.estimates["drift_x_px"]) for i in images.values()}
    return found


def one(pixels: np.ndarray, channel: str = "DAPI") -> dict[str, Image]:
    return {channel: Image(pixels, channel=channel)}


@pytest.mark.parametrize("to", ["first", "previous"])
def test_known_shifts_are_found_to_a_tenth(to: str) -> None:
    state: State | None = None
    for k, shift in enumerate(SHIFTS):
        state, images = align(state, one(exposed(field(shift), k)), to=to)  # type: ignore[arg-type]
        tolerance = 0.1 if to == "first" else 0.25  # errors add up
        np.testing.assert_allclose(drifts(images), shift, atol=tolerance + 1e-6)


def test_the_fixed_pattern_of_the_sensor_does_not_win() -> None:
    dim = 0.2
    state, _ = align(None, one(exposed(dim * field(), 0)))
    _, images = align(state, one(exposed(dim * field((3, -5)), 1)))
    np.testing.assert_allclose(drifts(images), (3, -5), atol=0.25)


def test_images_are_moved_back_in_every_channel() -> None:
    truth = {"DAPI": field(), "GFP": field(seed=8)}
    state, _ = align(None, {k: Image(v, channel=k) for k, v in truth.items()})
    moved = {"DAPI": field((4, -6)), "GFP": field((4, -6), seed=8)}
    _, images = align(state, {k: Image(v, channel=k) for k, v in moved.items()})
    inner = np.s_[10:-10, 10:-10]
    for name, image in images.items():
        np.testing.assert_allclose(image.pixels[inner], truth[name][inner], atol=0.02)


def test_border_repeats_the_nearest_pixel() -> None:
    state, _ = align(None, one(field()))
    _, images = align(state, one(field((-5, 0))))
    assert drifts(images) == (-5, 0)
    # the sample went up by 5: the first 5 rows of the first frame are not in this one
    assert (images["DAPI"].pixels[:6] == field((-5, 0))[0]).all()


def test_dtypes_and_untouched_pixels() -> None:
    first = exposed(field(), 0)
    state, images = align(None, one(first))
    assert images["DAPI"].pixels is first
    again, images = align(state, one(first))
    assert images["DAPI"].pixels is first
    assert drifts(images) == (0, 0)
    assert again is state
    _, images = align(state, one(exposed(field((3, 3)), 1)))
    assert images["DAPI"].pixels.dtype == np.float32


def test_a_bad_frame_keeps_the_last_drift() -> None:
    state, _ = align(None, one(exposed(field(), 0)))
    state, images = align(state, one(exposed(field((3, -2)), 1)))
    known = drifts(images)
    lamp_off = np.random.default_rng(4).poisson(100, (SIZE, SIZE)).astype(np.uint16)
    black = np.zeros((SIZE, SIZE), np.uint16)
    far = exposed(field((30, 0)), 2)
    for bad in (black, np.full_like(black, 4095), lamp_off, far):
        for to in ("first", "previous"):
            after, images = align(state, one(bad), to=to, max_shift_px=20)  # type: ignore[arg-type]
            assert after is state
            assert drifts(images) == known
    _, images = align(state, one(far), max_shift_px=40)
    np.testing.assert_allclose(drifts(images), (30, 0), atol=0.1)


def test_noise_has_no_shift() -> None:
    state, _ = align(None, one(exposed(field(), 0)))
    for seed in range(10):
        noise = np.random.default_rng(seed).poisson(100, (SIZE, SIZE)).astype(np.uint16)
        assert align(state, one(noise), max_shift_px=1000)[0] is state


def test_a_missing_channel_keeps_the_last_drift() -> None:
    def both(shift: tuple[float, float]) -> dict[str, Image]:
        return one(exposed(field(shift), 1)) | one(exposed(field(shift, seed=8), 2), "GFP")

    state, _ = align(None, both((0, 0)))
    state, images = align(state, both((3, -2)))
    known = drifts(images)
    # GFP is the first channel of a set without DAPI, but not the one to compare, however alike
    after, images = align(state, one(exposed(field((8, 8)), 3), "GFP"))
    assert after is state
    assert list(images) == ["GFP"]
    assert drifts(images) == known
    state, _ = align(None, both((0, 0)), channel="GFP")
    assert str(state["channel"]) == "GFP"


def test_a_start_without_anything_to_compare() -> None:
    state, images = align(None, one(np.zeros((SIZE, SIZE))))
    assert drifts(images) == (0, 0)
    same, _ = align(state, one(np.ones((SIZE, SIZE))))
    assert same is state
    state, _ = align(state, one(field()))
    state, images = align(state, one(field((2, 5))))
    np.testing.assert_allclose(drifts(images), (2, 5), atol=0.1)
    assert align(None, {})[1] == {}


def test_stacks_are_compared_by_their_maximum() -> None:
    def stack(shift: tuple[float, float]) -> np.ndarray:
        return np.stack([field(shift), 0.5 * field(shift, seed=8), np.zeros((SIZE, SIZE))])

    state, _ = align(None, one(stack((0, 0))))
    _, images = align(state, one(stack((-3, 6))))
    np.testing.assert_allclose(drifts(images), (-3, 6), atol=0.1)
    inner = np.s_[:, 10:-10, 10:-10]
    np.testing.assert_allclose(images["DAPI"].pixels[inner], stack((0, 0))[inner], atol=0.02)


def test_large_frames_keep_a_small_reference() -> None:
    large = ndimage.zoom(field(size=520), 2.5, order=1)
    assert large.shape == (1300, 1300)
    state, _ = align(None, one(large))
    assert sum(array.nbytes for array in state.values()) <= 2**21 + 1000
    _, images = align(state, one(np.roll(large, (5, -3), (0, 1))), upsample=1)
    assert drifts(images) == (5, -3)


def test_state_survives_a_file() -> None:
    state, _ = align(None, one(exposed(field(), 0)))
    state, _ = align(state, one(exposed(field((2, 1)), 1)))
    buffer = io.BytesIO()
    np.savez(buffer, **state)
    buffer.seek(0)
    with np.load(buffer, allow_pickle=False) as loaded:
        restored = dict(loaded)
    third = one(exposed(field((3, 2)), 2))
    expected, found = align(state, third), align(restored, third)
    np.testing.assert_array_equal(found[1]["DAPI"].pixels, expected[1]["DAPI"].pixels)
    assert {k: v.tolist() for k, v in found[0].items()} == {
        k: v.tolist() for k, v in expected[0].items()
    }


def test_another_field_is_refused() -> None:
    state, _ = align(None, one(field()))
    with pytest.raises(StepError, match="100 × 100 px"):
        align(state, one(field()[:100, :100]))
