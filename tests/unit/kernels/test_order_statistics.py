"""Percentiles against ``numpy.percentile``, to the last bit."""

import numpy as np
import pytest

from dipstream.kernels import order_statistics
from dipstream.kernels.histogram import integer_histogram
from dipstream.kernels.order_statistics import (
    percentile,
    percentile_of_histogram,
    percentile_of_lags,
)

PERCENTS = [0, 5, 25, 33.3, 75, 100]


def plane(seed):
    rng = np.random.default_rng(seed)
    pixels = rng.normal(0, 30, (rng.integers(1, 200), rng.integers(1, 400)))
    if seed % 3 == 0:
        pixels = np.round(pixels)
    if seed % 5 == 0:
        pixels = np.clip(pixels, 0, 20)
    if seed % 7 == 0:
        pixels = rng.random(pixels.shape) < 0.5
    return pixels.astype(np.float32)


def lags(pixels, lag=4):
    floats = pixels.astype(np.float32)
    down, right = floats[lag:] - floats[:-lag], floats[:, lag:] - floats[:, :-lag]
    return np.abs(np.concatenate([down.ravel(), right.ravel()]))


@pytest.mark.parametrize("seed", range(40))
def test_of_a_plane(seed):
    pixels = plane(seed)
    for percent in PERCENTS:
        assert percentile(pixels, percent) == np.percentile(pixels, percent)


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("dtype", [np.float32, np.uint8, np.uint16])
def test_of_lags(seed, dtype):
    pixels = plane(seed)
    if dtype != np.float32:
        pixels = np.clip(pixels + 30, 0, 255).astype(dtype)
    for percent in PERCENTS:
        assert percentile_of_lags(pixels, 4, percent) == np.percentile(lags(pixels), percent)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("seed", range(10))
def test_of_integers(dtype, seed):
    pixels = np.clip(plane(seed) + 30, 0, 255).astype(dtype)
    histogram = integer_histogram(pixels)
    for percent in PERCENTS:
        assert percentile_of_histogram(histogram, percent) == np.percentile(pixels, percent)


@pytest.mark.parametrize("shape", [(1, 5), (5, 1), (3, 9), (9, 3), (5, 5)])
def test_lags_of_small_planes(shape):
    pixels = np.random.default_rng(0).normal(0, 1, shape).astype(np.float32)
    assert percentile_of_lags(pixels, 4, 25) == np.percentile(lags(pixels), 25)


def test_large_planes_are_not_sorted(monkeypatch):
    pixels = np.random.default_rng(1).gamma(2, 20, (700, 900)).astype(np.float32)
    expected = np.percentile(pixels, 5), np.percentile(lags(pixels), 25)
    monkeypatch.setattr(order_statistics.np, "percentile", None)
    assert (percentile(pixels, 5), percentile_of_lags(pixels, 4, 25)) == expected


def test_a_pattern_that_misleads_the_sample():
    pixels = np.zeros((513, 600), np.float32)
    step = max(1, pixels.size // (1 << 15)) | 1
    pixels.ravel()[::step] = np.arange(pixels.ravel()[::step].size)
    for percent in (1, 50, 95, 99):
        assert percentile(pixels, percent) == np.percentile(pixels, percent)
        assert percentile_of_lags(pixels, 4, percent) == np.percentile(lags(pixels), percent)


def test_nearly_all_pixels_in_the_bracket():
    pixels = np.random.default_rng(2).random((600, 600)).astype(np.float32)
    pixels[:, 1::3] = 0.5
    sampled = pixels.ravel()[:: max(1, pixels.size // (1 << 15)) | 1]
    sampled[:] = np.where(np.arange(sampled.size) % 2, 0.4, 0.6)
    assert percentile(pixels, 50) == np.percentile(pixels, 50)
