"""The median of nine against scipy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage as ndi

from dipstream.kernels.median import median_of_nine
from dipstream.kernels.parallel import threads_inside_a_frame


@given(
    st.tuples(st.integers(1, 40), st.integers(1, 70)),
    st.sampled_from([np.uint8, np.uint16, np.float32]),
    st.sampled_from([2, 5, 250]),
    st.integers(0, 99),
)
@settings(deadline=None, max_examples=80)
def test_is_scipys_median(shape, dtype, levels, seed):
    pixels = np.random.default_rng(seed).integers(0, levels, shape).astype(dtype)
    if dtype == np.float32:
        pixels = pixels - np.float32(levels / 3)
    found = median_of_nine(pixels)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, ndi.median_filter(pixels, 3, mode="reflect"))


def test_every_order_of_nine_pixels_of_two_levels():
    for bits in range(512):
        pixels = ((bits >> np.arange(9)) & 1).astype(np.uint8).reshape(3, 3)
        assert median_of_nine(pixels)[1, 1] == (pixels.sum() >= 5)


@pytest.mark.parametrize("ends", [np.inf, -np.inf, 3e38])
def test_what_is_infinite(ends):
    pixels = np.random.default_rng(0).random((30, 40)).astype(np.float32)
    pixels[::3, ::2] = ends
    np.testing.assert_array_equal(
        median_of_nine(pixels), ndi.median_filter(pixels, 3, mode="reflect")
    )


def test_threads_do_not_change_it():
    pixels = np.random.default_rng(0).integers(0, 60_000, (130, 41)).astype(np.uint16)
    alone = median_of_nine(pixels)
    with threads_inside_a_frame(3):
        np.testing.assert_array_equal(median_of_nine(pixels), alone)
