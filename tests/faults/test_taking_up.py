"""What the counter and the refused frames of an earlier session mean for the next one."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest

from dipstream.frame import FrameInfo, Segment
from dipstream.run import Accounting
from dipstream.service import LiveRun, resume, start
from dipstream.source import SeenFrame
from dipstream.store import RunFolder, RunWriter, frame_row, verify_run
from dipstream.store.connection import Connection


@pytest.fixture
def again(scripted: Any) -> type[Any]:
    class Again(scripted):  # type: ignore[misc]
        script: list[Any]

        def resume(self, seen: Iterable[SeenFrame]) -> None:
            done = {one.seq for one in seen if one.finished}
            self.script = [item for item in self.script if item.info.seq not in done]

    return Again


@pytest.fixture
def killed(run: Callable[..., LiveRun], again: Any, to_end: Any) -> Callable[..., RunFolder]:
    """A run whose book has these frames, and whose process was killed."""

    def made(channels: tuple[str, ...], rows: list[tuple[FrameInfo, str]]) -> RunFolder:
        live = run(again([], channels=channels))
        to_end(live)
        folder = RunFolder(live.folder)
        writer = RunWriter(folder.table)
        with writer.transaction():
            writer.add_segment(0, rows[0][0].segment)
            writer.add_frames(
                [
                    frame_row(i, 0 if state == "pending" else None, info, state, reason, "")
                    for i, (info, state) in enumerate(rows)
                    for reason in ["" if state == "pending" else "broken"]
                ]
            )
        writer.close()
        folder.update(state="running")
        return folder

    return made


def test_the_counter_goes_on_where_it_was(
    killed: Any, again: Any, make_frame: Any, to_end: Callable[[LiveRun], Accounting]
) -> None:
    frames = [make_frame(seq, seq=seq) for seq in (3, 4, 5, 8)]
    broken = replace(frames[2].info, segment=Segment.unread())
    rows = [(frames[0].info, "pending"), (frames[1].info, "pending"), (broken, "quarantined")]
    folder = killed(("DAPI",), rows)
    live = resume(folder.path, source=again(frames))
    accounting = to_end(live)
    assert accounting.problems == ()
    assert accounting.gap == 2
    assert live.frames()["frame_id"].tolist() == list(range(4))
    assert set(live.frames()["segment"].dropna()) == {0}, "it did not begin anew"
    with Connection(folder.table, read_only=True) as table:
        gaps = table.execute("SELECT first_seq, n FROM events WHERE kind = 'gap'")
    assert gaps == [(6, 2)], "between the two sessions"
    assert verify_run(folder).findings == ()


def test_a_late_frame_takes_no_number_of_a_set_in_the_next_session_either(
    scripted: Any, make_frame: Any, plan: Any, to_end: Callable[[LiveRun], Accounting]
) -> None:
    channels = ("DAPI", "GFP")
    frames = [make_frame(t, channel) for t in range(5) for channel in channels]
    in_order = [*frames[:6], *frames[2:4], *frames[6:]]

    def ended(*parts: list[Any]) -> LiveRun:
        for number, part in enumerate(parts):
            source = scripted(part, channels=channels)
            live = start(source, plan(), go_on=number > 0, durability="normal")
            to_end(live)
        return live

    undisturbed = ended(in_order)
    went_on = ended(in_order[:6], in_order[6:])
    assert went_on.run_id != undisturbed.run_id
    for live in (undisturbed, went_on):
        assert live.reader.image_sets()["set_id"].tolist() == list(range(5))
        assert live.frames()["state"].tolist() == ["analysed"] * 6 + ["late"] * 2 + ["analysed"] * 4


def test_a_frame_that_is_tried_again_is_not_late(
    killed: Any, again: Any, make_frame: Any, to_end: Callable[[LiveRun], Accounting]
) -> None:
    frame = make_frame(0, seq=0)
    folder = killed(("DAPI",), [(frame.info, "pending")])
    first = resume(folder.path, source=again([frame]))
    assert to_end(first).analysed == 1
    with Connection(folder.table) as table:
        table.execute("UPDATE image_sets SET state = 'quarantined'")
        table.execute("UPDATE frames SET state = 'pending', reason = 'its step failed'")
    folder.update(state="running")
    second = resume(folder.path, source=again([frame]))
    assert to_end(second).analysed == 1
    assert second.reader.image_sets()["content_version"].tolist() == [2]


def test_a_set_does_not_wait_for_a_frame_that_was_refused_before(
    killed: Any, again: Any, make_frame: Any, to_end: Callable[[LiveRun], Accounting]
) -> None:
    channels = ("DAPI", "GFP")
    frames = [make_frame(i // 2, channels[i % 2], seq=i) for i in range(4)]
    broken = replace(frames[1].info, segment=Segment.unread())
    folder = killed(channels, [(frames[0].info, "pending"), (broken, "quarantined")])
    live = resume(folder.path, source=again(frames, channels=channels))
    assert to_end(live).problems == ()
    sets = live.reader.image_sets()
    assert sets["t"].tolist() == [0, 1], "in the order of a run that nobody has disturbed"
    assert sets["partial"].tolist() == [1, 0]
    assert live.frames()["state"].tolist() == ["analysed", "quarantined", "analysed", "analysed"]
