"""Moments, Euler number, perimeter and hull of objects, each against what defines it."""

import math
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage import measure
from skimage.morphology import convex_hull_image

from dipstream.kernels.ellipse import ellipses_of
from dipstream.kernels.euler import euler_numbers
from dipstream.kernels.hull import convex_areas
from dipstream.kernels.moments import Moments, moments_of_runs
from dipstream.kernels.object_runs import runs_by_object
from dipstream.kernels.parallel import threads_inside_a_frame
from dipstream.kernels.perimeter import perimeters
from dipstream.kernels.runs import runs_of_labels

LABELS = arrays(
    np.int32,
    st.tuples(st.integers(1, 14), st.integers(1, 14)),
    elements=st.sampled_from([0, 0, 0, 1, 1, 2, 7]),
)


def moments(dense: np.ndarray) -> Moments:
    return moments_of_runs(runs_of_labels(dense.astype(np.int32)))


def spiral(turns: int) -> np.ndarray:
    """One pixel wide, one pixel apart."""
    side = 4 * turns + 1
    dense = np.zeros((side, side), np.int32)
    y, x, dy, dx = 0, 0, 0, 1
    dense[0, 0] = 1
    for length in [side - 1, *(n for k in range(side - 1, 1, -2) for n in (k, k))]:
        for _ in range(length):
            y, x = y + dy, x + dx
            dense[y, x] = 1
        dy, dx = dx, -dy
    return dense


def check(dense: np.ndarray) -> None:
    """Compare every object of a dense plane with scikit-image, object by object."""
    found = moments(dense)
    euler, length, convex = euler_numbers(found.runs), perimeters(found), convex_areas(found)
    assert found.label.tolist() == np.unique(dense[dense > 0]).tolist()
    for k, label in enumerate(found.label):
        y, x = np.nonzero(dense == label)
        box = (y.min(), x.min(), y.max() + 1, x.max() + 1)
        assert (found.y0[k], found.x0[k], found.y1[k], found.x1[k]) == box
        y, x = y - box[0], x - box[1]
        assert found.area[k] == len(y)
        sums = (found.sum_y[k], found.sum_x[k], found.sum_yy[k], found.sum_yx[k], found.sum_xx[k])
        assert sums == (y.sum(), x.sum(), (y * y).sum(), (y * x).sum(), (x * x).sum())
        one = (dense == label)[box[0] : box[2], box[1] : box[3]]
        assert euler[k] == measure.euler_number(one, 2)
        assert length[k] == pytest.approx(measure.perimeter(one, 4), rel=1e-12, abs=0)
        assert convex[k] == np.count_nonzero(convex_hull_image(one))


@given(LABELS)
@example(np.ones((1, 1), np.int32))
@example(np.ones((1, 9), np.int32))
@example(np.ones((9, 1), np.int32))
@example(np.array([[1, 1, 0], [1, 0, 2], [0, 2, 2]], np.int32))
@example(np.array([[1], [0], [0], [1]], np.int32))
@example(np.array([[1, 0, 0, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 1]], np.int32))
@settings(max_examples=80, deadline=None)
def test_objects_of_any_form_and_in_pieces(dense: np.ndarray) -> None:
    check(dense)


@given(arrays(np.bool_, (25, 40), elements=st.booleans(), fill=st.nothing()), st.integers(1, 2))
@settings(max_examples=15, deadline=None)
def test_components_of_noise(mask: np.ndarray, connectivity: int) -> None:
    check(measure.label(mask, connectivity=connectivity))


@pytest.mark.parametrize(
    "dense",
    [
        spiral(12),
        np.indices((31, 44)).sum(axis=0) % 2,
        np.indices((12, 12)).sum(axis=0) % 2 + 1,
        np.indices((20, 30)).sum(axis=0) % 3,
        1 - np.pad(np.ones((20, 20), int), 5),
        np.ones((40, 60), int),
        np.pad(np.ones((6, 6), int), ((0, 30), (0, 50))) + np.pad([[1]], ((35, 0), (55, 0))),
        np.eye(40, dtype=int) + 2 * np.eye(40, dtype=int)[::-1],
        np.repeat(np.arange(1, 30), 4)[None, :] * np.ones((17, 1), int),
        np.tri(60, dtype=int) - np.tri(60, k=-9, dtype=int),
    ],
    ids=["spiral", "checkerboard", "two checkerboards", "stripes", "frame", "full", "far apart",
         "crossed lines", "touching", "band"],
)  # fmt: skip
def test_drawn_forms(dense: np.ndarray) -> None:
    check(np.maximum(dense, 0))


def test_a_line_of_any_slope_has_its_hull() -> None:
    for dy in range(12):
        for dx in range(12):
            dense = np.zeros((40, 40), np.int32)
            for k in range(4):
                dense[k * dy, k * dx] = 1
                dense[39 - k * dy, k * dx] = 2
            check(dense)


def test_no_objects() -> None:
    for shape in ((0, 0), (5, 0), (0, 5), (5, 5)):
        found = moments(np.zeros(shape))
        assert len(found) == len(found.runs) == 0
        assert found.area.dtype == np.int64
        assert perimeters(found).shape == (0,)
        assert convex_areas(found).shape == (0,)
        assert euler_numbers(found.runs).shape == (0,)
        assert ellipses_of(found).major.shape == (0,)


def test_runs_are_sorted_by_object() -> None:
    dense = np.array([[3, 3, 0, 9], [0, 3, 3, 9], [9, 0, 0, 3]], np.int32)
    found = runs_by_object(runs_of_labels(dense))
    assert found.label.tolist() == [3, 9]
    assert found.first.tolist() == [0, 3, 6]
    assert found.row.tolist() == [0, 1, 2, 0, 1, 2]
    assert found.start.tolist() == [0, 1, 3, 3, 3, 0]
    assert found.stop.tolist() == [2, 3, 4, 4, 4, 1]


def test_the_largest_label_costs_no_memory() -> None:
    dense = np.array([[2**31 - 1, 5, 2**31 - 1], [5, 5, 0]], np.int32)
    moments(dense % 7)  # what is compiled, or loaded, is no part of it
    tracemalloc.start()
    found = moments(dense)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5e6
    assert found.label.tolist() == [5, 2**31 - 1]
    assert found.area.tolist() == [3, 2]
    assert found.label.dtype == np.int64
    check(dense)


def test_one_object_of_a_million_pixels() -> None:
    found = moments(np.ones((1024, 1024)))
    n = 1024
    assert found.area.tolist() == [n * n]
    assert found.sum_xx.tolist() == [n * (n - 1) * n * (2 * n - 1) // 6]
    assert euler_numbers(found.runs).tolist() == [1]
    assert perimeters(found)[0] == pytest.approx(measure.perimeter(np.ones((n, n), bool), 4))
    assert convex_areas(found).tolist() == [n * n]
    assert ellipses_of(found).major[0] == pytest.approx(4 * math.sqrt((n * n - 1) / 12), rel=1e-15)


def test_one_checkerboard_of_a_million_squares() -> None:
    board = np.indices((1024, 1024)).sum(axis=0) % 2
    found = moments(board)
    assert euler_numbers(found.runs)[0] == measure.euler_number(board, 2)
    assert perimeters(found)[0] == pytest.approx(measure.perimeter(board, 4), rel=1e-12)
    # the hull's slanted corners pass beyond the two that are black
    assert convex_areas(found).tolist() == [1024 * 1024 - 2]


def test_a_hundred_thousand_objects() -> None:
    """One small plane, known from the test above, many times over."""
    one = measure.label(np.random.default_rng(3).random((30, 30)) < 0.35, connectivity=1)
    n = int(one.max())
    times = math.ceil(100_000 / n)
    many = np.tile(one, (1, times))
    wide = many + n * np.repeat(np.arange(times), 30) * (many > 0)
    apart = np.zeros((30, 31 * times), np.int32)
    apart.reshape(30, times, 31)[:, :, :30] = wide.reshape(30, times, 30)
    expected, found = moments(one), moments(apart)
    assert len(found) == n * times >= 100_000
    pairs = (
        (found.area, expected.area),
        (found.sum_yx, expected.sum_yx),
        (perimeters(found), perimeters(expected)),
        (convex_areas(found), convex_areas(expected)),
        (euler_numbers(found.runs), euler_numbers(expected.runs)),
    )
    for values, wanted in pairs:
        np.testing.assert_array_equal(values.reshape(times, n), np.tile(wanted, (times, 1)))


def test_many_objects_scattered_over_the_whole_plane() -> None:
    """Boxes as large as the plane cost what their runs do, not what the boxes would."""
    dense = np.random.default_rng(5).integers(0, 3_000, (300, 300))
    found = moments(dense)
    assert euler_numbers(found.runs).sum() >= 0.95 * found.area.sum()
    few = np.isin(dense, [1, 2, 2999]) * dense
    check(few)
    kept = np.isin(found.label, [1, 2, 2999])
    np.testing.assert_array_equal(convex_areas(found)[kept], convex_areas(moments(few)))
    np.testing.assert_array_equal(perimeters(found)[kept], perimeters(moments(few)))


@pytest.mark.parametrize(
    "measured",
    [lambda found: euler_numbers(found.runs), perimeters, convex_areas],
    ids=["euler", "perimeter", "hull"],
)
def test_threads_change_nothing(measured: Callable[[Moments], np.ndarray]) -> None:
    mask = np.random.default_rng(1).random((200, 200)) < 0.5
    found = moments(measure.label(mask, connectivity=1))
    alone = measured(found)
    assert len(alone) > 512
    for threads in (2, 3, 7):
        with threads_inside_a_frame(threads):
            np.testing.assert_array_equal(measured(found), alone)


@pytest.mark.parametrize(
    ("dense", "minor", "eccentricity", "orientation"),
    [
        ([[1]], 0, 0, -math.pi / 4),
        ([[1, 1], [1, 1]], 2, 0, -math.pi / 4),
        ([[1, 1, 1]], 0, 1, math.pi / 2),
        ([[1], [1]], 0, 1, 0),
        (np.eye(7), 0, 1, math.pi / 4),
        (np.eye(7)[::-1], 0, 1, -math.pi / 4),
        ([[1, 0, 0], [1, 1, 1]], None, None, None),
    ],
)
def test_ellipses_of_simple_forms(
    dense: np.ndarray, minor: float | None, eccentricity: float, orientation: float
) -> None:
    dense = np.pad(np.asarray(dense, np.int32), 3)
    found = ellipses_of(moments(dense))
    (region,) = measure.regionprops(dense)
    assert found.major[0] == pytest.approx(region.axis_major_length, rel=1e-12)
    if minor is None:
        assert found.minor[0] == pytest.approx(region.axis_minor_length, rel=1e-12)
        assert found.eccentricity[0] == pytest.approx(region.eccentricity, rel=1e-12)
        assert found.orientation[0] == pytest.approx(region.orientation, rel=1e-12)
    else:
        assert found.minor[0] == minor
        assert found.eccentricity[0] == eccentricity
        assert found.orientation[0] == orientation == pytest.approx(region.orientation)


@pytest.mark.parametrize("places", [(0, 1), (0, 1, 3), (0, 1, 3, 4, 5, 6, 10), (0, 7, 8, 90, 91)])
def test_a_line_with_gaps_has_no_width(places: tuple[int, ...]) -> None:
    dense = np.zeros((4, 100, 100), np.int32)
    for place in places:
        dense[0, place, place] = dense[1, place, 99 - place] = 1
        dense[2, place, 50] = dense[3, 50, place] = 1
    found = [ellipses_of(moments(plane)) for plane in dense]
    assert [one.minor[0] for one in found] == [0] * 4
    assert [one.eccentricity[0] for one in found] == [1] * 4
    angles = [one.orientation[0] for one in found]
    assert angles == [math.pi / 4, -math.pi / 4, 0, math.pi / 2]


def test_the_width_of_a_narrow_object_keeps_its_digits() -> None:
    """A line of 2,000 px with one pixel beside it: the variance across is 1/n − 1/n²."""
    dense = np.zeros((3, 2000), np.int32)
    dense[1] = 1
    dense[2, 1000] = 1
    found = ellipses_of(moments(dense))
    y, x = (np.array([int(v) for v in w], dtype=object) for w in np.nonzero(dense))
    n = len(y)
    yy, xx, yx = (n * (a * b).sum() - a.sum() * b.sum() for a, b in ((y, y), (x, x), (y, x)))
    exact = (yy * xx - yx * yx) / (n**4 * (found.major[0] / 4) ** 2)
    assert found.minor[0] == pytest.approx(4 * math.sqrt(exact), rel=1e-12)
