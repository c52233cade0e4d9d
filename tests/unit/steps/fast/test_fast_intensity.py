"""The twin of `intensity` gives what the reference gives."""

from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dipstream.errors import StepError
from dipstream.kernels import Linear
from dipstream.kernels.runs import runs_of_labels
from dipstream.steps import Image, Labels
from dipstream.steps.fast import intensity as module
from dipstream.steps.fast.intensity import intensity
from dipstream.steps.measure.intensity import intensity as reference
from dipstream.steps.segment.ring import ring_labels
from dipstream.steps.step import mark_of

RNG = np.random.default_rng(21)
SHAPE = (12, 19)


def check(dense: np.ndarray, **pixels: np.ndarray | Linear) -> None:
    images = {name: Image(values, channel=name) for name, values in pixels.items()}
    found = intensity(Labels(runs_of_labels(dense)), images)
    wanted = reference(Labels(dense), images)
    assert list(found) == list(wanted)
    for name in wanted:
        assert found[name].dtype == wanted[name].dtype
        if "_min_" in name or "_max_" in name:
            np.testing.assert_array_equal(found[name], wanted[name], err_msg=name)
        else:
            np.testing.assert_allclose(found[name], wanted[name], rtol=1e-11, err_msg=name)


@given(
    arrays(np.int32, SHAPE, elements=st.sampled_from([0, 0, 0, 1, 2, 30])),
    st.sampled_from(["uint8", "uint16", "float32", "int32", "float64", "int16"]),
    st.integers(0, 999),
)
@settings(max_examples=50, deadline=None)
def test_any_labels_and_pixels(dense: np.ndarray, dtype: str, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 250, (2, *SHAPE)).astype(dtype)
    check(dense, A=pixels[0], B=pixels[1])


def test_corrected_channels() -> None:
    dense = RNG.integers(0, 9, SHAPE).astype(np.int32)
    raw = RNG.integers(100, 4000, SHAPE).astype(np.uint16)
    gain = RNG.uniform(0.8, 1.5, SHAPE).astype(np.float32)
    dark = np.array(100, np.float32)
    check(dense, flat=Linear(raw, dark, gain), dark=Linear(raw, gain * 100, gain), raw=raw)


@pytest.mark.parametrize("name", ["dsb_256_319b6cb8", "dsb_520_bbfc4aab"])
def test_real_nuclei_and_their_rings(data: Path, name: str) -> None:
    dense = tifffile.imread(data / "nuclei" / f"{name}_labels.tif").astype(np.int32)
    pixels = imagecodecs.imread(data / "nuclei" / f"{name}.png")
    pixels = np.ascontiguousarray(pixels[..., 0] if pixels.ndim == 3 else pixels)
    check(dense, DAPI=pixels)
    check(ring_labels(Labels(dense), inner_px=1, outer_px=4).dense, DAPI=pixels)


def test_kernels_are_used_where_they_are_meant_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []

    def noted(labels: Labels, images: dict[str, Image]) -> dict[str, np.ndarray]:
        called.extend(images)
        return reference(labels, images)

    monkeypatch.setattr(module, "reference", noted)
    dense = np.ones(SHAPE, np.int32)
    for dtype in ("uint8", "uint16", "float32", "int32", "float64", "bool"):
        intensity(Labels(dense), {dtype: Image(np.ones(SHAPE, dtype))})
    assert called == ["int32", "float64", "bool"]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_pixels_that_are_not_finite_are_left_to_the_reference(bad: float) -> None:
    dense = np.repeat(np.array([1, 2], np.int32), 3)[None, :]
    pixels = np.array([[1, bad, 3, 4, 5, 6]], np.float32)
    check(dense, A=pixels)


def test_zero_weights_have_no_centroid() -> None:
    dense = np.array([[1, 1, 0, 2, 2]], np.int32)
    check(dense, A=np.array([[0, 0, 5, 3, 3]], np.uint8))
    opposite = intensity(
        Labels(dense), {"A": Image(np.array([[-2, 2, 0, 1, 1]], np.float32), channel="A")}
    )
    for name in ("centroid_weighted_y_A", "centroid_weighted_x_A"):
        assert np.isnan(opposite[name]).tolist() == [True, False]


def test_channels_are_chosen_and_missing_ones_left_out() -> None:
    both = {name: Image(np.ones(SHAPE, np.uint8)) for name in ("DAPI 405", "Cy5-A")}
    labels = Labels(np.ones(SHAPE, np.int32))
    for channels in (None, ("Cy5-A",), ("Cy5-A", "DAPI 405", "Cy5-A"), ("GFP",)):
        found = intensity(labels, both, channels=channels)
        assert list(found) == list(reference(labels, both, channels=channels))


@pytest.mark.parametrize("shape", [(8, 9), (0, 0)])
def test_no_objects(shape: tuple[int, int]) -> None:
    found = intensity(Labels(np.zeros(shape, np.int32)), {"A": Image(np.zeros(shape, np.uint16))})
    assert len(found) == 7
    assert all(array.shape == (0,) and array.dtype == np.float64 for array in found.values())


@pytest.mark.parametrize("shape", [(3, *SHAPE), (SHAPE[0], 5), (0, 0)])
def test_other_shapes_are_refused_as_by_the_reference(shape: tuple[int, ...]) -> None:
    labels = Labels(np.ones(SHAPE, np.int32))
    images = {"A": Image(np.zeros(shape, np.uint16), channel="A")}
    with pytest.raises(StepError) as theirs:
        reference(labels, images)
    with pytest.raises(StepError) as ours:
        intensity(labels, images)
    assert str(ours.value) == str(theirs.value)


def test_columns_are_those_of_the_reference() -> None:
    ours, theirs = mark_of(intensity), mark_of(reference)
    assert ours is not None
    assert theirs is not None
    assert ours.columns is theirs.columns
