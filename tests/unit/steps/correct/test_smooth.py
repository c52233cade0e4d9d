from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from dipstream.errors import ConfigError, StepError
from dipstream.registry import make_model
from dipstream.steps import Image
from dipstream.steps.correct.smooth import gaussian, median

RNG = np.random.default_rng(1)
PLANE = RNG.integers(0, 4096, (24, 31)).astype(np.uint16)
STACK = RNG.integers(0, 4096, (3, 24, 31)).astype(np.uint16)


def test_gaussian_is_the_convolution_with_a_sampled_gaussian() -> None:
    taps = np.arange(-6, 7)  # 4 σ = 6 px
    kernel = np.exp(-(taps**2) / (2 * 1.5**2))
    kernel /= kernel.sum()
    padded = np.pad(PLANE.astype(np.float64), 6, mode="symmetric")
    rows = np.apply_along_axis(np.convolve, 0, padded, kernel, "valid")
    expected = np.apply_along_axis(np.convolve, 1, rows, kernel, "valid")
    found = gaussian(Image(PLANE), sigma_px=1.5).pixels
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "float32", "float64"])
def test_gaussian_never_rescales(dtype: str) -> None:
    found = gaussian(Image(np.full((9, 9), 100, dtype))).pixels
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, 100.0, rtol=1e-6)


@pytest.mark.parametrize("step", [gaussian, median])
def test_stacks_plane_by_plane(step: Any) -> None:
    found = step(Image(STACK)).pixels
    for plane, expected in zip(found, STACK, strict=True):
        np.testing.assert_array_equal(plane, step(Image(expected)).pixels)


def test_median_keeps_dtype_and_removes_a_hot_pixel() -> None:
    pixels = np.full((11, 11), 7, np.uint16)
    pixels[5, 5] = 65535
    found = median(Image(pixels)).pixels
    assert found.dtype == np.uint16
    assert (found == 7).all()
    np.testing.assert_array_equal(
        median(Image(PLANE), size_px=5).pixels, ndimage.median_filter(PLANE, 5)
    )


def test_median_wants_a_centre() -> None:
    with pytest.raises(ConfigError, match="even"):
        median(Image(PLANE), size_px=4)
    with pytest.raises(ValueError, match="even"):
        make_model(median, "median")(size_px=4)


def test_what_describes_the_image_is_kept_and_the_input_untouched() -> None:
    before = PLANE.copy()
    image = Image(PLANE, channel="DAPI", bit_depth=12, pixel_um=0.5)
    for found in (gaussian(image), median(image)):
        assert (found.channel, found.bit_depth, found.pixel_um) == ("DAPI", 12, 0.5)
    np.testing.assert_array_equal(PLANE, before)


def test_neither_plane_nor_stack() -> None:
    with pytest.raises(StepError, match=r"\(2, 3, 4, 5\)"):
        gaussian(Image(np.zeros((2, 3, 4, 5))))
