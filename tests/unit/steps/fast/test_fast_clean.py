"""Cleaning on runs says what the references say."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage as ndi

from dipstream.errors import ConfigError
from dipstream.kernels import LabelledRuns, Runs
from dipstream.kernels.runs import runs_of_labels, runs_of_mask
from dipstream.steps.fast import clean as fast
from dipstream.steps.image import Labels, Mask
from dipstream.steps.segment import clean as reference

SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=24)


@st.composite
def planes(draw):
    """Labels in coarse blocks with holes: not connected, some missing, in any order."""
    shape = draw(SHAPES)
    block = draw(st.integers(1, 8))
    coarse = tuple(-(-side // block) for side in shape)
    labels = draw(hnp.arrays(np.int32, coarse, elements=st.sampled_from([0, 1, 2, 3, 9])))
    labels = labels.repeat(block, axis=0).repeat(block, axis=1)[: shape[0], : shape[1]]
    holes = draw(st.lists(st.tuples(st.integers(0, 23), st.integers(0, 23)), max_size=4))
    for y, x in holes:
        labels[y % shape[0], x % shape[1]] = 0
    return labels


def assert_same(step, region, **parameters):
    found = getattr(fast, step)(region, **parameters)
    wanted = getattr(reference, step)(region, **parameters)
    assert type(found) is type(wanted)
    assert isinstance(found.data, Runs | LabelledRuns)
    np.testing.assert_array_equal(found.dense, wanted.dense)
    assert found.dense.dtype == wanted.dense.dtype
    assert (found.pixel_um, found.estimates) == (wanted.pixel_um, wanted.estimates)
    if isinstance(found, Labels):
        again = runs_of_labels(found.dense)
        np.testing.assert_array_equal(found.runs.label, again.label)
        found, again = found.runs.runs, again.runs
    else:
        found, again = found.runs, runs_of_mask(found.dense)
    for name in ("row", "start", "stop"):
        np.testing.assert_array_equal(getattr(found, name), getattr(again, name))


def regions(labels):
    yield Mask(labels > 0, pixel_um=0.3).with_estimates(threshold=7.0)
    yield Mask(runs_of_mask(labels > 0))
    yield Labels(labels, pixel_um=0.3).with_estimates(threshold=7.0)
    yield Labels(runs_of_labels(labels))


@given(labels=planes(), most=st.sampled_from([None, 0, 1, 4, 9]))
@settings(deadline=None)
def test_fill_holes(labels, most):
    for mask in list(regions(labels))[:2]:
        assert_same("fill_holes", mask, max_area_px=most)


@given(labels=planes(), buffer_px=st.sampled_from([0, 1, 2, 5, 30]))
@settings(deadline=None)
def test_clear_border(labels, buffer_px):
    for region in regions(labels):
        assert_same("clear_border", region, buffer_px=buffer_px)


@given(
    labels=planes(),
    least=st.sampled_from([0, 1, 2, 5, 20, 60]),
    more=st.sampled_from([None, 0, 5, 100]),
)
@settings(deadline=None)
def test_areas(labels, least, more):
    for region in regions(labels):
        most = None if more is None else least + more
        assert_same("clean", region, min_area_px=least, max_area_px=most)


@given(labels=planes(), radius=st.sampled_from([1, 2, 3, 5, 11]), least=st.sampled_from([0, 9]))
@settings(deadline=None)
def test_opening(labels, radius, least):
    for region in regions(labels):
        assert_same("clean", region, opening_px=radius, min_area_px=least)


def test_opening_of_what_is_deep():
    mask = np.ones((400, 380), bool)
    mask[5, 3] = mask[300, 370] = False
    mask[:, 120] = False
    for radius in (4, 190, 250):
        left = fast.clean(Mask(mask), opening_px=radius).dense
        np.testing.assert_array_equal(left, opened_slowly(mask, radius))


def opened_slowly(mask, radius):
    """Open with the distance to the background, then to the centres, over the whole plane."""
    centres = ndi.distance_transform_edt(mask) > radius
    if not centres.any():
        return centres
    return ndi.distance_transform_edt(~centres) <= radius


def test_limits_that_leave_nothing_are_refused():
    with pytest.raises(ConfigError, match="no region could stay"):
        fast.clean(Mask(np.ones((3, 3), bool)), min_area_px=5, max_area_px=4)


@pytest.mark.parametrize(
    ("step", "parameters"),
    [("clean", {"min_area_px": 3}), ("clean", {"opening_px": 1}), ("clear_border", {})],
)
def test_large_labels_take_no_room(step, parameters):
    labels = np.zeros((30, 40), np.int32)
    labels[2:9, 3:9], labels[12:20, 20:30], labels[9:12, 3:9] = 2**31 - 1, 5, 300_000_000
    small = np.unique(labels, return_inverse=True)[1].reshape(labels.shape).astype(np.int32)
    tracemalloc.start()
    found = getattr(fast, step)(Labels(labels), **parameters)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    np.testing.assert_array_equal(
        found.dense, getattr(reference, step)(Labels(small), **parameters).dense
    )
    assert most < 50e6


def test_a_plane_longer_than_32_bits_are_squared_is_opened():
    assert fast.clean(Mask(np.ones((2, 48_000), bool)), opening_px=2).dense.all()
