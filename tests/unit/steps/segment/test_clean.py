"""Cleaning masks and labels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage as ndi
from skimage import morphology, segmentation
from skimage.measure import label, regionprops

from dipstream.errors import ConfigError
from dipstream.steps.image import Labels, Mask
from dipstream.steps.segment.clean import clean, clear_border, fill_holes
from dipstream.steps.segment.regions import in_raster_order

SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=16)
MASKS = hnp.arrays(bool, SHAPES)
EIGHT = np.ones((3, 3), bool)
DISK_2 = np.array(
    [[0, 0, 1, 0, 0], [0, 1, 1, 1, 0], [1, 1, 1, 1, 1], [0, 1, 1, 1, 0], [0, 0, 1, 0, 0]]
)


@given(mask=MASKS, least=st.integers(0, 12), extent=st.one_of(st.none(), st.integers(0, 20)))
@settings(deadline=None)
def test_clean_keeps_regions_by_area(mask, least, extent):
    most = None if extent is None else least + extent
    expected = np.zeros_like(mask)
    for region in regionprops(label(mask, connectivity=2)):
        if region.area >= least and (most is None or region.area <= most):
            expected[tuple(region.coords.T)] = True
    found = clean(Mask(mask), min_area_px=least, max_area_px=most)
    np.testing.assert_array_equal(found.dense, expected)


def test_clean_labels_by_their_own_area_and_renumbers():
    dense = np.array([[1, 1, 2, 3, 3, 3]], np.int32)
    found = clean(Labels(dense), min_area_px=2)
    np.testing.assert_array_equal(found.dense, [[1, 1, 0, 2, 2, 2]])
    assert found.dense.dtype == np.int32
    np.testing.assert_array_equal(clean(Mask(dense > 0), min_area_px=2).dense, dense > 0)


def test_clean_refuses_a_range_that_is_empty():
    with pytest.raises(ConfigError, match="max_area_px is 5, less than min_area_px"):
        clean(Mask(np.ones((2, 2), bool)), min_area_px=6, max_area_px=5)


@given(inner=hnp.arrays(bool, (14, 17)))
@settings(deadline=None)
def test_opening_is_that_of_mathematical_morphology(inner):
    mask = np.pad(ndi.binary_dilation(inner, iterations=1), 4)
    found = clean(Mask(mask), opening_px=2)
    np.testing.assert_array_equal(found.dense, ndi.binary_opening(mask, DISK_2))


def test_opening_cuts_a_thread_but_not_what_the_border_cuts():
    mask = np.zeros((30, 40), bool)
    mask[0:10, 5:15] = True
    mask[15:27, 5:17] = True
    mask[5, 15:40] = True
    found = clean(Mask(mask), opening_px=2).dense
    assert not found[5, 16:38].any()
    assert found[0, 7:13].all()


def test_opening_of_labels_never_mixes_them():
    dense = np.zeros((20, 30), np.int32)
    dense[3:17, 3:14] = 1
    dense[3:17, 14:27] = 2
    dense[10, 14:20] = 1  # a thread of one object inside the other
    found = clean(Labels(dense), opening_px=2).dense
    for number in (1, 2):
        alone = ndi.binary_opening(dense == number, DISK_2)
        np.testing.assert_array_equal(found == number, alone)


@given(mask=MASKS)
@settings(deadline=None)
def test_fill_holes_fills_what_background_cannot_reach(mask):
    outside = np.pad(~mask, 1, constant_values=True)
    labels, _ = ndi.label(outside)
    expected = mask | (labels != labels[0, 0])[1:-1, 1:-1]
    np.testing.assert_array_equal(fill_holes(Mask(mask)).dense, expected)


@given(mask=MASKS, most=st.integers(0, 10))
@settings(deadline=None)
def test_fill_holes_up_to_an_area(mask, most):
    expected = mask.copy()
    framed = np.pad(~mask, 1, constant_values=True)
    labels, _ = ndi.label(framed)
    for number in range(1, labels.max() + 1):
        hole = (labels == number)[1:-1, 1:-1]
        if number != labels[0, 0] and hole.sum() <= most:
            expected |= hole
    np.testing.assert_array_equal(fill_holes(Mask(mask), max_area_px=most).dense, expected)


def test_holes_are_4_connected():
    ring = np.zeros((5, 5), bool)
    ring[[1, 2, 2, 3], [2, 1, 3, 2]] = True  # closed over corners only
    assert fill_holes(Mask(ring)).dense[2, 2]


@given(
    dense=hnp.arrays(np.int32, SHAPES, elements={"min_value": 0, "max_value": 6}),
    buffer=st.integers(0, 4),
)
@settings(deadline=None)
def test_clear_border_of_labels_is_skimages(dense, buffer):
    labels = label(dense, connectivity=2).astype(np.int32)
    found = clear_border(Labels(labels), buffer_px=buffer).dense
    if buffer < min(labels.shape):
        cleared = segmentation.clear_border(labels, buffer_size=buffer)
        np.testing.assert_array_equal(found, in_raster_order(cleared))
    else:
        assert not found.any()


def test_clear_border_of_a_mask_takes_whole_regions():
    mask = np.zeros((12, 12), bool)
    mask[0:3, 0:3] = mask[3:5, 3:5] = mask[8, 8] = True
    found = clear_border(Mask(mask)).dense
    assert found.sum() == 1
    assert found[8, 8]


def test_order_of_steps_is_free():
    mask = morphology.disk(6).astype(bool)
    labels = Labels(mask.astype(np.int32))
    assert isinstance(clean(clear_border(labels), min_area_px=1), Labels)
    assert isinstance(clear_border(clean(fill_holes(Mask(mask)), min_area_px=1)), Mask)
