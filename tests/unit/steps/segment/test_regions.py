"""Regions and the order of their numbers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as hnp
from skimage.measure import label

from dipstream.steps.image import Labels, Mask
from dipstream.steps.segment.regions import connected, drop, in_raster_order

SMALL = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=15)


def order_of_first_pixels(labels):
    flat = labels.ravel()
    return list(dict.fromkeys(flat[flat > 0].tolist()))


@given(mask=hnp.arrays(bool, SMALL))
@settings(deadline=None)
def test_connected_is_skimages_label_in_raster_order(mask):
    found = connected(mask)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, label(mask, connectivity=2))
    assert order_of_first_pixels(found) == list(range(1, found.max() + 1))


@given(labels=hnp.arrays(np.int64, SMALL, elements={"min_value": 0, "max_value": 9}))
@settings(deadline=None)
def test_raster_order_only_renames(labels):
    found = in_raster_order(labels)
    assert found.dtype == np.int32
    assert order_of_first_pixels(found) == list(range(1, found.max(initial=0) + 1))
    pairs = set(zip(labels.ravel().tolist(), found.ravel().tolist(), strict=True))
    assert (
        len(pairs) == len({old for old, _ in pairs}) == len({new for _, new in pairs} | {0})
        or 0 not in labels
    )
    np.testing.assert_array_equal(found == 0, labels == 0)


def test_an_empty_image_has_no_regions():
    assert connected(np.zeros((0, 5), bool)).shape == (0, 5)


def test_drop_never_keeps_the_background():
    dense = np.array([[1, 0, 2]], np.int32)
    keep = np.array([True, False, True])
    np.testing.assert_array_equal(drop(Labels(dense), keep, dense).dense, [[0, 0, 1]])
    np.testing.assert_array_equal(drop(Mask(dense > 0), keep, dense).dense, [[False, False, True]])
    assert keep[0]


@pytest.mark.parametrize("kind", [Mask, Labels])
def test_drop_keeps_what_the_plane_carries(kind):
    dense = np.array([[1, 0, 2]], np.int32)
    region = kind(dense > 0 if kind is Mask else dense, pixel_um=0.3).with_estimates(threshold=4)
    left = drop(region, np.ones(3, bool), dense)
    assert (left.pixel_um, left.estimates["threshold"]) == (0.3, 4)
