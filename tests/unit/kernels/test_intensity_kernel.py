"""Intensities of objects against numpy, in integers and fractions where digits are at stake."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dipstream.kernels import Linear
from dipstream.kernels.intensities import Intensities, intensities_of
from dipstream.kernels.moments import moments_of_runs
from dipstream.kernels.parallel import threads_inside_a_frame
from dipstream.kernels.runs import runs_of_labels

RNG = np.random.default_rng(7)
SHAPE = (9, 21)
LABELS = arrays(np.int32, SHAPE, elements=st.sampled_from([0, 0, 1, 1, 2, 40]))
PLANE = RNG.uniform(0.5, 2, SHAPE).astype(np.float32)


def measured(dense: np.ndarray, pixels: Linear | np.ndarray) -> Intensities:
    linear = pixels if isinstance(pixels, Linear) else Linear(pixels)
    return intensities_of(moments_of_runs(runs_of_labels(dense.astype(np.int32))), linear)


def check(dense: np.ndarray, pixels: Linear) -> None:
    """Compare with sums of fractions, which have no rounding at all."""
    found = measured(dense, pixels)
    plane = pixels.pixels()
    for k, label in enumerate(np.unique(dense[dense > 0])):
        y, x = np.nonzero(dense == label)
        values = [Fraction(float(value)) for value in plane[y, x]]
        n, total = len(values), sum(values)
        mean = total / n
        spread = float(sum((value - mean) ** 2 for value in values) / n) ** 0.5
        size = max(abs(float(value)) for value in values)
        assert found.smallest[k] == min(values)
        assert found.largest[k] == max(values)
        assert found.mean[k] == pytest.approx(float(mean), rel=1e-14, abs=1e-14 * size)
        assert found.total[k] == pytest.approx(float(total), rel=1e-14, abs=1e-14 * n * size)
        assert found.deviation[k] == pytest.approx(spread, rel=1e-11, abs=0)
        if total == 0:
            assert np.isnan(found.y[k])
            assert np.isnan(found.x[k])
        elif abs(float(total)) > 1e-3 * n * size:
            for centroid, place in ((found.y[k], y), (found.x[k], x)):
                wanted = sum(v * int(p) for v, p in zip(values, place, strict=True)) / total
                assert centroid == pytest.approx(float(wanted), rel=1e-11, abs=1e-11)


@given(LABELS, st.sampled_from(["uint8", "uint16", "float32"]), st.integers(0, 1000))
@settings(max_examples=15, deadline=None)
def test_raw_pixels(dense: np.ndarray, dtype: str, seed: int) -> None:
    top = 255 if dtype == "uint8" else 65535
    pixels = np.random.default_rng(seed).integers(0, top, SHAPE, endpoint=True).astype(dtype)
    check(dense, Linear(pixels if dtype != "float32" else pixels / np.float32(7) - 3000))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize(
    "offset", [np.array(100.3, np.float32), PLANE * 90], ids=["number", "plane"]
)
@pytest.mark.parametrize("gain", [np.array(1.7, np.float32), PLANE], ids=["number", "plane"])
def test_corrected_pixels_are_those_of_the_correction(
    dtype: str, offset: np.ndarray, gain: np.ndarray
) -> None:
    raw = RNG.integers(0, 255, SHAPE).astype(dtype)
    dense = np.arange(1, raw.size + 1).reshape(SHAPE)
    linear = Linear(raw, offset, gain)
    found = measured(dense, linear)
    for values in (found.mean, found.smallest, found.largest, found.total):
        np.testing.assert_array_equal(values, linear.pixels().ravel())
    assert not found.deviation.any()
    check(RNG.integers(0, 4, SHAPE), linear)


@pytest.mark.parametrize("first", [0.0, 1e8, -3e6])
def test_a_small_spread_on_a_large_mean_keeps_its_digits(first: float) -> None:
    """Also where the pixel that sums begin with is nothing like the others."""
    pixels = (1e8 + 8 * RNG.integers(0, 5, SHAPE)).astype(np.float32)
    dense = np.ones(SHAPE, int)
    check(dense, Linear(pixels))
    pixels[0, 0] = first
    check(dense, Linear(pixels))
    long = np.full((300, 1000), 65535, np.uint16)
    long[:, ::2] = 65534
    assert measured(np.ones(long.shape), long).deviation[0] == pytest.approx(0.5, rel=1e-12)


def test_a_first_pixel_far_from_all_others() -> None:
    """The worst there is: one pixel of 20,000 is off, and sums are taken about that one."""
    pixels = np.full((100, 200), 60_000, np.float32)
    pixels += RNG.integers(0, 2, pixels.shape) * np.float32(0.00390625)
    pixels[0, 0] = 60_100
    exact = pixels.astype(np.float64) - 60_000
    found = measured(np.ones(pixels.shape, int), pixels)
    assert found.deviation[0] == pytest.approx(exact.std(), rel=1e-11)


def test_equal_pixels_have_no_spread() -> None:
    for value in (0, 1, 65535):
        assert measured(np.ones((40, 50)), np.full((40, 50), value, np.uint16)).deviation[0] == 0
    assert measured(np.ones((7, 9)), np.full((7, 9), 0.1, np.float32)).deviation[0] == 0


def test_sums_are_exact_for_integers() -> None:
    raw = RNG.integers(0, 65535, (1024, 1024)).astype(np.uint16)
    found = measured(np.ones(raw.shape), raw)
    assert found.total.tolist() == [int(raw.sum(dtype=np.int64))]
    assert found.deviation[0] == pytest.approx(raw.std(dtype=np.float64), rel=1e-12)
    y = (raw.sum(axis=1, dtype=np.int64) * np.arange(1024)).sum() / raw.sum(dtype=np.int64)
    assert found.y[0] == pytest.approx(y, rel=1e-13)


def test_runs_that_end_with_the_row() -> None:
    raw = RNG.integers(1, 200, (12, 13)).astype(np.uint8)
    for width in range(1, 14):
        dense = np.zeros(raw.shape, int)
        dense[:, 13 - width :] = 1
        check(dense, Linear(raw))
        check(dense[:, ::-1], Linear(raw))


def test_many_small_objects_and_threads() -> None:
    dense = np.arange(1, 100_001).reshape(250, 400)
    raw = RNG.integers(0, 65535, dense.shape).astype(np.uint16)
    alone = measured(dense, raw)
    np.testing.assert_array_equal(alone.mean, raw.ravel())
    dense = dense // 7 + 1
    alone = measured(dense, raw)
    with threads_inside_a_frame(3):
        shared = measured(dense, raw)
    for name in ("mean", "smallest", "largest", "deviation", "total", "y", "x"):
        np.testing.assert_array_equal(getattr(alone, name), getattr(shared, name), err_msg=name)


def test_foreign_arrays() -> None:
    """Other byte order, every second column, read-only: all are taken."""
    raw = RNG.integers(0, 999, (9, 42)).astype(">u2")[:, ::2]
    raw.flags.writeable = False
    check(RNG.integers(0, 3, SHAPE), Linear(raw))
    check(RNG.integers(0, 3, SHAPE), Linear(raw, PLANE[::-1] * 3, PLANE.T.copy().T))


def test_no_objects() -> None:
    found = measured(np.zeros(SHAPE), np.ones(SHAPE, np.uint8))
    assert found.mean.shape == found.x.shape == (0,)
