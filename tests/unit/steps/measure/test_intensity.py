import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.measure import regionprops_table

from dipstream.errors import ConfigError, StepError
from dipstream.steps import Image, Labels
from dipstream.steps.measure.intensity import intensity, intensity_columns

RNG = np.random.default_rng(11)
DENSE = RNG.integers(0, 6, (20, 30)).astype(np.int32)
NAMES = ("intensity_mean", "intensity_min", "intensity_max", "centroid_weighted")


def images(**pixels: np.ndarray) -> dict[str, Image]:
    return {name: Image(values, channel=name) for name, values in pixels.items()}


def check(dense: np.ndarray, pixels: np.ndarray) -> None:
    found = intensity(Labels(dense), images(A=pixels))
    expected = regionprops_table(dense, pixels.astype(np.float64), properties=("area", *NAMES))
    for name in NAMES[:3]:
        np.testing.assert_allclose(found[f"{name}_A"], expected[name], rtol=1e-9, atol=1e-9)
    for k, axis in enumerate("yx"):
        np.testing.assert_allclose(
            found[f"centroid_weighted_{axis}_A"], expected[f"centroid_weighted-{k}"], rtol=1e-6
        )
    values = [pixels[dense == n].astype(np.float64) for n in np.unique(dense[dense > 0])]
    np.testing.assert_allclose(found["intensity_std_A"], [v.std() for v in values], rtol=1e-9)
    np.testing.assert_allclose(found["intensity_sum_A"], [v.sum() for v in values], rtol=1e-12)
    assert found["intensity_min_A"].tolist() == [v.min() for v in values]
    assert found["intensity_max_A"].tolist() == [v.max() for v in values]
    assert all(array.dtype == np.float64 for array in found.values())


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "float32", "float64"])
def test_equals_regionprops(dtype: str) -> None:
    check(DENSE, RNG.integers(1, 200, DENSE.shape).astype(dtype))


@given(
    arrays(np.int32, (7, 9), elements=st.sampled_from([0, 0, 1, 2, 3, 8])),
    arrays(np.uint16, (7, 9), elements=st.integers(1, 65535)),
)
@settings(max_examples=60, deadline=None)
def test_equals_regionprops_on_any_labels(dense: np.ndarray, pixels: np.ndarray) -> None:
    assume(dense.any())
    check(dense, pixels)


def test_a_small_spread_on_a_large_mean() -> None:
    pixels = 1e8 + RNG.normal(0, 0.01, DENSE.shape)
    check(DENSE, pixels)


def test_sums_do_not_overflow() -> None:
    found = intensity(
        Labels(np.ones((300, 300), np.int32)), images(A=np.full((300, 300), 65535, np.uint16))
    )
    assert found["intensity_sum_A"].tolist() == [300 * 300 * 65535]


def test_zero_weights_have_no_centroid() -> None:
    dense = np.array([[1, 1, 0, 2, 2]], np.int32)
    found = intensity(Labels(dense), images(A=np.array([[0, 0, 5, 3, 3]], np.uint8)))
    assert np.isnan(found["centroid_weighted_x_A"][0])
    assert found["centroid_weighted_x_A"][1] == 3.5
    assert found["intensity_std_A"].tolist() == [0, 0]
    opposite = intensity(Labels(dense), images(A=np.array([[-2.0, 2.0, 0, 1, 1]])))
    assert np.isnan(opposite["centroid_weighted_y_A"][0])
    assert np.isnan(opposite["centroid_weighted_x_A"][0])


def test_channels_are_chosen_and_missing_ones_left_out() -> None:
    both = images(**{"DAPI 405": np.ones((20, 30)), "Cy5-A": np.ones((20, 30))})
    labels = Labels(DENSE)
    assert {name.rpartition("_")[2] for name in intensity(labels, both)} == {"DAPI 405", "Cy5-A"}
    only = intensity(labels, both, channels=("Cy5-A",))
    assert all(name.endswith("_Cy5-A") for name in only)
    assert intensity(labels, {"Cy5-A": both["Cy5-A"]}, channels=("DAPI 405",)) == {}


def test_columns_are_what_is_delivered() -> None:
    run = ("DAPI 405", "Cy5-A")
    columns = intensity_columns(run)
    found = intensity(Labels(DENSE), images(**dict.fromkeys(run, np.ones((20, 30)))))
    assert [column.name for column in columns] == list(found)
    assert all(column.dtype == "float64" and column.unit for column in columns)
    assert all(column.definition.endswith(".") for column in columns)
    assert columns[0].name == "intensity_mean_DAPI 405"
    assert len(intensity_columns(run, channels=("Cy5-A",))) == len(columns) // 2
    with pytest.raises(ConfigError, match="no channel 'GFP'; the run has 'DAPI 405'"):
        intensity_columns(run, channels=("GFP",))


@pytest.mark.parametrize("shape_px", [(8, 9), (0, 0)])
def test_no_objects(shape_px: tuple[int, int]) -> None:
    found = intensity(Labels(np.zeros(shape_px, np.int32)), images(A=np.zeros(shape_px)))
    assert len(found) == 7
    assert all(array.shape == (0,) and array.dtype == np.float64 for array in found.values())


def test_other_shapes_are_refused() -> None:
    with pytest.raises(StepError, match=r"\(3, 20, 30\)"):
        intensity(Labels(DENSE), images(A=np.zeros((3, 20, 30))))
