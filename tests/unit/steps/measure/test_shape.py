import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.measure import label, regionprops_table

from dipstream.steps import Labels
from dipstream.steps.measure.shape import shape, shape_columns
from dipstream.steps.step import mark_of

COLUMNS = shape_columns(("DAPI",))
SAME = (
    "area", "perimeter", "axis_major_length", "axis_minor_length", "eccentricity", "orientation",
    "solidity", "extent", "equivalent_diameter_area", "area_convex", "euler_number",
)  # fmt: skip


def check(dense: np.ndarray) -> None:
    found = shape(Labels(dense), {})
    assert tuple(found) == tuple(column.name for column in COLUMNS)
    for column in COLUMNS:
        assert found[column.name].dtype == column.dtype
    expected = regionprops_table(dense, properties=(*SAME, "bbox"))
    for name in SAME:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)
    for k, name in enumerate(("bbox_y0", "bbox_x0", "bbox_y1", "bbox_x1")):
        np.testing.assert_array_equal(found[name], expected[f"bbox-{k}"])


@given(arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 12))), st.integers(1, 2))
@settings(max_examples=60, deadline=None)
def test_random_blobs_equal_regionprops(mask: np.ndarray, connectivity: int) -> None:
    check(label(mask, connectivity=connectivity).astype(np.int32))


@given(arrays(np.int32, (9, 11), elements=st.sampled_from([0, 0, 0, 1, 2, 5, 9])))
@settings(max_examples=60, deadline=None)
def test_scattered_labels_with_gaps_equal_regionprops(dense: np.ndarray) -> None:
    check(dense)


def test_single_pixels_lines_and_rings() -> None:
    dense = np.zeros((30, 30), np.int32)
    dense[2, 2] = 1
    dense[5, 3:9] = 2
    dense[8:12, 20] = 3
    dense[np.arange(15, 20), np.arange(15, 20)] = 4
    dense[20:27, 3:10] = 5
    dense[22:25, 5:8] = 0
    check(dense)
    found = shape(Labels(dense), {})
    assert found["area"].tolist() == [1, 6, 4, 5, 40]
    assert found["euler_number"].tolist() == [1, 1, 1, 1, 0]
    assert (found["bbox_y0"][1], found["bbox_x0"][1]) == (5, 3)


def test_a_disc_of_known_size_in_micrometres() -> None:
    y, x = np.mgrid[:101, :101]
    dense = ((y - 50) ** 2 + (x - 50) ** 2 <= 40**2).astype(np.int32)
    found = {k: v[0] for k, v in shape(Labels(dense, pixel_um=0.5), {}).items()}
    assert found["area_um2"] == pytest.approx(np.pi * 20**2, rel=0.01)
    assert found["axis_major_length_um"] == pytest.approx(40, rel=0.01)
    assert found["axis_minor_length_um"] == pytest.approx(40, rel=0.01)
    assert found["equivalent_diameter_area_um"] == pytest.approx(40, rel=0.01)
    assert found["perimeter_um"] == pytest.approx(2 * np.pi * 20, rel=0.06)
    unknown = shape(Labels(dense), {})
    assert all(np.isnan(v).all() for k, v in unknown.items() if "_um" in k)
    assert sum("_um" in name for name in unknown) == 5


def test_no_objects() -> None:
    found = shape(Labels(np.zeros((8, 9), np.int32)), {})
    for column in COLUMNS:
        assert found[column.name].shape == (0,)
        assert found[column.name].dtype == column.dtype


def test_columns_are_described() -> None:
    mark = mark_of(shape)
    assert mark is not None
    assert mark.columns is shape_columns
    assert all(column.definition.endswith(".") for column in COLUMNS)
    units = {column.name: column.unit for column in COLUMNS}
    assert units["area"] == "px²"
    assert units["area_um2"] == "µm²"
    assert units["solidity"] == ""
