"""What every source keeps to: replay, watch, the simulated camera."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from dipstream.frame import BadFrame, Frame
from dipstream.service import start
from dipstream.source import Source, SourceTruth, TruthfulSource
from dipstream.sources import open_source

FILES = 5
PIPELINE = """\
dipstream: 1
objects: {spots: {steps: [{threshold: {}}, {split: {method: none}}]}}
measure: [{intensity: {}}]
track: {spots: {lap: {}}}
"""


@dataclass(frozen=True)
class Kind:
    """A source that can be opened as often as the test wants."""

    open: Callable[[], Source]
    frames: int
    ends: bool = True


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "images"
    made.mkdir()
    for k in range(FILES):
        pixels = np.full((30, 40), 10, "uint16")
        pixels[5:12, 4 + 2 * k : 12 + 2 * k] = 200 + k
        tifffile.imwrite(made / f"img_{k}.tif", pixels)
    return made


@pytest.fixture(params=["replay", "watch", "sim"])
def kind(request: pytest.FixtureRequest, folder: Path) -> Kind:
    if request.param == "replay":
        return Kind(lambda: open_source(folder), FILES)
    if request.param == "watch":
        quick = {"poll_s": 0.05, "stable_polls": 1}
        return Kind(lambda: open_source(folder, driver="watch", **quick), FILES, ends=False)
    return Kind(lambda: open_source("sim:?n=3&width=64&height=48&frames=6&fps=0"), 6)


def taken(source: Source, kind: Kind) -> list[Frame]:
    """All frames; a source that never ends is stopped once all are seen."""
    found: list[Frame] = []
    for frame in source.frames():
        assert isinstance(frame, Frame)
        found.append(frame)
        if len(found) == kind.frames and not kind.ends:
            source.stop()
    return found


def test_it_is_a_source(kind: Kind) -> None:
    source = kind.open()
    assert isinstance(source, Source)
    with source as entered:
        assert entered is source


def test_what_is_known_before_stays_true(kind: Kind) -> None:
    with kind.open() as source:
        before = source.info
        assert before.name
        frames = taken(source, kind)
        after = source.info
    assert len(frames) == kind.frames
    assert before.frames in {None, kind.frames}
    for name in ("shape", "dtype", "pixel_um", "bit_depth"):
        assert getattr(before, name) in {None, getattr(after, name)}
    assert set(before.channels) <= set(after.channels)
    assert (before.live, before.grouped, before.replayable) == (
        *(after.live, after.grouped, after.replayable),
    )
    segment = frames[0].info.segment
    assert after.shape == segment.shape
    assert after.dtype == segment.dtype
    assert after.pixel_um == segment.pixel_um


def test_frames_are_as_their_info_says(kind: Kind) -> None:
    now = time.time_ns()
    with kind.open() as source:
        frames = taken(source, kind)
        channels = source.info.channels
    for frame in frames:
        assert frame.data.ndim == 2
        assert frame.data.shape == frame.info.segment.shape
        assert str(frame.data.dtype) == frame.info.segment.dtype
        assert frame.info.channel in channels
        with pytest.raises(ValueError, match="read-only"):
            frame.data[0, 0] = 1
        assert now <= frame.info.received_ns <= time.time_ns()
        assert frame.info.received_monotonic_ns > 0
        if frame.info.exposed_ns is not None:
            assert frame.info.time_source != "unknown"
        if frame.info.origin is not None:
            assert Path(frame.info.origin.path).is_file()
    arrivals = [frame.info.received_monotonic_ns for frame in frames]
    assert arrivals == sorted(arrivals)
    keys = [(f.info.t, f.info.position, f.info.channel, f.info.z) for f in frames]
    assert len(set(keys)) == len(keys), "every place in the acquisition is taken once"
    seqs = [frame.info.seq for frame in frames]
    assert all(seq is None for seq in seqs) or seqs == list(range(seqs[0], seqs[0] + len(seqs)))  # type: ignore[arg-type,operator]


def test_frames_stay_as_they_were_when_the_next_one_comes(kind: Kind) -> None:
    with kind.open() as source:
        copies = []
        frames = []
        for frame in source.frames():
            frames.append(frame.data)
            copies.append(frame.data.copy())
            if len(frames) == kind.frames:
                source.stop()
    for kept, copy in zip(frames, copies, strict=True):
        np.testing.assert_array_equal(kept, copy)


def test_a_replayable_source_gives_the_same_again(kind: Kind) -> None:
    rounds = []
    for _ in range(2):
        with kind.open() as source:
            assert source.info.replayable
            rounds.append(taken(source, kind))
    for one, two in zip(*rounds, strict=True):
        np.testing.assert_array_equal(one.data, two.data)
        for name in (
            "segment",
            "channel",
            "seq",
            "t",
            "position",
            "z",
            "index",
            "origin",
            "version",
        ):
            assert getattr(one.info, name) == getattr(two.info, name)


def test_stop_from_another_thread_ends_soon(kind: Kind) -> None:
    source = kind.open()
    with source:
        frames = source.frames()
        next(frames)
        rest: list[Any] = []

        def take() -> None:
            rest.extend(frames)

        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        began = time.monotonic()
        source.stop()
        source.stop()
        thread.join(1)
        assert not thread.is_alive()
        assert time.monotonic() - began < 1
        assert len(rest) < kind.frames


def test_stopped_before_it_began(kind: Kind) -> None:
    with kind.open() as source:
        source.stop()
        began = time.monotonic()
        assert len(list(source.frames())) <= 1
        assert time.monotonic() - began < 1


def test_it_can_be_closed_twice(kind: Kind) -> None:
    source = kind.open()
    with source:
        next(iter(source.frames()))
    source.__exit__(None, None, None)
    source.stop()
    unused = kind.open()
    unused.__exit__(None, None, None)


def test_frames_after_the_end(kind: Kind) -> None:
    """Nothing, or the same from the beginning; never something between."""
    with kind.open() as source:
        first = taken(source, kind)
        if not kind.ends:
            assert list(source.frames()) == []
            return
        second = [frame for frame in source.frames() if isinstance(frame, Frame)]
    assert [f.info.t for f in second] in ([], [f.info.t for f in first])
    for one, two in zip(first, second, strict=False):
        np.testing.assert_array_equal(one.data, two.data)


def test_a_run_of_it_adds_up(kind: Kind, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(PIPELINE)
    with start(
        kind.open(), tmp_path / "p.yaml", workers=2, durability="normal", policy="block"
    ) as run:
        while run.status().accounting.analysed < kind.frames and not run.poll(0.01):
            pass
        if not kind.ends:
            run.stop()
        assert run.poll(20)
        accounting = run.wait()
    assert accounting.balanced, accounting.problems
    assert accounting.received == accounting.analysed == kind.frames
    assert sum(n for k, n in accounting.frames().items() if k != "received") == kind.frames
    frames = run.frames()
    assert frames["state"].eq("analysed").all()
    assert frames["content_hash"].str.len().eq(16).all()
    assert run.reader.record.state == ("finished" if kind.ends else "stopped")


def test_a_source_that_knows_the_truth_tells_all_of_it(kind: Kind) -> None:
    with kind.open() as source:
        if not isinstance(source, TruthfulSource):
            pytest.skip("it does not know what is really there")
        frames = taken(source, kind)
        for frame in frames:
            assert frame.info.seq is not None
            there = source.truth(frame.info.seq)
            assert there.labels.shape == frame.data.shape
            assert there.labels.dtype == np.int32
            assert set(np.unique(there.labels)) - {0} == set(range(1, there.count + 1))
            for name in ("track_ids", "parent_ids", "y_um", "x_um", "z_um"):
                assert getattr(there, name).shape == (there.count,)
            assert len(set(there.track_ids.tolist())) == there.count
            assert (there.track_ids > 0).all()
            if there.pixels is not None:
                pixels = there.pixels()
                for image in (pixels.photons, pixels.electrons, pixels.saturated):
                    assert image.shape == frame.data.shape
                assert pixels.photons.dtype.name == pixels.electrons.dtype.name == "float32"
                assert pixels.saturated.dtype.name == "bool"


def test_the_truth_may_be_asked_in_any_order_and_from_any_thread(kind: Kind) -> None:
    with kind.open() as source:
        if not isinstance(source, TruthfulSource):
            pytest.skip("it does not know what is really there")
        asked: dict[int, SourceTruth] = {}

        def ask() -> None:
            for seq in (4, 0, 5, 2):
                asked[seq] = source.truth(seq)

        thread = threading.Thread(target=ask, daemon=True)
        thread.start()
        frames = taken(source, kind)
        thread.join(20)
        for frame in frames:
            seq = frame.info.seq
            assert seq is not None
            there = source.truth(seq)
            if seq in asked:
                np.testing.assert_array_equal(there.labels, asked[seq].labels)
                np.testing.assert_array_equal(there.y_um, asked[seq].y_um)


def test_a_broken_file_becomes_a_bad_frame(folder: Path) -> None:
    whole = (folder / "img_2.tif").read_bytes()
    (folder / "img_2.tif").write_bytes(whole[: len(whole) // 2])
    with open_source(folder) as source:
        found = list(source.frames())
    bad = [item for item in found if isinstance(item, BadFrame)]
    assert len(found) == FILES
    assert len(bad) == 1
    assert bad[0].info.t == 2, "the others keep their places"
    assert bad[0].reason
