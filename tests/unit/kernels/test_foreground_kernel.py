"""Runs above a level, and what is asked of regions, against dense numpy and scipy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage as ndi

from dipstream.kernels.components import components
from dipstream.kernels.contrast import (
    heights_of_runs,
    percentile_of_regions,
    runs_above_levels,
)
from dipstream.kernels.foreground import runs_above, runs_above_surface
from dipstream.kernels.parallel import threads_inside_a_frame
from dipstream.kernels.runs import chosen_runs, mask_of_runs, runs_of_mask

DTYPES = [np.float32, np.uint8, np.uint16]
WIDTHS = [1, 2, 31, 63, 64, 65, 127, 128, 129, 200]


def plane(shape, dtype, seed=0, sigma=1.5):
    rng = np.random.default_rng(seed)
    pixels = ndi.gaussian_filter(rng.normal(0, 100, shape), sigma)
    return (pixels if dtype == np.float32 else np.clip(pixels + 60, 0, 255)).astype(dtype)


def assert_same(found, expected):
    assert found.shape == expected.shape
    for name in ("row", "start", "stop"):
        ours = getattr(found, name)
        np.testing.assert_array_equal(ours, getattr(expected, name), name)
        assert ours.dtype == np.int32
        assert ours.base is None


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", WIDTHS)
def test_runs_above_a_level(dtype, width):
    pixels = plane((37, width), dtype, width)
    middle = float(np.median(pixels))
    for level in (middle, middle + 0.25, middle + 0.75, -1e9, 1e9, 1e300, np.inf, -np.inf, np.nan):
        with np.errstate(over="ignore"):
            expected = runs_of_mask(pixels > level)
        assert_same(runs_above(pixels, level), expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", [1, 64, 130])
@pytest.mark.parametrize("pattern", ["full", "empty", "checks", "columns", "last"])
def test_patterns(dtype, width, pattern):
    y, x = np.mgrid[:9, :width]
    mask = {
        "full": y >= 0,
        "empty": y < 0,
        "checks": (y + x) % 2 == 0,
        "columns": x % 3 == 0,
        "last": x == width - 1,
    }[pattern]
    assert_same(runs_above(mask.astype(dtype), 0.5), runs_of_mask(mask))


def check_surface(pixels, sigma, lift, bottom):
    surface = ndi.gaussian_filter(pixels.astype(np.float32), sigma, mode="reflect") + lift
    level = np.maximum(surface, np.float32(bottom))
    found = runs_above_surface(pixels, sigma, 0.0, lift, bottom)
    mask = mask_of_runs(found.runs)
    differs = mask != (pixels > level)
    scale = float(np.abs(pixels).max()) + abs(lift)
    assert np.abs(pixels - level)[differs].max(initial=0) <= 1e-6 * scale
    assert found.mean_level == pytest.approx(level.mean(dtype=np.float64), abs=1e-6 * scale)
    heights = np.where(mask, pixels.astype(np.float64) - level, 0)
    rows = np.repeat(np.arange(len(pixels)), np.diff(found.runs.row))
    expected = [
        heights[y, a:b].sum()
        for y, a, b in zip(rows, found.runs.start, found.runs.stop, strict=True)
    ]
    np.testing.assert_allclose(found.heights, expected, atol=1e-6 * scale * pixels.shape[1])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", WIDTHS)
def test_runs_above_a_surface(dtype, width):
    pixels = plane((40, width), dtype, width)
    for bottom in (-np.inf, float(np.median(pixels)), 1e9):
        check_surface(pixels, 3.0, 0.0, bottom)
    check_surface(pixels, 10.0, 2.5, -np.inf)


def test_threads_do_not_change_a_run():
    pixels = plane((600, 140), np.float32)
    alone = runs_above(pixels, 5.0), runs_above_surface(pixels, 3.0, 0.0, 0.0, 1.0)
    with threads_inside_a_frame(3):
        together = runs_above(pixels, 5.0), runs_above_surface(pixels, 3.0, 0.0, 0.0, 1.0)
    assert_same(together[0], alone[0])
    assert_same(together[1].runs, alone[1].runs)
    np.testing.assert_array_equal(together[1].heights, alone[1].heights)
    assert together[1].mean_level == alone[1].mean_level


def regions_of(mask):
    runs = runs_of_mask(mask)
    region = components(runs)
    n = int(region.max(initial=-1)) + 1
    dense = np.full(mask.shape, -1)
    rows = np.repeat(np.arange(len(mask)), np.diff(runs.row))
    for y, a, b, number in zip(rows, runs.start, runs.stop, region, strict=True):
        dense[y, a:b] = number
    return runs, region, n, dense


@given(
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.sampled_from(DTYPES),
    st.floats(0.02, 1),
    st.sampled_from([0, 13, 50, 75, 100]),
    st.integers(0, 99),
)
@settings(deadline=None, max_examples=60)
def test_regions_of_any_mask(shape, dtype, share, percent, seed):
    rng = np.random.default_rng(seed)
    pixels = plane(shape, dtype, seed, sigma=0.5)
    if seed % 3 == 0:
        pixels = (pixels // 40).astype(dtype)
    runs, region, n, dense = regions_of(rng.random(shape) < share)
    found = percentile_of_regions(pixels, runs, region, n, percent)
    expected = [np.percentile(pixels[dense == k], percent) for k in range(n)]
    np.testing.assert_array_equal(found, np.array(expected, np.float64))
    # Some are those of pixels, which are then not above them.
    levels = np.where(
        rng.random(n) < 0.5, rng.normal(pixels.mean(), 30, n), rng.choice(pixels.ravel(), n)
    )
    above = (dense >= 0) & (pixels > np.append(levels, 0)[dense])
    assert_same(runs_above_levels(pixels, runs, levels[region]), runs_of_mask(above))
    keep = rng.random(n) < 0.5
    kept = (dense >= 0) & np.append(keep, False)[dense]
    assert_same(chosen_runs(runs, keep[region]), runs_of_mask(kept))
    heights = np.bincount(region, heights_of_runs(pixels, runs, 7.25), minlength=n)
    totals = [(pixels[dense == k].astype(np.float64) - 7.25).sum() for k in range(n)]
    np.testing.assert_allclose(heights, totals, atol=1e-8)


VALUES = {
    "one level": lambda rng, n: np.full(n, -3.5),
    "two levels": lambda rng, n: rng.integers(0, 2, n),
    "one far away": lambda rng, n: np.append(rng.random(n - 1), 1e30),
    "both signs": lambda rng, n: rng.normal(0, 1, n) ** 9,
    "tiny": lambda rng, n: rng.random(n) * 1e-40,
    "ascending": lambda rng, n: np.arange(n),
    "zeros of both signs": lambda rng, n: rng.choice([-0.0, 0.0, 1.0], n),
}


@pytest.mark.parametrize("values", VALUES)
@pytest.mark.parametrize("n", [1, 2, 24, 25, 300, 70_000])
def test_percentile_of_one_region(values, n):
    pixels = VALUES[values](np.random.default_rng(n), n).astype(np.float32)[None]
    runs = runs_of_mask(np.ones(pixels.shape, bool))
    region = np.zeros(1, np.int32)
    for percent in (0, 5, 50, 75, 99, 100):
        found = percentile_of_regions(pixels, runs, region, 1, percent)
        assert found[0] == np.percentile(pixels, percent)


@pytest.mark.parametrize("values", ["one far away", "ascending", "two levels", "both signs"])
def test_a_region_of_millions_of_pixels(values):
    # Sorted by insertion, it would take hours.
    pixels = VALUES[values](np.random.default_rng(0), 3_000_000).astype(np.float32)
    pixels = pixels.reshape(1000, 3000)
    runs = runs_of_mask(np.ones(pixels.shape, bool))
    found = percentile_of_regions(pixels, runs, np.zeros(1000, np.int32), 1, 75)
    assert found[0] == np.percentile(pixels, 75)


def test_no_regions():
    pixels = plane((5, 6), np.float32)
    runs = runs_of_mask(np.zeros((5, 6), bool))
    none = np.empty(0, np.int32)
    assert len(percentile_of_regions(pixels, runs, none, 0, 75)) == 0
    assert_same(runs_above_levels(pixels, runs, np.empty(0)), runs)


@pytest.mark.parametrize("threads", [2, 3, 4])
def test_a_surface_rounds_the_same_in_parts_that_end_anywhere(threads):
    pixels = np.random.default_rng(3).normal(100, 10, (686, 70)).astype(np.float32)
    expected = runs_above_surface(pixels, 10.0, 2.0**-19, 0.0, -np.inf)
    with threads_inside_a_frame(threads):
        found = runs_above_surface(pixels, 10.0, 2.0**-19, 0.0, -np.inf)
    assert_same(found.runs, expected.runs)
    assert found.mean_level == expected.mean_level
    np.testing.assert_array_equal(found.heights, expected.heights)
