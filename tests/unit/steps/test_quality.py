import io
import os
from functools import cache
from itertools import pairwise
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from scipy import ndimage

from dipstream.errors import StepError
from dipstream.steps.quality import FocusWatch, Quality, check_finite, frame_quality

DATA = Path(os.environ.get("DIPSTREAM_TEST_DATA", Path(__file__).parents[3] / "../shared/data"))
REAL = (
    "nuclei/dsb_256_1d4a5e72.png",
    "nuclei/dsb_256_319b6cb8.png",
    "nuclei/dsb_520_4e1c889d.png",
    "nuclei/dsb_520_bbfc4aab.png",
    "nuclei/neubias_mitocheck_t70.tif",
    "nuclei/stardist_img2d.tif",
    "workshop/xy040-1.png",
    "workshop/xy040-2.png",
)


@cache
def scene(name: str) -> np.ndarray:
    """Return an image scaled to a 99.5th percentile of 1."""
    path = DATA / name
    if not path.exists():
        pytest.skip("no test data (DIPSTREAM_TEST_DATA)")
    pixels = tifffile.imread(path) if path.suffix == ".tif" else imagecodecs.imread(path)
    pixels = (pixels[..., 0] if pixels.ndim == 3 else pixels).astype(np.float64)
    return np.clip(pixels / np.percentile(pixels, 99.5), 0, None)


def exposed(image: np.ndarray, photons: float, seed: int = 1) -> np.ndarray:
    """Return 12-bit pixels with shot noise, read noise 2 and offset 100."""
    rng = np.random.default_rng(seed)
    noisy = rng.poisson(image * photons) + rng.normal(100, 2, image.shape)
    return np.clip(np.round(noisy), 0, 4095).astype(np.uint16)


@pytest.mark.parametrize("name", REAL)
@pytest.mark.parametrize("photons", [200, 1000])
def test_focus_falls_with_blur(name: str, photons: float) -> None:
    """The noise comes after the blur: blurred frames are as noisy as sharp ones."""
    scores = [
        frame_quality(exposed(ndimage.gaussian_filter(scene(name), s), photons), 12).focus_score
        for s in (0, 1, 2, 4, 8)
    ]
    assert all(a > b for a, b in pairwise(scores))
    assert scores[2] < 0.7 * scores[0]
    assert scores[3] < 0.4 * scores[0]


@pytest.mark.parametrize("name", REAL)
def test_focus_does_not_follow_brightness(name: str) -> None:
    scores = [frame_quality(exposed(scene(name), 200 * k), 12).focus_score for k in (0.2, 1, 3)]
    assert max(scores) / min(scores) < 1.3


def test_focus_sees_blur_along_either_axis() -> None:
    image = ndimage.gaussian_filter(np.random.default_rng(3).random((300, 200)), 2)
    image = (image - image.min()) / np.ptp(image)
    sharp = frame_quality(exposed(image, 500), 16).focus_score
    for axis in (0, 1):
        smeared = ndimage.uniform_filter1d(image, 15, axis=axis)
        assert frame_quality(exposed(smeared, 500), 16).focus_score < 0.75 * sharp


def test_focus_of_nothing_is_zero() -> None:
    noise = exposed(np.ones((512, 512)), 200)
    for pixels in (noise, np.zeros((64, 64), np.uint16), np.full((64, 64), 7.5), noise[:3, :3]):
        assert frame_quality(pixels, 12).focus_score == 0


def test_saturation_is_counted_over_every_pixel() -> None:
    pixels = np.full((700, 900), 100, np.uint16)
    pixels[3, 5] = pixels[611, 713] = 4095
    pixels[0, 0] = 5000  # beyond the ADC counts too
    assert frame_quality(pixels, 12).saturated_fraction == 3 / 630_000
    assert frame_quality(pixels, None).saturated_fraction == 0
    assert frame_quality(pixels, 32).saturated_fraction == 0
    assert np.isnan(frame_quality(pixels.astype(np.float32), 12).saturated_fraction)
    eight = np.full((10, 10), 255, np.uint8)
    assert frame_quality(eight, None).saturated_fraction == 1
    assert frame_quality(eight, 12).saturated_fraction == 1


def test_background_and_snr_ignore_bright_objects() -> None:
    rng = np.random.default_rng(2)
    pixels = rng.normal(100, 10, (1024, 1024))
    y, x = np.mgrid[:1024, :1024]
    pixels[(y % 100 < 30) & (x % 100 < 30)] += 500
    found = frame_quality(pixels.round().astype(np.uint16), 12)
    assert found.background == pytest.approx(100, abs=0.5)
    # 99th percentile of 9 % objects at 600 ± 10: their 89th
    assert found.snr == pytest.approx((600 + 1.22 * 10 - 100) / 10, rel=0.03)


def test_snr_without_noise_is_unknown() -> None:
    pixels = np.full((50, 50), 100, np.uint16)
    assert np.isnan(frame_quality(pixels, 12).snr)
    pixels[10:20, 10:20] = 900
    found = frame_quality(pixels, 12)
    assert found.background == 100
    assert np.isnan(found.snr)


def test_flags() -> None:
    black = np.zeros((100, 100), np.uint16)
    assert frame_quality(black, 12).flags == ("black",)
    assert frame_quality(black + 100, 12).flags == ("black",)
    assert frame_quality(black.astype(np.float32), None).flags == ("black",)
    assert frame_quality(black + 4095, 12).flags == ("saturated",)
    noise = exposed(np.ones((100, 100)), 50)
    assert frame_quality(noise, 12).flags == ()
    noise.ravel()[:10] = 4095
    assert frame_quality(noise, 12).flags == ()
    noise.ravel()[:11] = 4095
    assert frame_quality(noise, 12).flags == ("saturated",)
    black[-1, -1] = 1
    assert frame_quality(black, 12).flags == ()


@pytest.mark.parametrize("shape", [(0, 0), (1, 1), (1, 500), (2, 3), (9, 8), (2000, 9)])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint32", "float32"])
def test_any_frame_is_judged(shape: tuple[int, int], dtype: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 100, shape).astype(dtype)
    pixels.setflags(write=False)
    found = frame_quality(pixels, None)
    assert found.focus_score >= 0
    assert not np.isinf([found.focus_score, found.background, found.snr]).any()


def test_not_finite() -> None:
    pixels = np.zeros((10, 10), np.float32)
    check_finite(pixels)
    check_finite(pixels.astype(np.uint16))
    pixels[0, :3] = np.nan
    pixels[1, :2] = np.inf
    with pytest.raises(StepError, match="3 NaN and 2 infinite pixels of 100"):
        check_finite(pixels)


def quality(score: float, *flags: str) -> Quality:
    return Quality(score, 0.0, 100.0, 10.0, flags)


def judged(watch: FocusWatch, *scores: float, channel: str = "DAPI") -> list[bool]:
    return ["out_of_focus" in watch.judge("A1", channel, quality(s)).flags for s in scores]


def test_watch_flags_below_60_percent_of_the_median() -> None:
    watch = FocusWatch()
    assert judged(watch, 1.0, 0.1, 1.0, 1.2, 0.9) == [False] * 5  # too early to say
    assert judged(watch, 0.59, 0.1, 0.61) == [True, True, False]
    assert watch.judge("A1", "DAPI", quality(0.1, "saturated")).flags == (
        "saturated",
        "out_of_focus",
    )


def test_watch_remembers_the_last_20_good_ones() -> None:
    watch = FocusWatch()
    judged(watch, *[1.0] * 20)
    assert judged(watch, *[0.3] * 30) == [True] * 30  # flagged ones do not become normal
    assert judged(watch, *[0.7] * 20) == [False] * 20
    assert judged(watch, 0.45, 0.41) == [False, True]  # now 60 % of 0.7


def test_watch_keeps_channels_and_positions_apart_and_skips_black() -> None:
    watch = FocusWatch()
    judged(watch, *[1.0] * 5)
    assert judged(watch, *[0.1] * 6, channel="GFP") == [False] * 6
    assert watch.judge("A2", "DAPI", quality(0.1)).flags == ()
    assert watch.judge("A1", "DAPI", quality(0.0, "black")).flags == ("black",)
    assert judged(watch, 0.5) == [True]


@pytest.mark.parametrize("seen", [0, 3, 30])
def test_watch_goes_on_from_a_saved_state(seen: int) -> None:
    watch = FocusWatch()
    scores = np.random.default_rng(1).uniform(0.5, 1, seen).tolist()
    judged(watch, *scores)
    judged(watch, *scores[:2], channel="Cy5, far red")
    buffer = io.BytesIO()
    np.savez(buffer, **watch.state())
    buffer.seek(0)
    with np.load(buffer, allow_pickle=False) as loaded:
        restored = FocusWatch(dict(loaded))
    new = np.random.default_rng(2).uniform(0.2, 1, 40).tolist()
    assert judged(restored, *new) == judged(watch, *new)
    for name, array in watch.state().items():
        np.testing.assert_array_equal(restored.state()[name], array)
