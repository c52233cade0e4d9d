"""Steps of another package: they run elsewhere, and what they do wrong ends there."""

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dipstream import registry
from dipstream.errors import StepError
from dipstream.pipeline import parcel
from dipstream.pipeline.foreign import apart
from dipstream.steps import Image, Labels, Links, Mask, TrackEvent, TrackEvents
from dipstream.steps.objects import Objects
from dipstream.supervise import POOL

PLUGIN = '''\
import os, signal, time
from pathlib import Path
from typing import Annotated, Any, Literal, Mapping
import numpy as np
from dipstream.errors import StepError
from dipstream.steps import (
    Column, FileInput, Image, Labels, Links, Mask, Objects, State, TrackEvents, ordered, pure,
)
from dipstream.steps.track.lap import lap

@pure(timeout_s=2.5)
def trouble(
    image: Image, *, at: int = -1, how: Literal["", "die", "hang", "raise", "object"] = "",
    marks: Annotated[Path, FileInput()],
) -> Image:
    """Do harm to the frame whose brightest pixel is 100 + at."""
    # The run is told from its rehearsal by its frames.
    with open(marks.parent / "calls", "a") as file:
        file.write(f"{os.getpid()} {int(image.pixels.max())}\\n")
    if int(image.pixels.max()) == 100 + at and image.shape == (24, 30):
        if how == "die":
            os.kill(os.getpid(), signal.SIGSEGV)
        if how == "hang":
            time.sleep(60)
        if how == "object":
            return {"x": np.array([object()])}
        if how == "raise":
            raise ZeroDivisionError("no light")
    return image.with_pixels(image.pixels + 1)

@ordered()
def counted(state: State | None, images: Mapping[str, Image], *, crash: int = -1) -> Any:
    """Add how many sets came before to every pixel."""
    n = 0 if state is None else int(state["n"])
    if n == crash and "crashed" not in os.environ and not os.path.exists(os.environ["ONCE"]):
        os.mkdir(os.environ["ONCE"])
        os._exit(7)
    return {"n": np.array(n + 1)}, {
        name: image.with_pixels(image.pixels + n).with_estimates(before=n)
        for name, image in images.items()
    }

def columns(channels: tuple[str, ...]) -> tuple[Column, ...]:
    return (Column("twice"), Column("who", "text"))

@pure(columns=columns)
def odd(labels: Labels, images: Mapping[str, Image]) -> dict[str, Any]:
    """Twice the label."""
    return {"twice": labels.numbers * 2.0, "who": np.array([f"n{i}" for i in labels.numbers])}

@pure()
def bright(image: Image) -> Mask:
    """What is above 50."""
    return image.mask(image.pixels > 50)

@ordered()
def linked(state: State | None, objects: Objects) -> tuple[State, Links]:
    """As lap does."""
    return lap(state, objects)
'''
ENTRIES = """\
[dipstream.correct]
trouble = plugin_of_tests:trouble
counted = plugin_of_tests:counted
[dipstream.segment]
bright = plugin_of_tests:bright
[dipstream.measure]
odd = plugin_of_tests:odd
[dipstream.track]
linked = plugin_of_tests:linked
"""
FOREIGN = """\
dipstream: 1
correct: [{trouble: {marks: marks, %s}}, {counted: {%s}}]
objects: {nuclei: {steps: [{bright: {}}, {split: {method: none}}]}}
measure: [{odd: {}}]
track: {nuclei: {linked: {}}}
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Installs a package with steps; returns a plan of them."""
    (tmp_path / "plugin_of_tests.py").write_text(PLUGIN, encoding="utf-8")
    about = tmp_path / "plugin_of_tests-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Name: plugin-of-tests\nVersion: 1.0\n", encoding="utf-8")
    (about / "entry_points.txt").write_text(ENTRIES, encoding="utf-8")
    (tmp_path / "marks").write_bytes(b"")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("ONCE", str(tmp_path / "once"))
    caches = (registry._entries, registry._load_step)

    def clear() -> None:
        POOL.close()
        for one in caches:
            one.cache_clear()

    def planned(trouble: str = "", counted: str = "") -> Any:
        from dipstream.pipeline import open_plan  # noqa: PLC0415

        path = tmp_path / "foreign.yaml"
        path.write_text(FOREIGN % (trouble, counted), encoding="utf-8")
        return open_plan(path)

    clear()
    yield planned
    clear()


def calls(folder: Path) -> list[tuple[int, int]]:
    """The process and the brightest pixel of each call of `trouble`."""
    lines = (folder / "calls").read_text(encoding="utf-8").splitlines()
    return [(int(one.split()[0]), int(one.split()[1])) for one in lines]


def before(live: Any) -> list[int]:
    """What `counted` found, by image set."""
    texts = live.reader.image_sets()["estimates"].dropna()
    return [int(found["before"]) for text in texts if "before" in (found := json.loads(text))]


def test_steps_of_other_packages_run_elsewhere(
    plugin: Any, run: Any, make_frame: Any, to_end: Any, book: Any, tmp_path: Path
) -> None:
    live = run([make_frame(t) for t in range(5)], plan=plugin())
    assert book(live, to_end(live)) == {"analysed": 5}
    assert os.getpid() not in {pid for pid, _ in calls(tmp_path)}
    assert before(live) == [0, 1, 2, 3, 4]
    objects = live.objects()
    assert objects["twice"].tolist() == [2.0, 4.0] * 5
    assert objects["who"].tolist() == ["n1", "n2"] * 5
    assert live.tracks()["n_objects"].tolist() == [5, 5]


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("die", r"'trouble' of plugin-of-tests .* killed by SIGSEGV"),
        ("raise", "'trouble' of plugin-of-tests failed: ZeroDivisionError: no light"),
        ("object", "values of type object"),
    ],
)
def test_a_step_that_does_harm_quarantines_its_frames(
    plugin: Any, run: Any, make_frame: Any, to_end: Any, book: Any, how: str, words: str
) -> None:
    live = run([make_frame(t) for t in range(6)], plan=plugin(f"at: 2, how: {how}"))
    assert book(live, to_end(live)) == {"analysed": 5, "quarantined": 1}
    (lost,) = live.frames().query("state == 'quarantined'").itertuples()
    assert lost.t == 2
    assert "Traceback" in lost.detail
    assert re.search(words, lost.reason)
    assert before(live) == [0, 1, 2, 3, 4]
    assert live.reader.record.state == "finished"


def test_a_step_that_hangs_is_tried_twice(
    plugin: Any, run: Any, make_frame: Any, to_end: Any, book: Any, tmp_path: Path
) -> None:
    live = run([make_frame(t) for t in range(3)], plan=plugin("at: 1, how: hang"), workers=1)
    assert book(live, to_end(live, 60)) == {"analysed": 2, "quarantined": 1}
    (lost,) = live.frames().query("state == 'quarantined'").itertuples()
    assert "longer than 2.5 s" in lost.reason
    tried = {pid for pid, brightest in calls(tmp_path) if brightest == 101}
    assert len(tried) == 2, "in two processes"


def test_a_state_survives_a_crash(
    plugin: Any, run: Any, make_frame: Any, to_end: Any, book: Any, tmp_path: Path
) -> None:
    live = run([make_frame(t) for t in range(6)], plan=plugin("", "crash: 3"))
    assert book(live, to_end(live)) == {"analysed": 6}
    assert (tmp_path / "once").exists(), "it did crash"
    assert before(live) == [0, 1, 2, 3, 4, 5]
    assert live.tracks()["n_objects"].tolist() == [6, 6]


def test_a_state_that_did_not_change_is_the_very_same(plugin: Any) -> None:
    plugin()
    step = apart(registry.find_step("track", "linked"))
    nothing = Objects(0, 0, np.empty(0), np.empty(0), {"label": np.empty(0)})
    state, links = step.function(None, nothing)
    assert len(links.track_ids) == 0
    again, _ = step.function(state, Objects(1, 1, np.empty(0), np.empty(0)))
    assert again is state
    assert step.summary == "As lap does."


def test_own_steps_stay_here() -> None:
    step = registry.find_step("segment", "threshold")
    assert step.distribution == ""
    assert apart(step) is step


VALUES = {
    "none": None,
    "image": Image(
        np.arange(6, dtype="u2").reshape(2, 3),
        channel="GFP",
        bit_depth=12,
        pixel_um=0.3,
        camera="c",
        estimates={"x": 1.5},
    ),
    "mask": Mask(np.eye(3, dtype=bool), pixel_um=0.1),
    "labels": Labels(np.eye(3, dtype=np.int32)),
    "objects": Objects(
        3, 4, np.ones(2), np.ones(2), {"area": np.ones(2), "name": np.array(["a", "b"])}
    ),
    "links": Links(
        np.array([1, 2]), TrackEvents.of([TrackEvent("start", 1, 1), TrackEvent("end", 9)])
    ),
    "state": {"n": np.array(3), "x": np.zeros((2, 0))},
    "several": (np.array([True]), {"a": Image(np.zeros((1, 1), "f4"))}),
}


def same(one: Any, other: Any) -> None:
    """Check equality, whatever it is."""
    assert type(one) is type(other)
    if isinstance(one, np.ndarray):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for name in one:
            same(one[name], other[name])
    elif isinstance(one, tuple):
        for pair in zip(one, other, strict=True):
            same(*pair)
    elif hasattr(one, "__slots__"):
        for name in type(one).__dataclass_fields__:
            if name != "_views":
                here, there = getattr(one, name), getattr(other, name)
                same(dict(here) if hasattr(here, "keys") else here, there)
    else:
        assert one == other


@pytest.mark.parametrize("kind", VALUES)
def test_values_go_and_come(kind: str) -> None:
    arrays: list[Any] = []
    header = json.loads(json.dumps(parcel.pack(VALUES[kind], arrays)))
    same(VALUES[kind], parcel.unpack(header, [array.copy() for array in arrays]))


@pytest.mark.parametrize("value", [object(), {"a": np.array([{}])}, np.array(["2020"], "M8[D]")])
def test_other_values_are_refused(value: Any) -> None:
    with pytest.raises(StepError, match="another package"):
        parcel.pack(value, [])
