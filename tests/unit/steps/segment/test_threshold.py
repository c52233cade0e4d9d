"""Thresholds: those of scikit-image, and the conditions that are added to them."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage as ndi
from skimage import filters

from dipstream.errors import ConfigError, StepError
from dipstream.steps.image import Image
from dipstream.steps.segment.threshold import threshold
from dipstream.steps.step import mark_of

GLOBAL = {
    "mean": filters.threshold_mean,
    "isodata": filters.threshold_isodata,
    "otsu": filters.threshold_otsu,
    "triangle": filters.threshold_triangle,
    "li": filters.threshold_li,
    "yen": filters.threshold_yen,
}


def blobs(dtype=np.uint16, background=100, height=400, seed=0):
    rng = np.random.default_rng(seed)
    field = np.zeros((96, 120))
    for y, x in rng.integers(8, 88, (7, 2)):
        field[y, x] = 1
    field = ndi.gaussian_filter(field, 5)
    field = background + height * field / field.max()
    return rng.poisson(field).astype(dtype)


def noise(level=100.0, sd=5.0, shape=(256, 256), seed=0):
    rng = np.random.default_rng(seed)
    return ndi.gaussian_filter(rng.normal(level, sd, shape), 1).astype(np.float32)


def disk(shape, centre, radius):
    y, x = np.ogrid[: shape[0], : shape[1]]
    return (y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= radius**2


def test_is_a_pure_step():
    assert mark_of(threshold).kind == "pure"


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32, np.float64])
@pytest.mark.parametrize("method", GLOBAL)
def test_global_methods_are_those_of_skimage(method, dtype):
    pixels = blobs(dtype, background=20, height=150)
    expected = GLOBAL[method](pixels)
    mask = threshold(Image(pixels), method=method)
    np.testing.assert_array_equal(mask.dense, pixels > expected)
    assert mask.estimates["threshold"] == expected
    assert mask.dense.dtype == bool


@given(
    pixels=hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=12)),
    method=st.sampled_from(sorted(GLOBAL)),
)
@settings(deadline=None, max_examples=150)
def test_global_methods_are_those_of_skimage_on_anything(pixels, method):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        mask = threshold(Image(pixels), method=method)
        if pixels.min() == pixels.max():
            assert not mask.dense.any()
        else:
            np.testing.assert_array_equal(mask.dense, pixels > GLOBAL[method](pixels))


def test_offset_is_added():
    pixels = blobs()
    mask = threshold(Image(pixels), method="otsu", offset=-12.5)
    np.testing.assert_array_equal(mask.dense, pixels > filters.threshold_otsu(pixels) - 12.5)


def test_manual_is_strictly_above_the_value():
    mask = threshold(Image(np.array([[4, 5, 6]], np.uint8)), method="manual", value=5)
    np.testing.assert_array_equal(mask.dense, [[False, False, True]])
    assert mask.estimates["threshold"] == 5


def test_manual_works_on_a_constant_image():
    assert threshold(Image(np.full((3, 3), 7, np.uint8)), method="manual", value=6).dense.all()


@pytest.mark.parametrize("sigma", [2.0, 7.5])
def test_local_is_the_gaussian_one_of_skimage(sigma):
    pixels = blobs().astype(np.float64)
    surface = filters.threshold_local(pixels, 3, method="gaussian", param=sigma, offset=-3)
    mask = threshold(Image(pixels), method="local", sigma_px=sigma, offset=3)
    np.testing.assert_array_equal(mask.dense, pixels > surface)
    assert mask.estimates["threshold"] == pytest.approx(surface.mean(), rel=3e-6)


def test_local_does_not_truncate_integers():
    pixels = blobs(np.uint8, background=2, height=9)
    expected = pixels > ndi.gaussian_filter(pixels.astype(np.float32), 10.0)
    np.testing.assert_array_equal(threshold(Image(pixels), method="local").dense, expected)


def test_local_finds_nothing_where_all_is_the_same():
    """A mean of equal pixels is rounded: no pixel is brighter than it by that."""
    pixels = np.full((60, 80), 6, np.uint16)
    pixels[20, 30] = 5
    mask = threshold(Image(pixels), method="local")
    assert not mask.dense[:, 71:].any()


@pytest.mark.parametrize(("fraction", "used"), [(None, 0.5), (0.0, 0.0), (0.2, 0.2), (1.0, 1.0)])
def test_floor_lies_between_the_dark_end_and_the_global_threshold(fraction, used):
    pixels = blobs().astype(np.float64)
    dark = np.percentile(pixels, 5)
    bottom = dark + used * (filters.threshold_li(pixels) - dark)
    level = np.maximum(ndi.gaussian_filter(pixels, 6.0), bottom)
    mask = threshold(Image(pixels), method="local", sigma_px=6, floor="li", floor_fraction=fraction)
    np.testing.assert_array_equal(mask.dense, pixels > level)
    assert mask.estimates["threshold"] == pytest.approx(level.mean(), rel=3e-6)


@pytest.mark.parametrize("method", [*GLOBAL, "local"])
@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((40, 50), np.uint16),
        np.full((40, 50), 4095, np.uint16),
        np.full((40, 50), 65535, np.uint16),
        np.full((40, 50), 0.1, np.float32),
        np.full((1, 1), 3, np.uint8),
    ],
)
def test_one_grey_level_has_no_foreground(pixels, method):
    mask = threshold(Image(pixels), method=method, min_contrast_sd=2, rim_fraction=0.4)
    assert mask.dense.shape == pixels.shape
    assert not mask.dense.any()
    assert mask.estimates["threshold"] == pixels.flat[0]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"method": "manual"}, "needs a value"),
        ({"method": "otsu", "value": 3.0}, "value goes with method: manual"),
        ({"method": "manual", "value": 3.0, "offset": 1.0}, "offset goes with"),
        ({"method": "otsu", "sigma_px": 3.0}, "sigma_px goes with method: local"),
        ({"method": "otsu", "floor": "li"}, "floor goes with method: local"),
        ({"method": "local", "floor_fraction": 0.3}, "floor_fraction goes with a floor"),
    ],
)
def test_parameters_without_meaning_are_refused(parameters, message):
    with pytest.raises(ConfigError, match=message):
        threshold(Image(blobs()), **parameters)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_pixels_that_are_no_numbers_are_refused(bad):
    pixels = blobs(np.float32)
    pixels[3, 4] = bad
    with pytest.raises(StepError, match="NaN"):
        threshold(Image(pixels))


@pytest.mark.parametrize("method", ["otsu", "li", "local"])
def test_noise_has_no_contrast(method):
    pixels = noise()
    assert threshold(Image(pixels), method=method).dense.mean() > 0.3
    left = threshold(Image(pixels), method=method, min_contrast_sd=2).dense
    labels, n = ndi.label(left, np.ones((3, 3)))
    assert not n or np.bincount(labels.ravel())[1:].max() < 25  # specks, which `clean` removes


def test_contrast_keeps_dim_objects_whole():
    pixels = noise() + np.where(disk((256, 256), (120, 90), 12), 12, 0).astype(np.float32)
    mask = threshold(Image(pixels), method="local", sigma_px=20, min_contrast_sd=2).dense
    assert mask[disk((256, 256), (120, 90), 8)].all()
    assert mask[~disk((256, 256), (120, 90), 16)].mean() < 0.02


def test_contrast_is_the_mean_height_above_the_threshold():
    pixels = noise(sd=5.0)
    sd = float(np.std(pixels))
    square = (slice(100, 120), slice(100, 120))
    for height, kept in [(5.0, True), (2.0, False)]:
        field = pixels.copy()
        field[square] = 150 + height * sd
        mask = threshold(Image(field), method="manual", value=150, min_contrast_sd=3.5)
        assert mask.dense.any() == kept


def test_rim_follows_each_regions_own_brightness():
    seen = {150.0: disk((120, 120), (30, 30), 12), 900.0: disk((120, 120), (85, 85), 12)}
    sharp = sum(height * region for height, region in seen.items()) + 100.0
    pixels = ndi.gaussian_filter(sharp, 2.0)
    plain = threshold(Image(pixels), method="manual", value=110).dense
    mask = threshold(Image(pixels), method="manual", value=110, rim_fraction=0.5).dense
    assert ndi.label(mask)[1] == 2
    for region in seen.values():
        area = mask[ndi.binary_dilation(region, iterations=9)].sum()
        assert area == pytest.approx(region.sum(), rel=0.06)
    assert plain.sum() > 1.3 * mask.sum()
    # the bright one's level lies above all of the dim one: one level for both would lose it
    assert pixels[seen[150.0]].max() < 100 + 0.5 * 900


def test_rim_of_nothing_is_nothing():
    image = Image(blobs())
    assert not threshold(image, method="manual", value=1e6, rim_fraction=0.4).dense.any()


def test_the_input_stays_as_it_is():
    pixels = blobs(np.float32)
    pixels.flags.writeable = False
    image = Image(pixels, pixel_um=0.5).with_estimates(drift=2.0)
    mask = threshold(image, method="local", floor="otsu", min_contrast_sd=2, rim_fraction=0.4)
    assert mask.pixel_um == 0.5
    assert mask.estimates["drift"] == 2.0
