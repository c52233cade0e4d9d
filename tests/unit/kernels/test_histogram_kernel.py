"""Histograms against numpy, and the thresholds that follow from them against scikit-image."""

import warnings

import numpy as np
import pytest
from scipy import ndimage as ndi
from skimage import exposure, filters

from dipstream.kernels.histogram import float_histogram, integer_histogram
from dipstream.kernels.level import (
    li_of_histogram,
    li_of_pixels,
    mean_of_histogram,
    mean_of_pixels,
    of_histogram,
)
from dipstream.kernels.parallel import threads_inside_a_frame

BY_HISTOGRAM = ["otsu", "isodata", "yen", "triangle"]


def floats(seed):
    """Float32 planes of many kinds: noise, few levels, clipped, far from 0, tiny, huge."""
    rng = np.random.default_rng(seed)
    shape = rng.integers(1, 60), rng.integers(1, 700)
    pixels = rng.normal(rng.choice([0, 100, 1e6, -3]), 10.0 ** rng.integers(-2, 6), shape)
    if seed % 3 == 0:
        pixels = np.round(pixels)
    if seed % 7 == 0:
        pixels = np.clip(pixels, -1, 1)
    return pixels.astype(np.float32)


def nuclei(seed):
    """Smooth fields with objects, some coarse, of two levels, or below 0."""
    rng = np.random.default_rng(seed)
    shape = rng.integers(2, 100), rng.integers(2, 120)
    field = ndi.gaussian_filter(rng.gamma(0.3, 300, shape), 4)
    pixels = ndi.gaussian_filter(rng.poisson(20 + field).astype(np.float32), 1)
    if seed % 4 == 0:
        pixels = np.round(pixels / 20)
    if seed % 5 == 0:
        pixels = (pixels > pixels.mean()).astype(np.float32)
    if seed % 6 == 0:
        pixels = pixels - 50
    return pixels


def by_skimage(method, pixels):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # yen divides by 0 in the emptiest images
        return getattr(filters, f"threshold_{method}")(pixels)


def by_kernel(method, histogram):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return of_histogram(method, histogram)


def check_floats(pixels):
    counts, edges = np.histogram(pixels, 256)
    found = float_histogram(pixels, float(pixels.min()), float(pixels.max()))
    np.testing.assert_array_equal(found.counts, counts)
    np.testing.assert_array_equal(found.centers, (edges[:-1] + edges[1:]) / 2)
    assert found.centers.dtype == np.float32


@pytest.mark.parametrize("seed", range(60))
def test_float_bins_are_numpys(seed):
    pixels = floats(seed)
    if pixels.min() < pixels.max():
        try:
            np.histogram(pixels, 256)
        except ValueError:  # fewer float32 numbers than bins
            return
        check_floats(pixels)


def test_pixels_on_every_edge_of_every_bin():
    steps = np.arange(2048 * 32) % 4097
    check_floats((steps / 16).astype(np.float32).reshape(32, 2048))
    edges = np.linspace(3, 77.7, 257, dtype=np.float32)
    around = [np.nextafter(edges, np.float32(way)) for way in (-np.inf, np.inf)]
    pixels = np.clip(np.stack([edges, *around]), edges[0], edges[-1])
    check_floats(pixels)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("width", [1, 3, 4, 257])
def test_integer_bins_are_skimages(dtype, width):
    pixels = np.random.default_rng(width).integers(3, 250, (40, width)).astype(dtype)
    found = integer_histogram(pixels)
    counts, centers = exposure.histogram(pixels, source_range="image")
    np.testing.assert_array_equal(found.counts, counts)
    np.testing.assert_array_equal(found.centers, centers)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_threads_count_the_same(dtype):
    pixels = np.random.default_rng(4).integers(3, 250, (300, 77)).astype(dtype)

    def histogram():
        if dtype == np.float32:
            return float_histogram(pixels, float(pixels.min()), float(pixels.max()))
        return integer_histogram(pixels)

    alone = histogram()
    with threads_inside_a_frame(3):
        np.testing.assert_array_equal(histogram().counts, alone.counts)


@pytest.mark.parametrize("seed", range(36))
def test_thresholds_of_floats(seed):
    pixels = nuclei(seed)
    low, high = float(pixels.min()), float(pixels.max())
    if low == high:
        return
    histogram = float_histogram(pixels, low, high)
    for method in BY_HISTOGRAM:
        found, expected = by_kernel(method, histogram), by_skimage(method, pixels)
        assert (found, type(found)) == (expected, type(expected)), method
    span = high - low
    assert mean_of_pixels(pixels) == pytest.approx(by_skimage("mean", pixels), abs=1e-6 * span)
    assert li_of_pixels(pixels, low) == pytest.approx(by_skimage("li", pixels), abs=2e-6 * span)


@pytest.mark.parametrize("seed", range(24))
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_thresholds_of_integers(seed, dtype):
    pixels = np.clip(nuclei(seed), 0, 255).astype(dtype)
    if pixels.min() == pixels.max():
        return
    histogram = integer_histogram(pixels)
    for method in BY_HISTOGRAM:
        found, expected = by_kernel(method, histogram), by_skimage(method, pixels)
        assert (found, type(found)) == (expected, type(expected)), method
    assert mean_of_histogram(histogram) == by_skimage("mean", pixels)
    assert li_of_histogram(histogram) == by_skimage("li", pixels)


@pytest.mark.parametrize("span", [1e-36, 1e-37, 1e-38, 1e-39])
def test_bins_whose_reciprocal_is_beyond_float32(span):
    pixels = (np.random.default_rng(6).random((40, 50)) * span).astype(np.float32)
    found = float_histogram(pixels, float(pixels.min()), float(pixels.max()))
    np.testing.assert_array_equal(found.counts, np.histogram(pixels, 256)[0])


@pytest.mark.parametrize("levels", range(3, 40))
@pytest.mark.parametrize("scale", [0.46, 1, 1e5])
def test_li_of_few_levels_stops_where_skimage_does(levels, scale):
    rng = np.random.default_rng(levels)
    pixels = rng.integers(0, levels, (60, 19)).astype(np.float32) * np.float32(scale)
    found = li_of_pixels(pixels, float(pixels.min()))
    assert found == pytest.approx(by_skimage("li", pixels), rel=1e-5)
