from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tifffile

import dipstream as ds
from dipstream.errors import ConfigError, StepError
from dipstream.pipeline import Plan

TEXT = """\
dipstream: 1
objects:
  nuclei: {steps: [{threshold: {}}, {split: {method: none}}]}
  ring: {around: nuclei, outer_px: 3}
measure: [{shape: {}}, {intensity: {}}]
"""


@pytest.fixture
def ready(plan: Callable[[str], Plan]) -> Plan:
    return plan(TEXT)


def same(one: tuple[Any, pd.DataFrame], other: tuple[Any, pd.DataFrame]) -> None:
    np.testing.assert_array_equal(one[0], other[0])
    pd.testing.assert_frame_equal(one[1], other[1], check_exact=True)


def test_grey(ready: Plan, squares: np.ndarray) -> None:
    labels, table = ds.analyze(squares, ready, pixel_um=0.5)
    assert labels.dtype == np.int32
    assert labels.shape == squares.shape
    assert table["label"].tolist() == [1, 2, 3]
    assert table["area"].tolist() == [36, 100, 64]
    assert table["area_um2"].tolist() == [9, 25, 16]
    assert "intensity_mean_ch0" in table
    assert np.bincount(labels.ravel())[1:].tolist() == table["area"].tolist()


WAYS: dict[str, Callable[[np.ndarray], tuple[Any, dict[str, Any]]]] = {
    "RGB of one grey": lambda p: (np.stack([p] * 3, axis=-1), {}),
    "RGBA of one grey": lambda p: (np.stack([p, p, p, np.full_like(p, 255)], axis=-1), {}),
    "a mapping": lambda p: ({"ch0": p}, {}),
    "a named channel": lambda p: (p, {"channels": ["ch0"]}),
    "c, y, x": lambda p: (p[None], {"channels": ["ch0"]}),
    "a list of lists": lambda p: (p.tolist(), {}),
    "not contiguous": lambda p: (np.repeat(np.repeat(p, 2, 0), 3, 1)[::2, ::3], {}),
    "read-only": lambda p: (np.frombuffer(p.tobytes(), p.dtype).reshape(p.shape), {}),
}


@pytest.mark.parametrize("way", WAYS)
def test_one_channel_in_many_ways(ready: Plan, squares: np.ndarray, way: str) -> None:
    pixels = squares.astype("int64") if way == "a list of lists" else squares
    image, options = WAYS[way](pixels)
    same(ds.analyze(image, ready, **options), ds.analyze(pixels, ready))


def test_colours_are_channels(ready: Plan, squares: np.ndarray) -> None:
    planes = {"R": squares, "G": squares[::-1].copy(), "B": squares // 2}
    expected = ds.analyze(planes, ready)
    same(ds.analyze(np.stack(list(planes.values()), axis=-1), ready), expected)
    same(ds.analyze(np.stack(list(planes.values())), ready, channels=["R", "G", "B"]), expected)
    assert {"intensity_mean_R", "intensity_mean_G", "intensity_mean_B"} <= set(expected[1])


def test_which_objects(ready: Plan, squares: np.ndarray) -> None:
    nuclei, _ = ds.analyze(squares, ready)
    ring, table = ds.analyze(squares, ready, kind="ring")
    assert not (ring * nuclei).any()
    assert table["label"].tolist() == [1, 2, 3]
    with pytest.raises(ConfigError, match=r"no objects 'cells'.*'nuclei', 'ring'"):
        ds.analyze(squares, ready, kind="cells")


REFUSED: dict[str, tuple[Callable[[np.ndarray], Any], dict[str, Any], str]] = {
    "a line": (lambda p: p[0], {}, r"shape \(50,\)"),
    "a stack": (lambda p: np.stack([p] * 5), {}, r"shape \(5, 40, 50\)"),
    "two colours": (lambda p: np.stack([p] * 2, -1), {}, r"shape \(40, 50, 2\)"),
    "four axes": (lambda p: p[None, None], {}, r"shape \(1, 1, 40, 50\)"),
    "fewer names": (lambda p: np.stack([p] * 3), {"channels": ["a", "b"]}, "and 2 channels"),
    "more names": (lambda p: p, {"channels": ["a", "b"]}, "2 channels"),
    "nothing": (lambda p: np.empty((0, 5), "uint8"), {}, r"shape"),
    "no channels": (lambda p: {}, {}, "every channel must be"),
    "unequal channels": (lambda p: {"a": p, "b": p[1:]}, {}, "of one shape"),
    "complex": (lambda p: p.astype(complex), {}, "type complex128; allowed are integers"),
    "complex in a mapping": (lambda p: {"a": p.astype(complex)}, {}, "complex128"),
    "texts": (lambda p: np.full((4, 4), "x"), {}, "allowed are integers and floats"),
    "texts in a mapping": (lambda p: {"a": np.full((4, 4), "x")}, {}, "allowed are integers"),
    "objects": (lambda p: np.full((4, 4), None), {}, "allowed are integers and floats"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_images_that_are_none(ready: Plan, squares: np.ndarray, case: str) -> None:
    image, options, words = REFUSED[case]
    with pytest.raises(ConfigError, match=words):
        ds.analyze(image(squares), ready, **options)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_no_numbers(ready: Plan, squares: np.ndarray, value: float) -> None:
    pixels = squares.astype("float32")
    pixels[3, 4] = value
    with pytest.raises(StepError, match=r"channel ch0: .*1 .*of 2000"):
        ds.analyze(pixels, ready)
    with pytest.raises(StepError, match="channel b"):
        ds.analyze({"a": squares, "b": pixels}, ready)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int16", "uint32", "float16", "float64", ">u2"])
def test_any_type_of_pixel(ready: Plan, squares: np.ndarray, dtype: str) -> None:
    pixels = (squares > 50).astype(dtype)
    labels, table = ds.analyze(pixels, ready)
    assert table["area"].tolist() == [36, 100, 64]
    in_mapping, _ = ds.analyze({"ch0": pixels}, ready)
    np.testing.assert_array_equal(labels, in_mapping)


def test_the_image_stays_as_it_is(ready: Plan, squares: np.ndarray) -> None:
    before = squares.copy()
    ds.analyze(squares, ready)
    assert squares.flags.writeable
    np.testing.assert_array_equal(squares, before)


def test_the_same_as_a_run_on_the_file(ready: Plan, squares: np.ndarray, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "one.tif", squares)
    with ds.start(tmp_path / "one.tif", ready, save_labels=True) as run:
        run.wait()
    labels, table = ds.analyze(squares, ready)
    np.testing.assert_array_equal(
        tifffile.imread(Path(run.folder) / "labels" / "0_nuclei.tif"), labels
    )
    channel = run.reader.record.channels[0]
    stored = run.objects("nuclei").rename(columns=lambda c: c.replace(channel, "ch0"))
    pd.testing.assert_frame_equal(stored[list(table)], table, check_exact=True, check_dtype=False)


def test_a_preset_by_name_and_a_file(squares: np.ndarray, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(TEXT)
    same(
        ds.analyze(squares, tmp_path / "mine.yaml"),
        ds.analyze(squares, str(tmp_path / "mine.yaml")),
    )
    labels, _ = ds.analyze(squares)
    assert labels.shape == squares.shape
    with pytest.raises(ConfigError, match="did you mean nuclei"):
        ds.analyze(squares, "nucli")


@pytest.mark.parametrize(
    "wrong", [{"pixel_um": -1.0}, {"pixel_um": float("nan")}, {"bit_depth": 0}]
)
def test_impossible_scales_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        ds.analyze(np.zeros((20, 20), "uint8"), "nuclei", **wrong)
