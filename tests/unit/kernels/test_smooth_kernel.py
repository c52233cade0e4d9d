"""The Gaussian kernel against scipy, and rows of corrected pixels against the whole plane."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage as ndi

from dipstream.kernels.correction import correct_row, inputs_of
from dipstream.kernels.linear import Linear
from dipstream.kernels.parallel import threads_inside_a_frame
from dipstream.kernels.smooth import smooth

SHAPES = [(1, 1), (1, 70), (70, 1), (3, 5), (32, 32), (33, 31), (64, 129), (100, 48)]


def raw(shape, dtype, seed=0):
    return np.random.default_rng(seed).integers(0, 250, shape).astype(dtype)


def linears(shape, dtype):
    pixels = raw(shape, dtype)
    rng = np.random.default_rng(1)
    plane = (rng.random(shape) + 0.5).astype(np.float32)
    number = np.asarray(np.float32(17.3))
    return {
        "raw": Linear(pixels),
        "numbers": Linear(pixels, number, number),
        "flat": Linear(pixels, number, plane),
        "planes": Linear(pixels, 30 * plane, plane),
        "dark": Linear(pixels, 30 * plane, number),
    }


def reference(pixels, sigma):
    floats = np.asarray(pixels, np.float32)
    return ndi.gaussian_filter(floats, sigma, mode="reflect", truncate=4.0, output=np.float32)


def smoothed(linear, sigma):
    out = np.full(linear.shape, np.nan, np.float32)
    return out, smooth(linear, sigma, out)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_corrected_rows_are_those_of_the_plane(shape, dtype):
    for linear in linears(shape, dtype).values():
        row = np.empty(shape[1], np.float32)
        for y, expected in enumerate(linear.pixels().astype(np.float32)):
            correct_row(*inputs_of(linear), y, row)
            np.testing.assert_array_equal(row, expected)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("sigma", [0.1, 0.4, 1.0, 1.5, 4.0, 10.0, 40.0])
def test_is_scipys_gaussian(shape, sigma):
    for linear in (*linears(shape, np.uint16).values(), Linear(raw(shape, np.float32))):
        found, (low, high) = smoothed(linear, sigma)
        expected = reference(linear.pixels(), sigma)
        np.testing.assert_allclose(
            found, expected, rtol=0, atol=4e-7 * np.abs(linear.pixels()).max()
        )
        assert (low, high) == (found.min(), found.max())


@given(
    st.tuples(st.integers(1, 90), st.integers(1, 90)),
    st.floats(0.05, 12),
    st.integers(0, 99),
)
@settings(deadline=None, max_examples=60)
def test_any_shape_and_sigma(shape, sigma, seed):
    pixels = raw(shape, np.uint8, seed)
    found, _ = smoothed(Linear(pixels), sigma)
    np.testing.assert_allclose(found, reference(pixels, sigma), rtol=0, atol=1e-4)


@pytest.mark.parametrize("sigma", [0.3, 1.0, 1.5, 10.0, 100.0])
def test_a_constant_image_stays_constant(sigma):
    found, _ = smoothed(Linear(np.full((70, 90), 1000, np.float32)), sigma)
    np.testing.assert_allclose(found, 1000, rtol=4e-7)


@pytest.mark.parametrize("sigma", [1.0, 10.0])
def test_threads_do_not_change_a_bit(sigma):
    linear = linears((517, 130), np.uint16)["flat"]
    alone, ends = smoothed(linear, sigma)
    with threads_inside_a_frame(3):
        together, ends_together = smoothed(linear, sigma)
    np.testing.assert_array_equal(alone, together)
    assert ends == ends_together


@pytest.mark.parametrize("trouble", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("x", [0, 15, 63, 64, 66])
@pytest.mark.parametrize("sigma", [0.1, 1.0])
def test_what_is_not_finite_is_noticed(trouble, x, sigma):
    pixels = raw((40, 67), np.float32)
    pixels[20, x] = trouble
    _, ends = smoothed(Linear(pixels), sigma)
    assert np.isnan(ends).all()


def test_buffers_of_a_larger_image_leave_no_trace():
    small = raw((9, 33), np.uint16)
    before, _ = smoothed(Linear(small), 2.0)
    poison = np.full((200, 300), np.nan, np.float32)
    smoothed(Linear(poison), 9.0)
    after, _ = smoothed(Linear(small), 2.0)
    np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("threads", [2, 3, 4])
@pytest.mark.parametrize("sigma", [1.5, 3.0, 10.0])
def test_rounds_the_same_in_parts_that_end_anywhere(threads, sigma):
    linear = Linear(np.random.default_rng(2).normal(100, 10, (279, 90)).astype(np.float32))
    expected, ends = smoothed(linear, sigma)
    with threads_inside_a_frame(threads):
        found, others = smoothed(linear, sigma)
    np.testing.assert_array_equal(found, expected)
    assert others == ends


@pytest.mark.parametrize("sigma", [1.5, 5.0, 12.0, 50.0])
@pytest.mark.parametrize("level", [47, 173, 16400, 0.1])
def test_a_constant_plane_stays_constant(sigma, level):
    pixels = np.full((114, 40), level, np.float32 if level < 1 else np.uint16)
    found, ends = smoothed(Linear(pixels), sigma)
    assert (found == pixels[0, 0]).all()
    assert ends == (pixels[0, 0], pixels[0, 0])
    corrected = Linear(pixels, np.asarray(np.float32(7)), np.asarray(np.float32(0.3)))
    assert np.ptp(smoothed(corrected, sigma)[0]) == 0


def test_a_nearly_constant_plane_is_smoothed():
    pixels = np.full((60, 40), 1000, np.uint16)
    pixels[30, 20] = 1001
    found, _ = smoothed(Linear(pixels), 20.0)
    assert found.max() > found.min()
