"""What every registered step keeps to, whoever wrote it."""

import inspect
import io
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from dipstream.calibrate import CameraFile, CameraMode, write_camera
from dipstream.registry import STEP_GROUPS, Step, file_parameters, list_steps
from dipstream.steps.image import Image, Labels, Mask
from dipstream.steps.objects import Objects
from dipstream.steps.quality import check_finite

STEPS = [step for group in STEP_GROUPS for step in list_steps(group)]
CHANNELS = ("DAPI", "GFP")
SHAPE = (60, 72)
DTYPES = ("uint8", "uint16", "float32")

Parameters = Mapping[str, Any]
Given = Callable[[Step], Parameters]


def steps(*groups: str, kind: str | None = None) -> Any:
    chosen = [step for step in STEPS if step.group in groups and kind in {None, step.mark.kind}]
    return pytest.mark.parametrize("step", chosen, ids=lambda s: f"{s.group}-{s.name}")


def dots(seed: int = 0, shift: int = 0) -> np.ndarray:
    """Noise around 20 and a few blurred discs of different size and brightness."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    pixels = rng.normal(20, 2, SHAPE)
    for cy, cx, r, height in [(12, 14, 5, 90), (14, 25, 5, 80), (40, 20, 8, 120), (35, 55, 4, 60)]:
        away = np.hypot(y - cy - shift, x - cx - 2 * shift)
        pixels += height / (1 + np.exp(2 * (away - r)))
    return pixels.clip(0, 250)


SCENES: dict[str, Callable[[], np.ndarray]] = {
    "dots": dots,
    "zero": lambda: np.zeros(SHAPE),
    "constant": lambda: np.full(SHAPE, 42.0),
    "saturated": lambda: np.full(SHAPE, 255.0),
    "one object": lambda: np.pad(np.full((9, 9), 200.0), ((20, 31), (30, 33))),
    "one pixel": lambda: np.pad([[200.0]], ((20, 39), (30, 41))),
    "object at the border": lambda: np.pad(np.full((9, 9), 200.0), ((0, 51), (63, 0))),
}
scenes = pytest.mark.parametrize("scene", SCENES)
dtypes = pytest.mark.parametrize("dtype", DTYPES)


def frozen(array: np.ndarray) -> np.ndarray:
    copy = np.array(array)
    copy.flags.writeable = False
    return copy


def image(scene: str = "dots", dtype: str = "uint16", channel: str = "DAPI") -> Image:
    return Image(frozen(SCENES[scene]().astype(dtype)), channel=channel, pixel_um=0.5)


def as_kind(kind: type, source: Image) -> Any:
    """Image, Mask or Labels, as the step before would hand it on."""
    if kind is Image:
        return source
    bright = source.pixels > 60
    if kind is Mask:
        return Mask(frozen(bright), pixel_um=0.5)
    from scipy import ndimage  # noqa: PLC0415

    return Labels(frozen(ndimage.label(bright, np.ones((3, 3)))[0].astype(np.int32)), pixel_um=0.5)


def dense(value: Any) -> np.ndarray:
    return np.asarray(value.pixels if isinstance(value, Image) else value.dense)


@pytest.fixture
def given(tmp_path: Path) -> Given:
    """Parameters for a step: its defaults, and a reference image for what has none."""

    def made(step: Step) -> Parameters:
        required = {name for name, f in step.model.model_fields.items() if f.is_required()}
        needed = {}
        # In the order of the alphabet: a dark image is darker than a flat one.
        for k, name in enumerate(sorted(file_parameters(step.model)), start=1):
            if name == "camera":
                needed[name] = tmp_path / "camera.toml"
                write_camera(needed[name], CameraFile("test", (CameraMode("any", 5.0, 0.5),)))
                continue
            needed[name] = tmp_path / f"{name}.tif"
            tifffile.imwrite(needed[name], np.full(SHAPE, 3 * k, "uint16"))
        assert required <= set(needed), "say here what this step needs"
        model = step.configure({k: str(v) for k, v in needed.items()}, step.name)
        return {name: getattr(model, name) for name in type(model).model_fields}

    return made


# Words.


@steps(*STEP_GROUPS)
def test_help(step: Step) -> None:
    assert step.summary.endswith(".")
    assert len(step.summary) > 10
    text = inspect.getdoc(step.function) or ""
    sections = re.split(r"\n(\w+)\n-+\n", text)
    documented = sections[sections.index("Parameters") + 1] if "Parameters" in sections else ""
    named = {
        name.strip()
        for line in re.findall(r"^(\S.*)$", documented, re.MULTILINE)
        for name in line.split(",")
    }
    assert set(step.model.model_fields) <= named
    assert named <= set(inspect.signature(step.function).parameters), "nothing that is not there"


@steps(*STEP_GROUPS)
def test_defaults_are_valid(step: Step) -> None:
    fields = step.model.model_fields
    defaults = {k: f.default for k, f in fields.items() if not f.is_required()}
    plain = {k: list(v) if isinstance(v, tuple) else v for k, v in defaults.items()}
    required = {k: "file.tif" for k, f in fields.items() if f.is_required()}
    model = step.configure({**required, **plain}, step.name)
    assert {name: getattr(model, name) for name in defaults} == defaults


@steps(*STEP_GROUPS)
def test_versions_and_kinds(step: Step) -> None:
    assert step.mark.version >= 1
    assert (step.mark.kind == "ordered") >= (step.group == "track")
    assert (step.mark.columns is not None) == (step.group == "measure")


# Corrections.


def correct(step: Step, parameters: Parameters, source: Image) -> Image:
    found = step.function(source, **parameters)
    assert isinstance(found, Image)
    return found


@steps("correct", kind="pure")
@scenes
@dtypes
def test_pure_corrections(step: Step, scene: str, dtype: str, given: Given) -> None:
    source = image(scene, dtype)
    before = source.pixels.copy()
    one, two = (correct(step, given(step), source) for _ in range(2))
    np.testing.assert_array_equal(source.pixels, before)
    np.testing.assert_array_equal(one.pixels, two.pixels)
    assert one.pixels.shape == SHAPE
    assert one.pixels.dtype.kind in "uif"
    check_finite(one.pixels)
    assert (one.channel, one.pixel_um) == ("DAPI", 0.5)


@steps("correct", kind="pure")
def test_corrections_take_stacks(step: Step, given: Given) -> None:
    planes = [dots(k).astype("uint16") for k in range(3)]
    stack = Image(frozen(np.stack(planes)), channel="DAPI")
    found = correct(step, given(step), stack).pixels
    assert found.shape in {SHAPE, (3, *SHAPE)}
    if found.ndim == 3:
        alone = [correct(step, given(step), Image(frozen(plane))).pixels for plane in planes]
        np.testing.assert_array_equal(found, np.stack(alone))


# Segmentation.


@steps("segment")
@scenes
@dtypes
def test_segment_steps(step: Step, scene: str, dtype: str, given: Given) -> None:
    assert step.takes
    assert step.gives
    for kind in step.takes:
        source = as_kind(kind, image(scene, dtype))
        before = dense(source).copy()
        one, two = (step.function(source, **given(step)) for _ in range(2))
        wanted = step.gives if len(step.gives) == 1 else (kind,)
        assert type(one) in wanted
        assert dense(one).shape == SHAPE
        np.testing.assert_array_equal(dense(source), before)
        np.testing.assert_array_equal(dense(one), dense(two))
        assert one.pixel_um == 0.5
        assert dict(one.estimates) == dict(two.estimates)
        if isinstance(one, Mask):
            assert one.dense.dtype == np.bool_
        if isinstance(one, Labels):
            assert one.dense.dtype == np.int32
            assert one.numbers.tolist() == list(range(1, one.count + 1)), "1…n without gaps"
            first = [np.flatnonzero(one.dense.ravel() == n)[0] for n in one.numbers]
            assert first == sorted(first), "in raster order"


@steps("segment")
def test_an_empty_image_has_no_objects(step: Step, given: Given) -> None:
    for kind in step.takes:
        found = step.function(as_kind(kind, image("zero")), **given(step))
        assert not dense(found).any()


# Measurements.


@steps("measure")
@scenes
@dtypes
def test_measure_steps_deliver_what_they_promised(
    step: Step, scene: str, dtype: str, given: Given
) -> None:
    parameters = given(step)
    images = {name: image(scene, dtype, name) for name in CHANNELS}
    labels = as_kind(Labels, image(scene, dtype))
    assert step.mark.columns is not None
    promised = step.mark.columns(CHANNELS, **parameters)
    assert len({column.name for column in promised}) == len(promised)
    assert all(column.definition for column in promised)
    one, two = (step.function(labels, images, **parameters) for _ in range(2))
    assert list(one) == [column.name for column in promised]
    for column in promised:
        values = one[column.name]
        assert values.shape == (labels.count,)
        assert values.dtype == np.dtype(column.dtype)
        np.testing.assert_array_equal(values, two[column.name])
        assert not np.isinf(values.astype(float)).any()


@steps("measure")
def test_labels_with_gaps_give_one_value_each(step: Step, given: Given) -> None:
    labels = as_kind(Labels, image())
    images = {name: image(channel=name) for name in CHANNELS}
    every = step.function(labels, images, **given(step))
    kept = Labels(np.where(labels.dense == 2, 0, labels.dense).astype(np.int32), pixel_um=0.5)
    for name, values in step.function(kept, images, **given(step)).items():
        np.testing.assert_array_equal(values, np.delete(every[name], 1))


@steps("measure")
def test_a_missing_channel_leaves_its_columns_out(step: Step, given: Given) -> None:
    labels = as_kind(Labels, image())
    assert step.mark.columns is not None
    found = step.function(labels, {"GFP": image(channel="GFP")}, **given(step))
    alone = [column.name for column in step.mark.columns(("GFP",), **given(step))]
    assert list(found) == alone


# Ordered steps.


def sequence(step: Step) -> Iterator[Any]:
    for t in range(5):
        if step.group == "track":
            n = 3 + t % 2
            yield Objects(
                set_id=t,
                t=t,
                y_px=frozen(np.arange(n) * 20.0 + t),
                x_px=frozen(np.arange(n) * 15.0 + 2 * t),
                features={"area": np.full(n, 30), "label": np.arange(1, n + 1)},
                pixel_um=0.5,
                next_track_id=1 + 4 * t,
            )
        else:
            pixels = dots(t, shift=t).astype("uint16")
            yield {name: Image(frozen(pixels), channel=name) for name in CHANNELS}


def saved(state: Any) -> Any:
    """The state as it comes back from the table."""
    assert isinstance(state, dict)
    assert all(isinstance(name, str) for name in state)
    assert all(isinstance(array, np.ndarray) for array in state.values())
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **state)
    buffer.seek(0)
    with np.load(buffer, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def plain(answer: Any) -> Any:
    if isinstance(answer, dict):
        return {k: (i.pixels.tolist(), dict(i.estimates)) for k, i in answer.items()}
    return answer.track_ids.tolist(), list(answer.events)


def run_through(step: Step, parameters: Parameters, keep: Callable[[Any], Any]) -> list[Any]:
    state, answers = None, []
    for given_ in sequence(step):
        before = None if state is None else {k: v.copy() for k, v in state.items()}
        old = state
        state, answer = step.function(state, given_, **parameters)
        if old is not None and before is not None:
            assert old.keys() == before.keys(), "a state is replaced, never changed"
            for name, array in before.items():
                np.testing.assert_array_equal(old[name], array)
        answers.append(plain(answer))
        state = keep(state)
    return answers


@steps(*STEP_GROUPS, kind="ordered")
def test_ordered_steps_go_on_after_their_state_was_saved(step: Step, given: Given) -> None:
    straight = run_through(step, given(step), lambda state: state)
    resumed = run_through(step, given(step), saved)
    assert straight == resumed
    assert straight == run_through(step, given(step), lambda state: state)
    assert any(answer != straight[0] for answer in straight), "the sequence does change"


@steps("correct", kind="ordered")
@scenes
@dtypes
def test_ordered_corrections(step: Step, scene: str, dtype: str, given: Given) -> None:
    images = {name: image(scene, dtype, name) for name in CHANNELS}
    state = None
    for _ in range(3):
        state, found = step.function(state, images, **given(step))
        assert list(found) == list(images)
        assert all(one.pixels.shape == SHAPE for one in found.values())
        saved(state)


@steps("track")
def test_trackers_take_sets_without_objects(step: Step, given: Given) -> None:
    state = None
    for t in range(3):
        nothing = Objects(t, t, np.empty(0), np.empty(0), {"area": np.empty(0)}, next_track_id=1)
        state, links = step.function(state, nothing, **given(step))
        saved(state)
        assert links.track_ids.shape == (0,)
        assert len(links.events) == 0


@steps("track")
def test_trackers_answer_for_every_object(step: Step, given: Given) -> None:
    state, known = None, set()
    for objects in sequence(step):
        state, links = step.function(state, objects, **given(step))
        assert links.track_ids.shape == (len(objects),)
        assert len(set(links.track_ids.tolist())) == len(objects), "a track has one object a set"
        by_label = {e.label: e.track_id for e in links.events if e.label is not None}
        assert by_label == dict(enumerate(links.track_ids.tolist(), start=1))
        new = {e.track_id for e in links.events if e.kind in {"start", "division"}}
        assert all(track >= objects.next_track_id for track in new)
        assert not new & known
        known |= new
