"""Regions, holes, distance and split on runs: equal to what scipy and the references say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage as ndi

from dipstream.errors import StepError
from dipstream.kernels.components import components, sizes
from dipstream.kernels.distance import DEEPEST, squared_distance
from dipstream.kernels.holes import fill_holes
from dipstream.kernels.parallel import threads_inside_a_frame
from dipstream.kernels.runs import (
    LabelledRuns,
    labels_of_runs,
    mask_of_runs,
    runs_of_labels,
    runs_of_mask,
)
from dipstream.kernels.split import label, split
from dipstream.steps.image import Mask
from dipstream.steps.segment.regions import connected
from dipstream.steps.segment.split import height_levels, smoothing_weights
from dipstream.steps.segment.split import split as reference

EIGHT = np.ones((3, 3), bool)


def spiral(size):
    mask = np.zeros((size, size), bool)
    low, high = 0, size - 1
    while low < high:
        mask[low, low : high + 1] = mask[low : high + 1, high] = True
        mask[high, low : high + 1] = mask[low + 2 : high + 1, low] = True
        mask[low + 2, low : low + 3] = True
        low, high = low + 2, high - 2
    return mask


def rings(size):
    y, x = np.mgrid[:size, :size] - size // 2
    return np.hypot(y, x) % 4 < 2


def noise(size, share, seed=0):
    return np.random.default_rng(seed).random((size, size)) < share


def blobs(shape, sigma, seed=0):
    values = ndi.gaussian_filter(np.random.default_rng(seed).normal(size=shape), sigma)
    return values > np.quantile(values, 0.6)


def but_for(shape, *background):
    mask = np.ones(shape, bool)
    for pixel in background:
        mask[pixel] = False
    return mask


def checkerboard(size):
    return np.indices((size, size)).sum(axis=0) % 2 == 0


PLANES = {
    "empty": np.zeros((7, 9), bool),
    "full": np.ones((7, 9), bool),
    "pixel": np.ones((1, 1), bool),
    "no pixel": np.zeros((1, 1), bool),
    "row": noise(40, 0.7)[:1],
    "column": noise(40, 0.7)[:, :1],
    "full row": np.ones((1, 30), bool),
    "frame": ~np.pad(np.ones((20, 30), bool), 1),
    "spiral": spiral(61),
    "rings": rings(90),
    "checkerboard": checkerboard(31),
    "noise": noise(80, 0.4),
    "dense noise": noise(80, 0.62),
    "a hole in a corner": but_for((30, 40), (0, 0)),
    "blobs at all borders": blobs((70, 50), 3),
    "large blobs": blobs((300, 260), 9),
    "wide": blobs((20, 5000), 4),
    "deep": but_for((2 * DEEPEST + 45, 2 * DEEPEST + 80), (3, 5), (200, 300)),
    "deep and shallow": np.pad(but_for((400, 400), (399, 0)), ((0, 40), (0, 30))),
    "just not too deep": np.pad(np.ones((2 * DEEPEST - 2, 2 * DEEPEST - 2), bool), 1),
    "just too deep": np.pad(np.ones((2 * DEEPEST - 1, 2 * DEEPEST - 1), bool), 1),
}
EVERY_PLANE = pytest.mark.parametrize("mask", PLANES.values(), ids=PLANES)
MASKS = st.one_of(
    hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=20)),
    st.builds(
        blobs,
        st.tuples(st.integers(1, 60), st.integers(1, 60)),
        st.sampled_from([1.0, 2.0, 4.0]),
        st.integers(0, 1000),
    ),
)


def assert_same_runs(found, wanted):
    assert found.shape == wanted.shape
    for name in ("row", "start", "stop"):
        assert getattr(found, name).dtype == np.int32
        np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name))


def assert_same_labels(found, wanted):
    wanted = runs_of_labels(wanted)
    assert_same_runs(found.runs, wanted.runs)
    assert found.label.dtype == np.int32
    np.testing.assert_array_equal(found.label, wanted.label)


def check_components(mask):
    runs = runs_of_mask(mask)
    region = components(runs)
    wanted = connected(mask)
    assert region.dtype == np.int32
    np.testing.assert_array_equal(labels_of_runs(LabelledRuns(runs, region + 1)), wanted)
    n = int(wanted.max())
    np.testing.assert_array_equal(
        sizes(runs, region, n), np.bincount(wanted.ravel(), minlength=n + 1)[1:]
    )
    assert_same_labels(label(runs), wanted)


@EVERY_PLANE
def test_regions_of_planes(mask):
    check_components(mask)


@given(mask=MASKS)
@settings(deadline=None)
def test_regions_of_any_mask(mask):
    check_components(mask)


def check_holes(mask):
    filled = ndi.binary_fill_holes(mask)
    runs = runs_of_mask(mask)
    assert_same_runs(fill_holes(runs), runs_of_mask(filled))
    holes, n = ndi.label(filled & ~mask)
    areas = np.bincount(holes.ravel(), minlength=n + 1)
    for most in {0, 1, 2, int(areas[1:].max(initial=0))}:
        small = (holes > 0) & (areas <= most)[holes]
        assert_same_runs(fill_holes(runs, most), runs_of_mask(mask | small))


@EVERY_PLANE
def test_holes_of_planes(mask):
    check_holes(mask)
    check_holes(~mask)


@given(mask=MASKS)
@settings(deadline=None)
def test_holes_of_any_mask(mask):
    check_holes(mask)


def check_distance(mask):
    found = squared_distance(runs_of_mask(mask))
    assert found.dtype == np.int32
    if mask.all():
        assert (found >= sum(mask.shape)).all()
    else:
        wanted = np.rint(ndi.distance_transform_edt(mask) ** 2)
        np.testing.assert_array_equal(found, wanted)


@EVERY_PLANE
def test_distance_of_planes(mask):
    check_distance(mask)


@given(mask=MASKS)
@settings(deadline=None)
def test_distance_of_any_mask(mask):
    check_distance(mask)


@given(
    shape=st.tuples(st.integers(1, 450), st.integers(1, 450)),
    background=st.lists(st.tuples(st.integers(0, 449), st.integers(0, 449)), max_size=4),
)
@settings(deadline=None, max_examples=25)
def test_distance_deep_inside(shape, background):
    check_distance(but_for(shape, *((y % shape[0], x % shape[1]) for y, x in background)))


def check_split(mask, smooth_px, h_px):
    found = split(runs_of_mask(mask), smoothing_weights(smooth_px), height_levels(h_px))
    assert_same_labels(found, reference(Mask(mask), smooth_px=smooth_px, h_px=h_px).dense)


@pytest.mark.parametrize("smooth_px", [0.0, 1.0, 3.0, 12.0])
@EVERY_PLANE
def test_split_of_planes(mask, smooth_px):
    check_split(mask, smooth_px, 0.4)


@given(
    mask=MASKS,
    smooth_px=st.sampled_from([0.0, 0.1, 0.3, 0.7, 1.0, 1.5, 2.0, 5.0, 20.0]),
    h_px=st.sampled_from([1e-9, 0.1, 0.4, 1.0, 3.0, 1e12]),
)
@settings(deadline=None, max_examples=200)
def test_split_of_any_mask(mask, smooth_px, h_px):
    check_split(mask, smooth_px, h_px)


@pytest.mark.parametrize(
    ("rows", "smooth_px", "h_px"),
    [
        ("#.## ##.# #.## ....", 0.0, 0.1),
        (".#### .##.# ##### .#.#. .#.#. .#... ##..# ..#..", 0.0, 0.1),
        ("### ### #.# .#. .##", 0.0, 0.1),
        ("..#####.# ###.#.### ########.", 0.0, 0.4),
        (".#### ##### ##### ###.# ####.", 0.5, 0.5),
        ("### ### #.#", 0.5, 0.1),
        ("#######..# ########## ##.#######", 0.0, 0.1),
        ("#.### ##### ###.#", 0.0, 0.4),
        ("##.## ##### #####", 0.0, 0.5),
        ("#.#. ..#. ###. #### #.#. .#.# #.## ##.#", 0.0, 0.1),
        ("#.## ##.# .###", 0.0, 0.4),
        ("#..#.#.# .##.#.## ..######", 0.0, 0.1),
    ],
)
def test_split_where_the_order_of_neighbours_decides(rows, smooth_px, h_px):
    mask = np.array([[pixel == "#" for pixel in row] for row in rows.split()])
    check_split(mask, smooth_px, h_px)


@pytest.mark.parametrize("mask", [blobs((300, 260), 3), noise(200, 0.3)], ids=["blobs", "noise"])
def test_split_does_not_depend_on_threads(mask):
    runs, weights = runs_of_mask(mask), smoothing_weights(1.0)
    alone = split(runs, weights, 26)
    with threads_inside_a_frame(3):
        shared = split(runs, weights, 26)
    assert_same_runs(shared.runs, alone.runs)
    np.testing.assert_array_equal(shared.label, alone.label)


def tiles(shape, width):
    """Blocks of 3 × 3, joined by bridges, but for the last column of each `width`."""
    y, x = np.indices(shape)
    return ((y % 4 < 3) & (x % 4 < 3) | (y % 4 == 1) | (x % 4 == 1)) & (x % width != width - 1)


@pytest.mark.parametrize(
    "mask",
    [
        tiles((1040, 1080), 1080),
        tiles((1040, 1081), 1080),
        tiles((7, 40_000), 33_000),
        np.pad(tiles((3, 32_765), 40_000), 1),
        np.pad(tiles((3, 32_766), 40_000), 1),
    ],
    ids=["more basins", "more basins and a column", "wider", "just not too wide", "too wide"],
)
def test_split_of_regions_beyond_16_bits(mask):
    check_split(mask, 0.0, 0.4)


def test_split_of_more_pieces_than_are_taken_at_once(monkeypatch):
    monkeypatch.setattr("dipstream.kernels.split._PIECES", 100)
    check_split(blobs((120, 130), 2), 1.0, 0.1)


def test_a_hundred_thousand_objects():
    mask = np.zeros((660, 660), bool)
    mask[::2, ::2] = True
    found = split(runs_of_mask(mask), smoothing_weights(1.0), 26)
    np.testing.assert_array_equal(found.label, np.arange(1, 330**2 + 1))


def test_one_object_that_fills_a_large_frame():
    mask = but_for((2048, 2048), (0, 0))
    runs = runs_of_mask(mask)
    found = split(runs, smoothing_weights(1.0), 26)
    assert_same_runs(found.runs, runs)
    assert (found.label == 1).all()


def test_results_share_nothing_with_later_ones():
    masks = [blobs((90, 80), 3, seed) for seed in (1, 2)]
    first = split(runs_of_mask(masks[0]), smoothing_weights(1.0), 26)
    before = labels_of_runs(first)
    split(runs_of_mask(masks[1]), smoothing_weights(1.0), 26)
    fill_holes(runs_of_mask(masks[1]))
    np.testing.assert_array_equal(labels_of_runs(first), before)
    np.testing.assert_array_equal(mask_of_runs(first.runs), masks[0])


@pytest.mark.parametrize(
    "labels",
    [
        np.array([[0, -1, 2]], np.int32),
        np.array([[0, -1, 2]], np.int64),
        np.array([[0, 2**31 + 5]], np.int64),
        np.array([[0, 2**32 - 1]], np.uint32),
        np.array([[0.0, 1.5]]),
        np.ones((2, 3, 3), np.int32),
    ],
)
def test_what_is_no_place_in_an_array_is_no_label(labels):
    with pytest.raises(StepError, match="the labels"):
        runs_of_labels(labels)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float64, ">i2"])
def test_whatever_is_not_zero_is_foreground(dtype):
    mask = noise(20, 0.5)
    found = runs_of_mask(mask * np.arange(1, 21).astype(dtype))
    assert found.shape == mask.shape
    np.testing.assert_array_equal(mask_of_runs(found), mask)


@pytest.mark.parametrize("shape", [(1, 70_000), (70_000, 1), (2, 48_000)])
@pytest.mark.parametrize("background", [-1, 3])
def test_distances_that_32_bits_do_not_hold(shape, background):
    mask = np.ones(shape, bool)
    mask.flat[background] = False
    expected = np.rint(ndi.distance_transform_edt(mask) ** 2)
    assert expected.max() > np.iinfo(np.int32).max
    np.testing.assert_array_equal(squared_distance(runs_of_mask(mask)), expected)
    found = split(runs_of_mask(mask), smoothing_weights(1.0), height_levels(0.4))
    np.testing.assert_array_equal(labels_of_runs(found), reference(Mask(mask)).dense)
