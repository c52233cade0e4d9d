"""The truth beside a run: off its path, complete at its end, and its failures told."""

import csv
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from dipstream.cli.live_score import LiveScore
from dipstream.frame import Frame, FrameInfo, Segment
from dipstream.service import LiveRun, start
from dipstream.source import BaseSource, SourceInfo, SourceTruth, TruthPixels, now_ns
from dipstream.truth import FramePlace, SetPlace, TrueSet

SHAPE = (24, 30)
SEGMENT = Segment(SHAPE, "uint16", pixel_um=0.5)
PIPELINE = """\
dipstream: 1
objects:
  nuclei:
    channel: DAPI
    steps: [{threshold: {method: manual, value: 50}}, {split: {method: none}}]
measure: [{shape: {}}, {intensity: {}}]
track: {nuclei: {lap: {max_distance_px: 10}}}
"""


def labels(t: int) -> np.ndarray:
    """Two squares; the second one moves."""
    image = np.zeros(SHAPE, np.int32)
    image[3:8, 3:8] = 1
    image[14:19, 5 + t % 9 : 10 + t % 9] = 2
    return image


class Truthful(BaseSource):
    """Frames of two channels with two squares, and the truth about them."""

    def __init__(self, frames: int = 20, *, live: bool = False) -> None:
        super().__init__(
            SourceInfo("truthful:", ("DAPI", "GFP"), SHAPE, "uint16", 0.5, live=live, grouped=True)
        )
        self.count = frames
        self.asked: list[int] = []
        self.before: Callable[[int], object] = lambda seq: None

    def frames(self) -> Iterator[Frame]:
        for seq in range(self.count):
            if self._stopping.is_set():
                return
            t, channel = divmod(seq, 2)
            utc, monotonic = now_ns()
            info = FrameInfo(
                SEGMENT,
                self.info.channels[channel],
                seq=seq,
                t=t,
                received_ns=utc,
                received_monotonic_ns=monotonic,
            )
            yield Frame((10 + 90 * (labels(t) > 0)).astype("uint16"), info)

    def truth(self, seq: int) -> SourceTruth:
        self.before(seq)
        self.asked.append(seq)
        image = labels(seq // 2)
        middle = np.array([np.argwhere(image == label).mean(axis=0) for label in (1, 2)]) * 0.5
        electrons = np.full(SHAPE, 7, np.float32)
        return SourceTruth(
            image,
            np.array([1, 2]),
            np.array([0, 0]),
            middle[:, 0],
            middle[:, 1],
            np.zeros(2),
            pixels=lambda: TruthPixels(electrons * 2, electrons, image < 0),
        )


@pytest.fixture
def started(tmp_path: Path) -> Callable[..., LiveRun]:
    (tmp_path / "p.yaml").write_text(PIPELINE)

    def made(source: BaseSource, **more: Any) -> LiveRun:
        settings = {"workers": 2, "durability": "normal", "mailbox": False, **more}
        return start(source, tmp_path / "p.yaml", **settings)

    return made


def seqs(run: LiveRun) -> list[int]:
    with (run.folder / "truth" / "frames.csv").open(newline="") as file:
        return [int(row["seq"]) for row in csv.DictReader(file)]


def warned(run: LiveRun) -> list[str]:
    events = run.reader.events()
    return [
        text
        for kind, text in zip(events["kind"], events["message"], strict=True)
        if kind == "warning"
    ]


def test_the_truth_of_every_frame_is_there_when_the_run_has_ended(started: Any) -> None:
    source = Truthful(40)
    source.before = lambda seq: time.sleep(0.005)  # slower than the frames come
    with started(source) as run:
        assert run.records_truth
        run.wait()
    assert seqs(run) == list(range(40))
    assert len(list((run.folder / "truth" / "01_GT" / "TRA").glob("*.tif"))) == 20
    assert source.asked == list(range(40)), "asked once for each"
    assert run.reader.record.settings["truth"] == "labels"


def test_the_camera_does_not_wait_for_the_truth(started: Any) -> None:
    source, go_on = Truthful(60), threading.Event()
    source.before = lambda seq: go_on.wait(20)
    with started(source) as run:
        end = time.monotonic() + 20
        while run.status().accounting.analysed < 60 and time.monotonic() < end:
            run.poll(0.01)
        status = run.status()
        assert status.accounting.analysed == 60, "all through before the first truth is known"
        assert not run.poll(0.05), "and the run waits for it at its end"
        assert 58 <= status.truth_behind <= 60
        time.sleep(0.3)
        go_on.set()
        run.wait()
    assert seqs(run) == list(range(60))
    assert run.status().seconds - status.seconds < 0.2, "the wait is not the line's time"


@pytest.mark.parametrize("level", ["none", "objects", "labels", "full"])
def test_the_setting_says_how_much(started: Any, level: str) -> None:
    with started(Truthful(4), truth=level) as run:
        run.wait()
    folder = run.folder / "truth"
    assert folder.exists() == run.records_truth == (level != "none")
    assert (folder / "01_GT").exists() == (level in {"labels", "full"})
    assert (folder / "pixels").exists() == (level == "full")


def test_a_source_that_knows_nothing_has_no_truth(started: Any) -> None:
    source = Truthful(2)
    source.truth = None  # type: ignore[method-assign,assignment]

    class Plain(BaseSource):
        frames = source.frames

    with started(Plain(source.info)) as run:
        run.wait()
    assert not run.records_truth
    assert not (run.folder / "truth").exists()


def broken_truth(source: Truthful, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(seq: int) -> None:
        if seq == 6:
            raise ZeroDivisionError("no such nucleus")

    source.before = fail


def full_disk(source: Truthful, monkeypatch: pytest.MonkeyPatch) -> None:
    real = tifffile.imwrite

    def imwrite(path: Path, *args: Any, **more: Any) -> Any:
        if "0003" in Path(path).name:
            raise OSError(28, "No space left on device")
        return real(path, *args, **more)

    monkeypatch.setattr(tifffile, "imwrite", imwrite)


@pytest.mark.parametrize(
    ("breaks", "words"), [(broken_truth, "no such nucleus"), (full_disk, "No space left")]
)
def test_what_goes_wrong_is_told_and_the_run_goes_on(
    started: Any, monkeypatch: pytest.MonkeyPatch, breaks: Any, words: str
) -> None:
    source = Truthful(20)
    breaks(source, monkeypatch)
    with started(source) as run:
        accounting = run.wait()
    assert run.error is None
    assert run.reader.record.state == "finished"
    assert (accounting.analysed, accounting.balanced) == (20, True)
    assert run.status().truth_behind == 0
    (warning,) = warned(run)
    assert "the truth is not written any further" in warning
    assert words in warning
    assert warning in run.status().warnings
    assert seqs(run) == list(range(6)), "what was written stays good"


def test_a_failure_after_the_last_commit_is_in_the_table_too(started: Any) -> None:
    source, go_on = Truthful(4), threading.Event()

    def fail(seq: int) -> None:
        go_on.wait(20)
        raise OSError(28, "No space left on device")

    source.before = fail
    with started(source) as run:
        while run.status().accounting.analysed < 4:
            run.poll(0.01)
        time.sleep(0.2)  # the committer has gone home
        go_on.set()
        run.wait()
    assert any("No space left" in text for text in warned(run))


def test_stopped_at_once_says_what_is_missing(started: Any) -> None:
    source, go_on = Truthful(30), threading.Event()
    source.before = lambda seq: go_on.wait(20)
    with started(source) as run:
        while run.status().accounting.analysed < 30:
            run.poll(0.01)
        run.abort("enough")
        go_on.set()
        run.wait()
    assert any(text.startswith("the truth of the last 29 frames") for text in warned(run))
    assert len(seqs(run)) < 30


def test_whoever_listens_gets_every_set_and_harms_nobody(started: Any) -> None:
    told: list[TrueSet] = []

    def bad(true: TrueSet) -> None:
        raise RuntimeError("listener")

    with started(Truthful(20), truth_subscribers=[bad, told.append]) as run:
        run.wait()
    assert [true.place.t for true in told] == list(range(10))
    assert all(true.labels is not None for true in told)
    assert len(seqs(run)) == 20
    (warning,) = warned(run)
    assert "listener" in warning


def test_the_same_run_goes_on_without_repeating_itself(started: Any) -> None:
    first = started(Truthful(9))
    first.wait()
    with started(Truthful(20), go_on=True) as run:
        run.wait()
    assert run.folder == first.folder
    assert sorted(seqs(run)) == list(range(20))
    with (run.folder / "truth" / "objects.csv").open(newline="") as file:
        keys = [(row["t"], row["label"]) for row in csv.DictReader(file)]
    assert sorted(keys) == sorted({(str(t), label) for t in range(10) for label in "12"})


# The live score.


def scored(started: Any, source: Truthful, **more: Any) -> LiveScore:
    score = LiveScore()
    with started(
        source, subscribers=[score.take], truth_subscribers=[score.take_truth], **more
    ) as run:
        run.wait()
    return score


def test_the_live_score_of_a_perfect_run(started: Any) -> None:
    score = scored(started, Truthful(20))
    assert score.summary() == {
        "truth_image_sets": 10,
        "truth_objects_mean": 2,
        "found_objects_mean": 2,
        "count_error_percent": 0,
        "f1_iou50": 1,
        "link_recall": 1,
    }
    assert score.sentence() == (
        "count error 0.0 % (2.0 of 2.0), F1 at IoU 0.5 1.000, links 100.0 %"
    )
    assert score.plain() == "truth: count_error=0.0% f1_iou50=1.000 link_recall=1.000 sets=10"


def test_a_score_that_falls_behind_lets_images_go_and_says_so(
    started: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dipstream.cli.live_score._MOST_BYTES", 3 * labels(0).nbytes)
    score = scored(started, Truthful(20))
    score.update()
    assert "F1 at IoU 0.5 1.000 of 3 sets" in score.sentence()
    assert score.summary()["truth_image_sets"] == 10, "the count needs no images"


def test_a_score_that_falls_far_behind_skips_sets_and_says_so(
    started: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dipstream.cli.live_score._MOST_WAITING", 4)
    score = scored(started, Truthful(20))
    score.update()
    assert score.sentence().endswith("; 4 of 10 image sets")


def test_an_update_has_a_budget(started: Any) -> None:
    score = scored(started, Truthful(20))
    score.update(0.0)
    assert score._tally.score().image_sets == 1


def test_a_wrong_count_is_seen(started: Any) -> None:
    source = Truthful(8)
    real = source.truth

    def another(seq: int) -> SourceTruth:
        there = real(seq)
        image = there.labels.copy()
        image[21:23, 0:3] = 3
        y_um, x_um = np.append(there.y_um, 11.0), np.append(there.x_um, 0.5)
        none = np.zeros(3, np.int64)
        return SourceTruth(image, np.array([1, 2, 3]), none, y_um, x_um, np.zeros(3))

    source.truth = another  # type: ignore[method-assign]
    score = scored(started, source)
    assert score.summary()["count_error_percent"] == pytest.approx(100 / 3, abs=1e-3)
    assert "F1 at IoU 0.5 0.800" in score.sentence()
    assert "links 66.7 %" in score.sentence()


def test_a_set_of_another_shape_is_counted_and_not_the_end(started: Any) -> None:
    source = Truthful(8)
    real = source.truth

    def another(seq: int) -> SourceTruth:
        there = real(seq)
        return replace(there, labels=there.labels[:-1]) if seq // 2 == 1 else there

    source.truth = another  # type: ignore[method-assign]
    score = scored(started, source)
    assert score.summary()["truth_image_sets"] == 3
    assert score.sentence().endswith("; 3 of 4 image sets, 1 not comparable")


def test_a_broken_recorder_leaves_no_yet_at_the_end(started: Any) -> None:
    source = Truthful(8)

    def fail(seq: int) -> None:
        raise OSError(28, "No space left on device")

    source.before = fail
    score = scored(started, source)
    score.update()
    assert score.sentence() == "no image set to compare with the truth yet"
    assert score.sentence(ended=True) == "no image set could be compared with the truth"


def test_without_a_tracker_there_is_no_share_of_links(started: Any, tmp_path: Path) -> None:
    path = tmp_path / "untracked.yaml"
    path.write_text(PIPELINE[: PIPELINE.index("track:")])
    score = LiveScore()
    with start(
        Truthful(8), path, workers=1, durability="normal",
        subscribers=[score.take], truth_subscribers=[score.take_truth],
    ) as run:  # fmt: skip
        run.wait()
    assert score.summary()["link_recall"] is None
    assert score.sentence().endswith("F1 at IoU 0.5 1.000, not tracked")
    assert score.plain() == "truth: count_error=0.0% f1_iou50=1.000 sets=4"


def test_what_waits_twice_at_one_place_is_weighed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dipstream.cli.live_score._MOST_BYTES", 2 * labels(0).nbytes)
    score = LiveScore()
    frames = [FramePlace(2 * t, "0", t, 0, "DAPI") for t in (0, 1, 1, 1)]
    for frame in frames:
        score.take_truth(TrueSet.of(frame, Truthful().truth(frame.seq), 0.5))
    first = score._true.take(SetPlace("0", 0, 0))
    assert first.labels is not None, "nothing had to make room"
