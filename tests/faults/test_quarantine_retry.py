"""The quarantine: what is in it, and another try in the old rows, with nothing lost on the way."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from dipstream.errors import ConfigError, StepError
from dipstream.pipeline import Pipeline
from dipstream.quarantine import retry
from dipstream.service import LiveRun, open_run, start
from dipstream.store import RunFolder, quarantined_frames, verify_run

CHANNELS = {"channels": "DAPI"}


def write(path: Path, t: int, value: int = 100) -> bytes:
    pixels = np.full((24, 30), 10, "uint16")
    pixels[3:8, 3 + t : 8 + t] = value
    tifffile.imwrite(path, pixels)
    return path.read_bytes()


def fill(folder: Path, n: int = 5, broken: tuple[int, ...] = (), pattern: str = "t{}") -> None:
    folder.mkdir(exist_ok=True)
    for t in range(n):
        path = folder / f"{pattern.format(t)}.tif"
        whole = write(path, t)
        if t in broken:
            path.write_bytes(whole[: len(whole) // 2])


@pytest.fixture
def files(tmp_path: Path) -> Path:
    fill(tmp_path / "in", broken=(1, 3))
    return tmp_path / "in"


@pytest.fixture
def done(plan: Callable[..., Any]) -> Callable[..., Path]:
    """Analyse a folder to its end; return the run's folder."""

    def made(source: Any, **options: Any) -> Path:
        given = {"options": CHANNELS, "durability": "normal", "workers": 2, **options}
        with start(source, plan(), **given) as run:
            run.wait()
        return run.folder

    return made


def again(folder: Path, frames: list[int] | None = None) -> LiveRun:
    run = retry(folder, frames).begin(workers=2)
    assert run.poll(20), "the run hangs"
    run.wait()
    return run


def sound(folder: Path) -> None:
    found = verify_run(RunFolder(folder))
    assert found.findings == ()
    assert found.state in {"finished", "stopped"}


def test_what_is_in_it(files: Path, done: Callable[..., Path]) -> None:
    folder = done(files)
    frames = quarantined_frames(RunFolder(folder))
    assert [frame.frame_id for frame in frames] == [1, 3]
    for frame in frames:
        assert frame.path == str(files / f"t{frame.frame_id}.tif")
        assert frame.reason
        assert len(frame.file_hash or "") == 16
        assert frame.set_id is None
    assert quarantined_frames(RunFolder(folder))[0].to_json()["t"] == frames[0].t


def test_repaired_files_are_analysed_in_their_rows(files: Path, done: Callable[..., Path]) -> None:
    folder = done(files)
    before = open_run(folder).frames()
    for t in (1, 3):
        write(files / f"t{t}.tif", t)
    run = again(folder)
    frames = run.frames()
    assert frames["state"].tolist() == ["analysed"] * 5
    assert frames["frame_id"].tolist() == before["frame_id"].tolist() == list(range(5))
    assert frames["reason"].isna().all()
    assert (frames["received_ns"][[0, 2, 4]] == before["received_ns"][[0, 2, 4]]).all()
    assert len(run.objects()) == 5
    sound(folder)
    assert verify_run(RunFolder(folder), deep=True).ok, "the new bytes are in the book"
    assert quarantined_frames(RunFolder(folder)) == []


def test_only_the_frames_that_are_named(files: Path, done: Callable[..., Path]) -> None:
    folder = done(files)
    for t in (1, 3):
        write(files / f"t{t}.tif", t)
    chosen = retry(folder, [3, 0, 77])
    assert chosen.frame_ids == (3,)
    assert chosen.refused == dict.fromkeys((0, 77), "it is not in the quarantine")
    run = again(folder, [3])
    assert run.frames()["state"].tolist() == ["analysed", "quarantined", *["analysed"] * 3]
    sound(folder)


def test_what_is_still_broken_is_quarantined_again(files: Path, done: Callable[..., Path]) -> None:
    folder = done(files)
    before = quarantined_frames(RunFolder(folder))
    write(files / "t1.tif", 1)
    run = again(folder)
    assert run.wait().quarantined == 1
    (frame,) = quarantined_frames(RunFolder(folder))
    assert frame.frame_id == 3
    assert frame.reason == before[1].reason
    assert len(run.frames()) == 5
    sound(folder)


def test_what_is_gone_stays(files: Path, done: Callable[..., Path]) -> None:
    folder = done(files)
    (files / "t1.tif").unlink()
    chosen = retry(folder)
    assert chosen.frame_ids == (3,)
    assert "t1.tif is gone" in chosen.refused[1]
    again(folder)
    assert [one.frame_id for one in quarantined_frames(RunFolder(folder))] == [1, 3]
    sound(folder)


class Failing:
    """Lets the analysis of some time points fail until it is told to stop that."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *bad: int) -> None:
        self.bad = set(bad)
        real = Pipeline.analyse

        def analyse(pipeline: Pipeline, image_set: Any, ordered: Any = None) -> Any:
            if image_set.key.t in self.bad:
                raise StepError("there was not enough memory")
            return real(pipeline, image_set, ordered)

        monkeypatch.setattr(Pipeline, "analyse", analyse)


@pytest.mark.parametrize("source", ["files", "sim"])
def test_a_set_whose_step_failed_is_superseded(
    source: str, tmp_path: Path, done: Callable[..., Path], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    failing = Failing(monkeypatch, 2)
    if source == "files":
        fill(tmp_path / "in")
        folder = done(tmp_path / "in")
    else:
        folder = done("sim:?n=3&fps=0&channels=DAPI", frames=5, options={}, truth="none")
    before = open_run(folder).image_sets()
    assert before["state"].tolist() == ["analysed"] * 2 + ["quarantined"] + ["analysed"] * 2
    again(folder)
    (frame,) = quarantined_frames(RunFolder(folder))
    assert (frame.reason, frame.set_id) == ("there was not enough memory", 2)
    assert "StepError" in (frame.detail or "")
    failing.bad.clear()
    run = again(folder)
    sets = run.reader.image_sets()
    assert sets["state"].tolist() == ["analysed"] * 5
    assert sets["set_id"].tolist() == list(range(5))
    assert sets["content_version"].tolist() == [1, 1, 3, 1, 1]
    objects = run.objects()
    assert (objects["set_id"] == 2).any()
    assert objects.query("set_id == 2")["track_id"].isna().all(), "the tracks have gone on"
    sound(folder)


def test_a_set_that_was_analysed_without_it_is_made_whole(
    tmp_path: Path, done: Callable[..., Path]
) -> None:
    folder = tmp_path / "in"
    fill(folder, pattern="DAPI_t{}")
    fill(folder, broken=(2,), pattern="GFP_t{}")
    options = {"pattern": "{channel}_t{t}.tif", "channels": "DAPI,GFP"}
    run_folder = done(folder, options=options)
    reader = open_run(run_folder)
    assert reader.image_sets()["partial"].tolist() == [0, 0, 1, 0, 0]
    chosen = retry(run_folder)
    assert len(chosen.frame_ids) == 2, "the other channel comes along"
    run = again(run_folder)
    sets = run.reader.image_sets()
    assert sets["partial"].tolist() == [0, 0, 1, 0, 0], "it is still broken"
    assert run.frames()["state"].value_counts().to_dict() == {"analysed": 9, "quarantined": 1}
    sound(run_folder)
    write(folder / "GFP_t2.tif", 2)
    run = again(run_folder)
    sets = run.reader.image_sets()
    assert sets["partial"].tolist() == [0] * 5
    assert sets["n_frames"].tolist() == [2] * 5
    assert len(run.objects()) == 5
    sound(run_folder)


def test_a_camera_cannot_deliver_again(
    run: Callable[..., LiveRun], make_frame: Callable[..., Any], make_bad: Callable[..., Any],
    scripted: Any, to_end: Callable[..., Any],
) -> None:  # fmt: skip
    live = run([make_frame(0, seq=0), make_bad(1, seq=1)], live=True, replayable=False)
    to_end(live)
    with pytest.raises(ConfigError, match="made by a program, which has to give it again"):
        retry(live.folder)
    chosen = retry(live.folder, source=scripted([], replayable=False))
    assert chosen.frame_ids == ()
    assert chosen.refused == {1: "the camera cannot deliver it again"}


def test_a_run_that_cannot_go_on_changes_nothing(
    files: Path, done: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = done(files)

    def refuse(*_: Any, **__: Any) -> LiveRun:
        raise ConfigError("the pipeline is not what it was")

    monkeypatch.setattr("dipstream.quarantine.resume", refuse)
    with pytest.raises(ConfigError):
        retry(folder).begin()
    assert [one.frame_id for one in quarantined_frames(RunFolder(folder))] == [1, 3]
    sound(folder)


def test_a_watch_that_was_stopped_stops_again(files: Path, plan: Callable[..., Any]) -> None:
    watched = {"driver": "watch", "options": {**CHANNELS, "poll_s": 0.05, "broken_after_s": 0.1}}
    enough = threading.Event()
    run = start([str(files)], plan(), durability="normal", **watched)
    while not run.poll(0.05) and not enough.is_set():
        counts = run.reader.accounting()
        if counts.get("analysed") == 3 and counts.get("quarantined") == 2:
            enough.set()
    run.stop()
    run.wait()
    for t in (1, 3):
        write(files / f"t{t}.tif", t)
    tried = again(run.folder)
    assert tried.frames()["state"].tolist() == ["analysed"] * 5
    assert tried.summary()["state"] == "stopped"
    sound(run.folder)


def test_the_commands(files: Path, done: Callable[..., Path], cli: Any) -> None:
    folder = done(files)
    answer = cli("quarantine", "list", folder)
    assert answer.code == 0, answer.stderr
    assert "t1.tif" in answer.stdout
    rows = json.loads(cli("quarantine", "list", folder, "--json").stdout)
    assert [row["frame_id"] for row in rows] == [1, 3]
    assert "frame 1: " in cli("quarantine", "list", folder, "--traceback").stdout
    write(files / "t1.tif", 1)
    (files / "t3.tif").unlink()
    answer = cli("quarantine", "retry", folder, "--json")
    assert answer.code == 0, answer.stderr
    assert answer.json["analysed"] == 4
    assert "frame 3 is not tried again" in answer.stderr
    answer = cli("quarantine", "retry", folder)
    assert answer.code == 2
    assert "no frame can be tried again" in answer.stderr
    assert cli("quarantine", "retry", folder, "--frame", "0").code == 2
