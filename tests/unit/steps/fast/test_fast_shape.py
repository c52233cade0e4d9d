"""The twin of `shape` gives what the reference gives."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage
from skimage.measure import label

from dipstream.kernels.runs import runs_of_labels
from dipstream.steps import Labels
from dipstream.steps.fast.shape import shape
from dipstream.steps.measure.shape import shape as reference
from dipstream.steps.measure.shape import shape_columns
from dipstream.steps.segment.ring import ring_labels
from dipstream.steps.step import mark_of

EXACT = (
    "area", "solidity", "extent", "area_convex", "euler_number", "bbox_y0", "bbox_x0", "bbox_y1",
    "bbox_x1", "area_um2",
)  # fmt: skip
CLOSE = ("perimeter", "axis_major_length", "equivalent_diameter_area")


def check(dense: np.ndarray, pixel_um: float | None = 0.25) -> dict[str, np.ndarray]:
    dense = dense.astype(np.int32)
    found = shape(Labels(runs_of_labels(dense), pixel_um=pixel_um), {})
    wanted = reference(Labels(dense, pixel_um=pixel_um), {})
    assert list(found) == list(wanted)
    assert [v.dtype for v in found.values()] == [v.dtype for v in wanted.values()]
    for name in EXACT:
        np.testing.assert_array_equal(found[name], wanted[name], err_msg=name)
    for name in CLOSE:
        for full in (name, f"{name}_um"):
            np.testing.assert_allclose(found[full], wanted[full], rtol=1e-12, err_msg=full)
    check_ellipses(found, wanted)
    return found


def check_ellipses(found: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> None:
    """Compare what a square root was taken of, where that is the rounding of a 0."""
    major = wanted["axis_major_length"]
    for name, scale in (("axis_minor_length", major), ("eccentricity", 1)):
        error = np.abs(found[name] ** 2 - wanted[name] ** 2)
        assert (error <= 1e-12 * np.square(scale)).all(), name
        real = wanted[name] > 1e-3 * scale
        np.testing.assert_allclose(found[name][real], wanted[name][real], rtol=1e-9, err_msg=name)
    # An axis has no head: −π/2 and π/2 are one direction; a circle has none.
    turn = np.abs(found["orientation"] - wanted["orientation"])
    turn = np.minimum(turn, np.abs(turn - np.pi))
    assert (turn[wanted["eccentricity"] > 1e-3] <= 1e-9).all()
    assert (np.abs(found["orientation"]) <= np.pi / 2).all()


@given(
    arrays(
        np.int32,
        st.tuples(st.integers(1, 12), st.integers(1, 12)),
        elements=st.sampled_from([0, 0, 0, 1, 1, 2, 9]),
    ).filter(np.any)
)
@settings(max_examples=60, deadline=None)
def test_any_labels(dense: np.ndarray) -> None:
    check(dense)


@given(st.integers(0, 2**31), st.floats(0.1, 0.9))
@settings(max_examples=20, deadline=None)
def test_blobs_and_their_rings(seed: int, level: float) -> None:
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).random((50, 60)), 2)
    dense = label(noise > np.quantile(noise, level)).astype(np.int32)
    check(dense)
    rings = ring_labels(Labels(dense), inner_px=1, outer_px=3).dense
    if rings.any():
        check(rings)


NUCLEI = ("dsb_256_1d4a5e72", "dsb_520_4e1c889d", "dsb_520_bbfc4aab", "dsb_histo_6ab24e7e")


@pytest.mark.parametrize("name", NUCLEI)
def test_real_nuclei_and_their_rings(data: Path, name: str) -> None:
    dense = tifffile.imread(data / "nuclei" / f"{name}_labels.tif").astype(np.int32)
    found = check(dense)
    assert len(found["area"]) > 10
    check(ring_labels(Labels(dense), inner_px=0, outer_px=5).dense)


def test_without_pixel_size() -> None:
    found = shape(Labels(np.ones((3, 4), np.int32)), {})
    unknown = [name for name in found if name.endswith(("_um", "_um2"))]
    assert len(unknown) == 5
    assert all(np.isnan(found[name]).all() and found[name].dtype == np.float64 for name in unknown)


def test_no_objects() -> None:
    found = shape(Labels(np.zeros((8, 9), np.int32)), {})
    assert [(k, v.dtype) for k, v in found.items()] == [
        (column.name, np.dtype(column.dtype)) for column in shape_columns(())
    ]
    assert all(v.shape == (0,) for v in found.values())


def test_columns_are_those_of_the_reference() -> None:
    ours, theirs = mark_of(shape), mark_of(reference)
    assert ours is not None
    assert theirs is not None
    assert ours.columns is theirs.columns
