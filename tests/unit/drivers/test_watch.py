"""Watched folders, with a clock that the test turns."""

import os
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from dipstream.errors import ConfigError, SourceError
from dipstream.frame import BadFrame, Frame
from dipstream.source import ResumableSource, SeenFrame, Source
from dipstream_drivers import intake, scan
from dipstream_drivers.files import content_hash
from dipstream_drivers.ledger import Pending
from dipstream_drivers.survey import Survey
from dipstream_drivers.watch import open_watch

from .conftest import Watched, picture

Tiff = Callable[..., bytes]
Frames = list[Frame | BadFrame]


def keys(frames: Frames) -> list[tuple[object, ...]]:
    return [(name(f), f.info.t, f.info.version, isinstance(f, Frame)) for f in frames]


def name(frame: Frame | BadFrame) -> str:
    assert frame.info.origin is not None
    return Path(frame.info.origin.path).name


def seen(frames: Frames) -> list[SeenFrame]:
    return [
        SeenFrame(f.info.origin, f.info.position, f.info.t, f.info.version)
        for f in frames
        if f.info.origin is not None
    ]


def test_files_there_and_files_to_come(watched: Watched, tiff: Tiff) -> None:
    watched.write("b.tif", tiff(1))
    watched.write("a.tif", tiff(2))
    watched.write("x.txt", b"x")
    watched.at(5, lambda: watched.write("c.tif", tiff(3)))
    source = watched.open()
    assert isinstance(source, Source)
    assert isinstance(source, ResumableSource)
    assert source.info.channels == ()
    with source:
        frames = list(source.frames())
    assert keys(frames) == [("b.tif", 0, 1, True), ("a.tif", 1, 1, True), ("c.tif", 2, 1, True)]
    assert [int(frame.data[0, 0]) for frame in frames] == [2, 3, 4]
    info = replace(source.info, name="")
    assert (info.channels, info.shape, info.ignored) == (("ch0",), (12, 10), 1)
    assert not source.info.live
    assert not source.info.grouped
    assert source.info.replayable
    assert watched.events == []


def test_a_slow_copy_is_waited_for(watched: Watched, tiff: Tiff) -> None:
    whole = tiff()
    for number in range(1, 11):
        part = whole[: len(whole) * number // 10]
        watched.at(number * 0.9, partial(watched.write, "a.tif", part))
    (frame,) = watched.run()
    assert keys([frame]) == [("a.tif", 0, 1, True)]


def test_a_preallocated_file_is_not_read_while_it_is_written(watched: Watched, tiff: Tiff) -> None:
    whole = tiff()
    for number in range(8):
        part = whole[: 300 + number * 20].ljust(len(whole), b"\1")
        watched.at(number * 0.9, partial(watched.write, "a.tif", part))
    watched.at(7.2, lambda: watched.write("a.tif", whole))
    (frame,) = watched.run()
    assert frame.info.version == 1
    np.testing.assert_array_equal(frame.data, picture())


def test_renamed_into_place_and_moved_folders(watched: Watched, tiff: Tiff, tmp_path: Path) -> None:
    outside = tmp_path / "other"
    outside.mkdir()
    (outside / "y.tif").write_bytes(tiff())
    watched.write("a.tif.part", tiff())
    watched.at(3, lambda: (watched.folder / "a.tif.part").rename(watched.folder / "a.tif"))
    watched.at(6, lambda: shutil.move(outside, watched.folder / "sub"))
    watched.at(9, lambda: watched.write("sub/deep/z.tif", tiff()))
    frames = watched.run()
    assert [(f.info.position, name(f)) for f in frames] == [
        ("0", "a.tif"), ("sub", "y.tif"), ("sub/deep", "z.tif")]  # fmt: skip


def test_broken_files_are_given_up_and_tried_again(watched: Watched, tiff: Tiff) -> None:
    whole = tiff()
    times: list[float] = []
    watched.write("a.tif", whole[:-20])
    watched.at(1, lambda: watched.write("b.tif", tiff(1)))
    watched.at(10, lambda: watched.write("a.tif", whole))
    frames = []
    with watched.open() as source:
        for frame in source.frames():
            frames.append(frame)
            times.append(watched.now)
    assert keys(frames) == [("b.tif", 0, 1, True), ("a.tif", 1, 1, False), ("a.tif", 1, 2, True)]
    assert 4.0 <= times[1] <= 5.0
    assert isinstance(frames[1], BadFrame)
    assert "truncated" in frames[1].reason


def test_a_broken_file_that_is_only_touched_says_nothing_more(watched: Watched, tiff: Tiff) -> None:
    path = watched.write("a.tif", tiff()[:-20])
    watched.at(10, lambda: os.utime(path, ns=(99 * 10**9, 99 * 10**9)))
    assert keys(watched.run()) == [("a.tif", 0, 1, False)]


def test_a_file_that_grows_again_before_it_is_given_up(watched: Watched, tiff: Tiff) -> None:
    whole = tiff()
    watched.write("a.tif", whole[:100])
    watched.at(3.4, lambda: watched.write("a.tif", whole[:200]))
    watched.at(6.8, lambda: watched.write("a.tif", whole))
    assert keys(watched.run()) == [("a.tif", 0, 1, True)]


def test_good_planes_of_a_broken_stack(watched: Watched, tiff: Tiff) -> None:
    whole = tiff(planes=3, photometric="minisblack", metadata=None, compression="zlib")
    watched.write("a.tif", whole[:-10])
    watched.at(8, lambda: watched.write("b.tif", tiff()))
    frames = []
    with watched.open() as source:
        for frame in source.frames():
            frames.append(frame)
            assert watched.now >= 4.0
    assert keys(frames)[0] == ("a.tif", 0, 1, True)
    assert not isinstance(frames[-2], Frame)
    assert keys(frames)[-1] == ("b.tif", len(frames) - 1, 1, True)


def test_rewritten(watched: Watched, tiff: Tiff) -> None:
    watched.write("a.tif", tiff(1))
    watched.write("b.tif", tiff(2))
    watched.at(5, lambda: watched.write("a.tif", tiff(3)))
    watched.at(10, lambda: watched.write("a.tif", tiff(4)))
    frames = watched.run()
    assert keys(frames)[2:] == [("a.tif", 0, 2, True), ("a.tif", 0, 3, True)]
    assert [int(frame.data[0, 0]) for frame in frames] == [2, 3, 4, 5]


def test_touched_or_copied_over_with_the_same_bytes(watched: Watched, tiff: Tiff) -> None:
    watched.write("a.tif", tiff())
    watched.at(5, lambda: watched.write("a.tif", tiff()))
    assert len(watched.run()) == 1


def test_replaced_with_the_same_size_and_time(watched: Watched, tiff: Tiff) -> None:
    path = watched.write("a.tif", tiff(1))
    stat = path.stat()

    def swap() -> None:
        new = watched.folder / "new.part"
        new.write_bytes(tiff(2))
        os.utime(new, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        new.replace(path)

    watched.at(5, swap)
    frames = watched.run()
    assert keys(frames) == [("a.tif", 0, 1, True), ("a.tif", 0, 2, True)]


def test_rewritten_files_bring_their_set_again(watched: Watched, tiff: Tiff) -> None:
    for t in range(3):
        for c in "ab":
            watched.write(f"t{t}-{c}.tif", tiff(t))
    watched.at(5, lambda: watched.write("t1-a.tif", tiff(50)))
    watched.at(10, lambda: watched.write("t1-b.tif", tiff(60)))
    watched.at(15, lambda: watched.write("t1-c.tif", tiff(60)))
    frames = watched.run(pattern="t{t}-{c}.tif", channels="a,b,c")
    assert keys(frames[:6]) == [(f"t{t}-{c}.tif", t, 1, True) for t in range(3) for c in "ab"]
    assert keys(frames[6:]) == [
        ("t1-a.tif", 1, 2, True), ("t1-b.tif", 1, 2, True),
        ("t1-b.tif", 1, 3, True), ("t1-a.tif", 1, 3, True),
        ("t1-c.tif", 1, 3, True),
    ]  # fmt: skip
    assert int(frames[6].data[0, 0]) == 51


def test_both_files_of_a_set_rewritten_at_once(watched: Watched, tiff: Tiff) -> None:
    def write(value: int) -> None:
        for c in "ab":
            watched.write(f"t0-{c}.tif", tiff(value))

    write(1)
    watched.at(5, lambda: write(2))
    frames = watched.run(pattern="t{t}-{c}.tif", channels="a,b")
    assert [(f.info.channel, f.info.version) for f in frames] == [
        ("a", 1), ("b", 1), ("a", 2), ("b", 2)]  # fmt: skip


def test_order_of_what_is_ready_together(watched: Watched, tiff: Tiff) -> None:
    for t in (10, 9):
        for c in "ba":
            watched.write(f"t{t}-{c}.tif", tiff())
    watched.write("t9-x.tif", tiff())
    frames = watched.run(pattern="t{t}-{c}.tif", channels="b=B,a=A")
    assert [(f.info.t, f.info.channel) for f in frames] == [
        (9, "B"),
        (9, "A"),
        (10, "B"),
        (10, "A"),
    ]
    assert watched.source is not None
    assert watched.source.info.ignored == 1
    assert watched.source.info.channels == ("B", "A")


def test_a_folder_that_vanishes_and_returns(watched: Watched, tiff: Tiff, tmp_path: Path) -> None:
    away = tmp_path / "away"
    watched.write("a.tif", tiff(1))
    watched.at(5, lambda: watched.folder.rename(away))
    watched.at(10, lambda: away.rename(watched.folder))
    watched.at(12, lambda: watched.write("b.tif", tiff(2)))
    frames = watched.run()
    assert keys(frames) == [("a.tif", 0, 1, True), ("b.tif", 1, 1, True)]
    assert [event.kind for event in watched.events] == ["degraded", "recovered"]


def test_one_of_several_roots_vanishes(watched: Watched, tiff: Tiff, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    watched.at(1, lambda: shutil.rmtree(other))
    watched.at(3, lambda: watched.write("a.tif", tiff()))
    frames = watched.run(watched.folder, other)
    assert [(f.info.position, f.info.t) for f in frames] == [("in", 0)]
    assert [event.kind for event in watched.events] == ["degraded"]


def test_changed_while_it_is_read(
    watched: Watched, tiff: Tiff, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched.write("a.tif", tiff(1))
    real, calls = content_hash, []

    def hashed(path: str) -> str:
        digest = real(path)
        calls.append(path)
        if len(calls) == 1:
            watched.write("a.tif", tiff(2))
        return digest

    monkeypatch.setattr(intake, "content_hash", hashed)
    (frame,) = watched.run()
    assert keys([frame]) == [("a.tif", 0, 1, True)]
    assert int(frame.data[0, 0]) == 3
    assert frame.info.origin is not None
    assert frame.info.origin.content_hash == real(frame.info.origin.path)


def test_a_subfolder_that_is_deleted_is_nothing_to_report(
    watched: Watched, tiff: Tiff, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched.write("s/a.tif", tiff())
    real = os.scandir

    def scandir(path: str) -> Any:
        if str(path).endswith("s") and watched.now > 5:
            raise FileNotFoundError(2, "gone", path)
        return real(path)

    monkeypatch.setattr(scan, "os", SimpleNamespace(scandir=scandir, fspath=os.fspath))
    assert len(watched.run()) == 1
    assert watched.events == []


def test_deleted_before_it_was_ready(watched: Watched, tiff: Tiff) -> None:
    path = watched.write("a.tif", tiff()[:50])
    watched.at(2, path.unlink)
    assert watched.run() == []


def test_resume_adds_nothing(watched: Watched, tiff: Tiff) -> None:
    watched.write("s/a.tif", tiff(1, planes=3, photometric="minisblack"))
    watched.write("s/b.tif", tiff(2))
    watched.write("broken.tif", b"x")
    first = watched.run()
    assert len(first) == 5
    watched.end += 20
    assert watched.run(seen=seen(first)) == []


def test_resume_goes_on(watched: Watched, tiff: Tiff) -> None:
    watched.write("s/a.tif", tiff(1))
    watched.write("s/b.tif", tiff(2))
    watched.write("gone.tif", tiff(2))
    first = watched.run()
    (watched.folder / "gone.tif").unlink()
    watched.write("s/a.tif", tiff(3))
    watched.write("s/c.tif", tiff(4))
    watched.write("d.tif", tiff(4))
    watched.end += 20
    frames = watched.run(seen=seen(first))
    assert [(f.info.position, name(f), f.info.t, f.info.version) for f in frames] == [
        ("s", "a.tif", 0, 2), ("s", "c.tif", 2, 1), ("0", "d.tif", 1, 1)]  # fmt: skip
    watched.end += 20
    assert watched.run(seen=seen(first + frames)) == []


def test_resume_delivers_what_is_due_before_it_looks_through_the_folder(
    watched: Watched, tiff: Tiff, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n, called in enumerate(("a.tif", "b.tif", "c.tif", "d.tif")):
        watched.write(called, tiff(n))
    done, *due = seen(watched.run())
    watched.write("a.tif", tiff(7))
    watched.write("c.tif", tiff(8))  # it was due, but is no longer what it was
    (watched.folder / "d.tif").unlink()
    watched.write("e.tif", tiff(9))
    told: list[object] = []
    look = Survey.look

    def noted(survey: Survey, now: float, finished: set[str]) -> list[Pending]:
        told.append("look")
        return look(survey, now, finished)

    monkeypatch.setattr(Survey, "look", noted)
    watched.end += 20
    with watched.open(seen=[done, *(replace(one, finished=False) for one in due)]) as source:
        told.extend((name(one), one.info.t, one.info.version) for one in source.frames())
    assert told[:2] == [("b.tif", 1, 1), "look"]
    assert [one for one in told if one != "look"][1:] == [
        ("a.tif", 0, 2), ("c.tif", 2, 2), ("e.tif", 4, 1)]  # fmt: skip


@pytest.mark.parametrize("finished", [(), (1,)])
def test_resume_delivers_what_is_due_of_a_file_that_was_copied_meanwhile(
    watched: Watched, tiff: Tiff, finished: tuple[int, ...]
) -> None:
    content = tiff(1, planes=3, photometric="minisblack")
    watched.write("a.tif", content)
    book = [replace(one, finished=n in finished) for n, one in enumerate(seen(watched.run()))]
    (watched.folder / "a.tif").unlink()
    watched.write("a.tif", content)  # another inode, another time of change
    watched.end += 20
    frames = watched.run(seen=book)
    due = [n for n in range(3) if n not in finished]
    assert [(f.info.t, f.info.version) for f in frames] == [(n, 1) for n in due]


def test_resume_touched_with_the_same_bytes(watched: Watched, tiff: Tiff) -> None:
    watched.write("a.tif", tiff(1))
    first = watched.run()
    watched.write("a.tif", tiff(1))
    watched.end += 20
    assert watched.run(seen=seen(first)) == []


@pytest.mark.parametrize("known", [(0,), (2,), (0, 1), (1, 3)])
def test_resume_in_the_middle_of_a_stack(
    watched: Watched, tiff: Tiff, known: tuple[int, ...]
) -> None:
    watched.write("a.tif", tiff(5))
    watched.write("b.tif", tiff(1, planes=4, photometric="minisblack"))
    first = watched.run()
    book = seen([first[0], *(first[1 + number] for number in known)])
    watched.end += 20
    frames = watched.run(seen=book)
    missing = [number for number in range(4) if number not in known]
    assert [(f.info.t, f.info.origin and f.info.origin.plane) for f in frames] == [
        (1 + number, number) for number in missing
    ]
    assert [f.info.version for f in frames] == [1] * len(missing)
    watched.write("c.tif", tiff(9))
    watched.end += 20
    (last,) = watched.run(seen=book + seen(frames))
    assert last.info.t == 5


def test_resume_without_a_hash_takes_a_change_for_a_rewrite(watched: Watched, tiff: Tiff) -> None:
    watched.write("a.tif", tiff(1))
    (first,) = watched.run()
    assert first.info.origin is not None
    book = [SeenFrame(replace(first.info.origin, content_hash="", mtime_ns=1), "0", 0, 3)]
    watched.end += 20
    assert keys(watched.run(seen=book)) == [("a.tif", 0, 4, True)]


def test_inputs_are_not_touched(watched: Watched, tiff: Tiff) -> None:
    paths = [watched.write("a.tif", tiff()), watched.write("b.tif", b"x")]
    before = [(path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_mode) for path in paths]
    watched.run()
    assert before == [
        (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_mode) for path in paths
    ]


def test_a_burst_comes_once_each(watched: Watched, tiff: Tiff) -> None:
    content = tiff()
    for number in range(2000):
        (watched.folder / f"{number}.tif").write_bytes(content)
    frames = watched.run()
    assert set(Counter(map(name, frames)).values()) == {1}
    assert [f.info.t for f in frames] == list(range(2000))


def test_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="does not exist"):
        open_watch(str(tmp_path / "x"))
    with pytest.raises(SourceError, match="--channels 1=nuclei,2=reporter"):
        open_watch(str(tmp_path), pattern="{p}-{c}.tif")
    with pytest.raises(ConfigError, match="poll_s"):
        open_watch(str(tmp_path), poll_s=0.0)
    (tmp_path / "a.tif").write_bytes(b"")
    with pytest.raises(SourceError, match="is a file; only folders are watched"):
        open_watch(str(tmp_path / "a.tif"))
