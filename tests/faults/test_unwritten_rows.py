"""Image sets on the disk whose rows a crash has taken: the frames are booked and analysed."""

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dipstream.errors import StoreError
from dipstream.frame import Frame, FrameInfo, ImageSet, Origin, Segment, SetKey
from dipstream.run import Accounting
from dipstream.run.taking_up import waiting_sets
from dipstream.service import LiveRun, resume
from dipstream.spill import Spill
from dipstream.store import RunFolder, RunLock, RunWriter, frame_row, verify_run
from dipstream.store.connection import Connection

SHAPE = (24, 30)
CHANGED = Segment(SHAPE, "uint16", camera="another")


def spill_set(spill: Spill, number: int, seq: int, segment: Segment, **about: Any) -> None:
    index = 0 if segment != CHANGED else 1
    info = FrameInfo(
        segment, "DAPI", seq=seq, t=seq, received_ns=about.get("received_ns", 10**19 // 2 + number)
    )
    frame = Frame(np.full(SHAPE, 100, "uint16"), info)
    key = SetKey(index, "0", seq, 0)
    assert spill.write(ImageSet(number, key, (frame,), (number,), ("DAPI",))) is not None


def test_they_are_booked_and_analysed(
    run: Callable[..., LiveRun], make_frame: Any, scripted: Any,
    to_end: Callable[[LiveRun], Accounting],
) -> None:  # fmt: skip
    live = run([make_frame(t, seq=t) for t in range(3)], live=True, replayable=False)
    to_end(live)
    folder = RunFolder(live.folder)
    segment = make_frame().info.segment
    spill = Spill(folder.spill, 10**9, sync=False)
    spill_set(spill, 6, 9, segment, received_ns=1)  # of a still earlier crash
    spill_set(spill, 3, 4, segment)
    spill_set(spill, 4, 5, segment)
    spill_set(spill, 5, 7, CHANGED)
    spill_set(spill, 8, 11, CHANGED)  # 7 is lost: what it was nobody knows
    spill.close()
    folder.update(state="running")
    again = resume(folder.path, source=scripted([], replayable=False, live=True))
    assert to_end(again).problems == ()
    frames = again.frames()
    assert frames["frame_id"].tolist() == list(range(6))
    assert frames["state"].tolist() == ["analysed"] * 6
    assert frames["seq"].tolist() == [0, 1, 2, 4, 5, 7]
    assert frames["segment"].tolist() == [0, 0, 0, 0, 0, 1]
    with Connection(folder.table, read_only=True) as table:
        gaps = table.execute("SELECT segment, first_seq, n FROM events WHERE kind = 'gap'")
    assert gaps == [(0, 3, 1)], "a counter that begins a segment has no gap before it"
    found = verify_run(folder, deep=True)
    assert found.findings == ()
    assert not folder.spill.exists()


def test_what_comes_again_is_not_booked(tmp_path: Path, make_frame: Any, scripted: Any) -> None:
    class Again(scripted):  # type: ignore[misc]
        def resume(self, seen: Any) -> None:
            raise AssertionError

    writer = RunWriter(tmp_path / "table.db")
    segment = make_frame().info.segment
    with writer.transaction():
        writer.add_segment(0, segment)
        info = FrameInfo(segment, "DAPI", seq=0, received_ns=5)
        writer.add_frames([frame_row(0, 0, info, "pending", "", "")])
    spill = Spill(tmp_path / "spill", 10**9, sync=False)
    spill_set(spill, 1, 1, segment)
    assert waiting_sets(writer, spill, Again([]), 0) == ([], [])
    assert writer.next_numbers()[0] == 1
    writer.close()
    spill.close()


@pytest.mark.parametrize(
    "where",
    ["RunWriter.add_frames", "RunWriter.unfinished_frames", "RunWriter.start_checkpointer",
     "RunFolder.update", "the state"],
)  # fmt: skip
def test_a_resume_that_fails_on_its_way_can_be_tried_again(
    where: str, run: Callable[..., LiveRun], make_frame: Any, scripted: Any,
    to_end: Callable[[LiveRun], Accounting],
) -> None:  # fmt: skip
    live = run([make_frame(t, seq=t) for t in range(3)], live=True, replayable=False)
    to_end(live)
    folder = RunFolder(live.folder)
    spill = Spill(folder.spill, 10**9, sync=False)
    for number in (3, 4):
        spill_set(spill, number, number, make_frame().info.segment)
    spill.close()
    folder.update(state="failed", reason="the power went")

    def fail(*_: Any, **__: Any) -> None:
        raise StoreError("the disk is gone")

    def camera() -> Any:
        return scripted([make_frame(9, seq=9)], replayable=False, live=True)

    def update(folder: RunFolder, **changes: Any) -> None:
        if "state" in changes:
            fail()
        RunFolder.write(folder, replace(folder.read(), **changes))

    with pytest.MonkeyPatch.context() as patch:
        if where == "the state":
            patch.setattr(RunFolder, "update", update)
        else:
            patch.setattr(f"dipstream.store.{where}", fail)
        with pytest.raises(StoreError, match="the disk is gone"):
            resume(folder.path, source=camera())
    assert folder.read().state == "failed"
    assert not RunLock(folder.path).taken, "who failed has let go of it"
    assert "checkpointer" not in {thread.name for thread in threading.enumerate()}
    again = resume(folder.path, source=camera())
    assert to_end(again).problems == ()
    assert again.frames()["state"].tolist() == ["analysed"] * 6
    assert verify_run(folder).findings == ()


def test_pixels_on_the_disk_serve_if_their_file_is_gone(
    run: Callable[..., LiveRun], make_frame: Any, scripted: Any, tmp_path: Path,
    to_end: Callable[[LiveRun], Accounting],
) -> None:  # fmt: skip
    class Again(scripted):  # type: ignore[misc]
        seen: list[Any]

        def resume(self, seen: Any) -> None:
            self.seen = [one for one in seen if not one.finished]

    live = run(Again([]))
    to_end(live)
    folder = RunFolder(live.folder)
    segment = make_frame().info.segment
    spill = Spill(folder.spill, 10**9, sync=False)
    writer = RunWriter(folder.table)
    with writer.transaction():
        writer.add_segment(0, segment)
        for number in range(2):
            path = tmp_path / f"{number}.tif"
            path.write_bytes(b"x")
            stat = path.stat()
            origin = Origin(str(path), 0, stat.st_size, stat.st_mtime_ns, stat.st_ino, "a", 1)
            info = FrameInfo(segment, "DAPI", t=number, received_ns=7, origin=origin)
            writer.add_frames([frame_row(number, 0, info, "pending", "", "")])
            frame = Frame(np.full(SHAPE, 100, "uint16"), info)
            key = SetKey(0, "0", number, 0)
            assert spill.write(ImageSet(number, key, (frame,), (number,), ("DAPI",)))
    writer.close()
    spill.close()
    folder.update(state="running")
    (tmp_path / "0.tif").unlink()
    source = Again([make_frame(1, origin=replace(origin))])
    again = resume(folder.path, source=source)
    assert to_end(again).problems == ()
    assert [one.t for one in source.seen] == [1], "the other one it delivers"
    assert again.frames()["state"].tolist() == ["analysed"] * 2
    assert verify_run(folder).findings == ()
