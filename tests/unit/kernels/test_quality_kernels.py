"""What a raw frame is judged by, against numpy and scipy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from dipstream.kernels.exposure import is_finite, is_uniform
from dipstream.kernels.sample_levels import levels_of
from dipstream.kernels.sharpness import column_covariances, row_covariances

RNG = np.random.default_rng(17)
DTYPES = ("uint8", "uint16", "float32")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [1, 2, 4095, 4096, 4097, 9000])
def test_one_other_pixel_is_seen_anywhere(dtype: str, size: int) -> None:
    pixels = np.full(size, 7, dtype)
    assert is_uniform(pixels)
    assert is_uniform(pixels.reshape(1, -1))
    for place in {0, size // 2, size - 1} if size > 1 else ():
        pixels[place] = 8
        assert not is_uniform(pixels)
        pixels[place] = 7


@pytest.mark.parametrize("bad", [np.nan, -np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("size", [1, 4095, 4096, 4097, 9000])
def test_one_bad_pixel_is_seen_anywhere(bad: float, size: int) -> None:
    pixels = RNG.normal(0, 1e30, size).astype(np.float32)
    pixels[0] = np.finfo(np.float32).max
    pixels[-1] = np.finfo(np.float32).smallest_subnormal
    assert is_finite(pixels)
    for place in {0, size // 2, size - 1}:
        kept, pixels[place] = pixels[place], bad
        assert not is_finite(pixels)
        pixels[place] = kept
    assert is_finite(np.empty((0, 3), np.float32))


def clipped(values: np.ndarray) -> tuple[float, float, float]:
    values = np.sort(values, axis=None).astype(np.float64)
    kept = values
    for _ in range(5):
        far = np.abs(kept - np.median(kept)) > 3 * kept.std()
        if not far.any():
            break
        kept = kept[~far]
    return float(kept.mean()), float(kept.std()), float(np.percentile(values, 99))


@given(st.sampled_from(DTYPES), st.integers(1, 3000), st.integers(0, 999), st.floats(0.5, 60))
@settings(max_examples=60, deadline=None)
def test_levels(dtype: str, size: int, seed: int, spread: float) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(120, spread, size) + rng.choice([0, 0, 0, 0, 4], size) * spread
    values = values.clip(0, 255)
    values = (values if dtype == "float32" else values.round()).astype(dtype)
    np.testing.assert_allclose(levels_of(values), clipped(values), rtol=1e-10, atol=1e-10)


def test_levels_of_equal_pixels_and_of_a_strided_sample() -> None:
    assert levels_of(np.full(1000, 0.1, np.float32))[1] == 0
    assert levels_of(np.array([[5]], np.uint8)) == (5, 0, 5)
    values = RNG.integers(0, 65535, (300, 400)).astype(">u2")[::3, ::7]
    np.testing.assert_allclose(levels_of(values), clipped(values), rtol=1e-12)
    # 122 is an outlier of the median, 105, but not of the value above it
    even = np.array([100] * 101 + [110] * 100 + [122], np.uint16)
    np.testing.assert_allclose(levels_of(even), clipped(even), rtol=1e-12)
    far = np.array([0, 65535] + [30_000] * 400, np.uint16)
    assert levels_of(far)[:2] == (30_000, 0)


def covariances(pixels: np.ndarray, first: np.ndarray) -> tuple[float, ...]:
    one, other = (pixels[first + k].astype(np.float64) for k in (0, 1))
    one, other = one - one.mean(), other - other.mean()
    fine = (ndimage.gaussian_filter1d(lines, 2, axis=1, order=2) for lines in (one, other))
    return tuple(
        map(float, ((one * other).sum(), (one**2).sum(), (other**2).sum(), np.vdot(*fine)))
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(8, 8), (9, 8), (8, 300), (40, 263), (600, 31), (64, 1000)])
def test_covariances(dtype: str, shape: tuple[int, int]) -> None:
    smooth = ndimage.gaussian_filter(RNG.normal(0, 1, shape), 1.5)
    pixels = (128 + 60 * smooth / np.abs(smooth).max()).astype(dtype)
    for transposed in (False, True):
        lines = pixels.T if transposed else pixels
        first = np.linspace(0, len(lines) // 2 - 1, min(9, len(lines) // 2)).astype(np.int64) * 2
        found = (
            column_covariances(pixels, first)[0] if transposed else row_covariances(pixels, first)
        )
        wanted = covariances(lines, first)
        size = np.sqrt(wanted[1] * wanted[2])
        np.testing.assert_allclose(found[:3], wanted[:3], rtol=0, atol=1e-6 * size)
        np.testing.assert_allclose(found[3], wanted[3], rtol=0, atol=2e-6 * abs(wanted[3]) + 1e-9)


@given(arrays(np.uint8, (9, 11)), st.integers(0, 255))
@settings(max_examples=30, deadline=None)
def test_bright_pixels_are_counted_on_the_way(pixels: np.ndarray, level: int) -> None:
    first = np.array([0, 4])
    for frame, limit in ((pixels, level), (pixels.astype(np.uint16) * 257, level * 257 - 1)):
        found, bright = column_covariances(frame, first, limit)
        assert bright == np.count_nonzero(frame >= limit)
        assert found == column_covariances(frame, first)[0]


def test_counters_do_not_overflow() -> None:
    tall = np.full((140_000, 8), 255, np.uint8)
    assert column_covariances(tall, np.array([0]), 255)[1] == tall.size
    tall[70_000:, 3] = 254
    assert column_covariances(tall, np.array([0]), 255)[1] == tall.size - 70_000
