import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest

from dipstream import service
from dipstream.errors import ConfigError, DipstreamError, SourceError, StoreError
from dipstream.frame import Frame, ImageSet
from dipstream.pipeline import Plan
from dipstream.run import Result
from dipstream.service import _Mailbox, open_run, start
from dipstream.source import BaseSource, SourceInfo
from dipstream.store import RunLock

pytestmark = pytest.mark.usefixtures("pixels_alone")

TEXT = "dipstream: 1\nobjects: {n: {steps: [{threshold: {}}, {split: {}}]}}\n"
NAMED = TEXT.replace("steps", "channel: DAPI, steps")
UNFIT = TEXT + "correct: [{dark_flat: {dark: d.tif}}]\n"


class Given(BaseSource):
    """Yields these frames; remembers whether it was entered and left."""

    def __init__(self, frames: list[Frame], *, channels: tuple[str, ...] = ("DAPI",), **info: Any):
        super().__init__(SourceInfo(info.pop("name", "given:"), channels, **info))
        self.given = frames
        self.entered = self.closed = 0

    def __enter__(self) -> Self:
        self.entered += 1
        return self

    def close(self) -> None:
        self.closed += 1

    def frames(self) -> Any:
        return iter(self.given)


class Unopenable(Given):
    def __enter__(self) -> Self:
        raise SourceError("the camera is in use by another program")


@pytest.fixture
def results(make_set: Callable[..., ImageSet], make_frame: Callable[..., Frame]) -> Any:
    def made(n: int, nbytes: int, label_bytes: int = 0) -> list[Result]:
        labels = {"n": np.zeros(label_bytes // 4, "int32").reshape(1, -1)} if label_bytes else {}
        return [
            Result(k, make_set(make_frame(k, pixels=np.zeros((1, nbytes), "uint8")), set_id=k),
                   label_images=labels)
            for k in range(n)
        ]  # fmt: skip

    return made


@pytest.mark.parametrize(("pixels", "labels"), [(100, 0), (60, 40)])
def test_the_mailbox_is_bounded_in_bytes(
    results: Any, monkeypatch: pytest.MonkeyPatch, pixels: int, labels: int
) -> None:
    monkeypatch.setattr(service, "_MAILBOX_BYTES", 350)
    box = _Mailbox()
    for result in results(10, pixels, labels):
        box.put(result)
    assert box.missed == 7
    first = box.get(0.0)
    assert first is not None
    assert first.set_id == 7
    assert [one.set_id for one in box.rest()] == [8, 9]
    assert box.get(0.01) is None
    for result in results(3, pixels, labels):
        box.put(result)
    assert [one.set_id for one in box.rest()] == [0, 1, 2], "its room is free again"


def test_the_newest_result_stays_however_large(
    results: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "_MAILBOX_BYTES", 50)
    box = _Mailbox()
    for result in results(3, 100):
        box.put(result)
    assert [one.set_id for one in box.rest()] == [2]
    assert box.missed == 2


def test_a_run_from_beginning_to_end(
    plan: Callable[[str], Plan], make_frame: Callable[..., Frame], squares: np.ndarray
) -> None:
    source = Given([make_frame(t, pixels=squares) for t in range(3)], replayable=True, live=False)
    heard: list[int] = []
    with start(source, plan(TEXT), subscribers=[lambda r: heard.append(r.t)]) as run:
        seen = [(result.t, len(result.objects()), result.labels().shape) for result in run]
    assert seen == [(t, 3, squares.shape) for t in range(3)]
    assert heard == [0, 1, 2]
    assert run.missed == 0
    summary = run.summary()
    for key in (
        *("run_id", "folder", "state", "received", "analysed", "dropped", "quarantined", "late"),
        *("pending", "image_sets", "objects", "seconds", "frames_per_s"),
        *("lag_ms_p50", "lag_ms_p99"),
    ):
        assert key in summary
    assert json.loads(json.dumps(summary)) == summary
    assert (summary["analysed"], summary["image_sets"], summary["objects"]) == (3, 3, 9)
    assert summary["balanced"] is True
    assert source.closed >= 1
    assert not RunLock(run.folder).taken
    assert open_run().record.run_id == run.run_id
    assert len(open_run(run.run_id).objects()) == 9


CANNOT = {
    "an unknown pipeline": (lambda plan: ("sim:?frames=2&fps=0", "nucli", {}), ConfigError),
    "an unknown driver": (lambda plan: ("nosuch:", plan(TEXT), {}), ConfigError),
    "an unknown option": (lambda plan: ("sim:", plan(TEXT), {"options": {"x": 1}}), ConfigError),
    "an unknown setting": (lambda plan: ("sim:", plan(TEXT), {"worker": 1}), ConfigError),
    "a wrong setting": (lambda plan: ("sim:", plan(TEXT), {"workers": -1}), ConfigError),
    "a missing folder": (lambda plan: ("/no/such/folder", plan(TEXT), {}), SourceError),
    "a camera in use": (lambda plan: (Unopenable([]), plan(TEXT), {}), SourceError),
    "a missing channel": (
        lambda plan: (Given([], channels=("GFP",)), plan(NAMED), {}),
        ConfigError,
    ),
    "an unfit correction": (
        lambda plan: (Given([], shape=(4, 4), dtype="uint16"), plan(UNFIT), {}),
        ConfigError,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CANNOT)
def test_what_cannot_start_leaves_nothing_behind(
    plan: Callable[[str], Plan], home: Path, tmp_path: Path, case: str
) -> None:
    import tifffile  # noqa: PLC0415

    tifffile.imwrite(tmp_path / "d.tif", np.ones((3, 3), "uint16"))
    make, error = CANNOT[case]
    source, pipeline, options = make(plan)
    with pytest.raises(error):
        start(source, pipeline, **options)
    assert list((home / "runs").glob("*")) == []
    if type(source) is Given:
        assert source.entered == 1
        assert source.closed == 1


def test_a_place_that_cannot_be_written_is_said(
    plan: Callable[[str], Plan], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="DIPSTREAM_HOME"):
        start(Given([]), plan(TEXT), home=tmp_path / "file")


def ended(*args: Any, **more: Any) -> str:
    with start(*args, **more) as run:
        run.wait()
    return run.run_id


def test_going_on_needs_the_same_source_and_pipeline(
    plan: Callable[[str], Plan], make_frame: Callable[..., Frame]
) -> None:
    def once(text: str = TEXT, name: str = "given:", **more: Any) -> str:
        frames = [make_frame(0, seq=0)]
        return ended(Given(frames, name=name), plan(text), **{"go_on": True, **more})

    first = once()
    assert once() == first
    assert once(TEXT + "# the same\n") == first
    assert once(TEXT.replace("{split: {}}", "{clean: {}}")) != first
    assert once(name="other:") != first
    assert once(go_on=False) != first
    assert once(options={"pattern": "{t}.tif"}) != first
    newest = once(go_on=False)
    assert once() == newest, "of several, the newest"
    assert once(options={"poll_s": 3.0}) == newest, "how often one looks changes nothing"


def test_a_broken_folder_among_the_runs_stops_nobody(
    plan: Callable[[str], Plan], make_frame: Callable[..., Frame], home: Path
) -> None:
    (home / "runs" / "broken").mkdir(parents=True)
    (home / "runs" / "broken" / "run.json").write_text("{")
    ended(Given([make_frame(0)]), plan(TEXT), go_on=True)


def test_two_at_once_on_one_run_are_refused_and_the_run_stays(
    plan: Callable[[str], Plan], make_frame: Callable[..., Frame]
) -> None:
    first = ended(Given([make_frame(0)]), plan(TEXT))
    folder = open_run(first).folder
    with RunLock(folder), pytest.raises(StoreError, match="is being written by process"):
        start(Given([make_frame(0)]), plan(TEXT), go_on=True)
    assert len(open_run(first).frames()) == 1
    assert open_run(first).record.state == "finished"


def test_errors_are_dipstreams_own() -> None:
    for error in (ConfigError, SourceError, StoreError):
        assert issubclass(error, DipstreamError)
