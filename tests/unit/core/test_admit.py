from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dipstream.frame import BadFrame, Frame, FrameInfo, Segment
from dipstream.run.admit import Admission, Admitted, Gap

SEGMENT = Segment(shape=(2, 3), dtype="float32", pixel_um=0.5)


def frame(
    seq: int | None = None, fill: float = 1, segment: Segment = SEGMENT, position: str = "0"
) -> Frame:
    pixels = np.full(segment.shape, fill, segment.dtype)
    return Frame(pixels, FrameInfo(segment, "DAPI", seq=seq, position=position))


def bad(seq: int | None = None) -> BadFrame:
    return BadFrame(FrameInfo(Segment.unread(), "DAPI", seq=seq), "broken")


def admit(items: list[Any], on_change: Any = "quarantine", **more: Any) -> list[Admitted]:
    admission = Admission(on_change, **more)
    return [admission.admit(item) for item in items]


def test_frames_are_numbered_in_order_of_arrival() -> None:
    found = admit([frame(), bad(), frame(fill=np.nan), frame()], first_frame_id=5)
    assert [one.frame_id for one in found] == [5, 6, 7, 8]
    assert [one.segment for one in found] == [0, None, None, 0]
    assert [one.opened is not None for one in found] == [True, False, False, False]


def test_gaps_are_what_the_counter_skipped() -> None:
    found = admit([frame(seq) for seq in (10, 11, 15, 16, 18)])
    assert [one.gap for one in found] == [None, None, Gap(0, 12, 3), None, Gap(0, 17, 1)]


def test_no_counter_no_gaps() -> None:
    admission = Admission("quarantine")
    assert all(admission.admit(frame()).gap is None for _ in range(3))
    assert admission.sequences == {}, "unknown, never zero"


def test_a_counter_that_starts_again_opens_a_segment() -> None:
    admission = Admission("quarantine")
    found = [admission.admit(frame(seq)) for seq in (0, 1, 2, 0, 1, 1)]
    assert [one.segment for one in found] == [0, 0, 0, 1, 1, 2]
    assert [one.gap for one in found] == [None] * 6
    assert all(count.balanced for count in admission.sequences.values())
    assert [count.received for count in admission.sequences.values()] == [3, 2, 1]


@pytest.mark.parametrize("first", [frame(fill=np.nan), frame(fill=np.inf), bad()])
def test_a_refused_first_frame_does_not_decide_the_segment(first: Frame | BadFrame) -> None:
    other = replace(SEGMENT, pixel_um=9.0)
    if isinstance(first, Frame):
        first = frame(fill=float(first.data[0, 0]), segment=other)
    found = admit([first, frame(), frame()])
    assert [bool(one.reason) for one in found] == [True, False, False]
    assert found[1].opened == SEGMENT
    assert found[0].segment is None


CHANGES = {
    "shape": ({"shape": (3, 3)}, "shape (y, x) (3, 3) instead of (2, 3)"),
    "type": ({"dtype": "float64"}, "dtype float64 instead of float32"),
    "pixel size": ({"pixel_um": 0.25}, "pixel size (µm) 0.25 instead of 0.5"),
    "binning": ({"binning": 2}, "binning 2 instead of 1"),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_change_is_quarantined_or_a_segment_of_its_own(case: str) -> None:
    changes, words = CHANGES[case]
    items = [frame(), frame(segment=replace(SEGMENT, **changes)), frame()]  # type: ignore[arg-type]
    refused = admit(items)
    assert [one.segment for one in refused] == [0, 0, 0]
    assert words in refused[1].reason
    assert "--on-change segment" in refused[1].reason
    assert [one.reason for one in (refused[0], refused[2])] == ["", ""]
    taken = admit(items, "segment")
    assert [one.segment for one in taken] == [0, 1, 0], "the first one goes on"
    assert [one.reason for one in taken] == ["", "", ""]


def test_with_a_counter_every_change_is_a_new_segment() -> None:
    other = replace(SEGMENT, binning=2)
    found = admit([frame(0), frame(1, segment=other), frame(2)], "segment")
    assert [one.segment for one in found] == [0, 1, 2]


def test_a_driver_that_announces_one_shape_and_delivers_another() -> None:
    lying = Frame(np.zeros((4, 4), "float32"), FrameInfo(SEGMENT, "DAPI"))
    (found,) = admit([lying])
    assert "announced (2, 3) float32 but delivered (4, 4) float32" in found.reason


def test_a_run_that_goes_on_starts_a_segment_if_the_device_counts() -> None:
    known = {0: SEGMENT, 1: SEGMENT}
    assert [one.segment for one in admit([frame(50), frame(51)], segments=known)] == [2, 2]
    assert admit([frame()], segments=known, places={"0": 1})[0].segment == 1
    assert admit([frame()], segments=known)[0].segment == 0, "an equal one serves"


@pytest.mark.parametrize("first", [bad(0), bad(), frame(0, np.nan)])
def test_also_if_the_first_frame_after_the_pause_is_refused(first: Frame | BadFrame) -> None:
    found = admit([first, frame(1)], segments={0: SEGMENT})
    assert found[1].segment == 1


def test_a_refused_frame_that_restarts_the_counter_makes_no_negative_gap() -> None:
    admission = Admission("quarantine")
    found = [admission.admit(item) for item in (frame(8), frame(9), bad(0), frame(1))]
    assert [one.gap for one in found] == [None] * 4
    assert found[3].segment == 1
    assert all(count.gap >= 0 for count in admission.sequences.values())


items = st.lists(
    st.tuples(st.integers(0, 12), st.sampled_from(["good", "bad", "nan", "changed"])), max_size=30
)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(items, st.sampled_from(["quarantine", "segment"]))
def test_the_equation_of_the_counter_always_holds(
    script: list[tuple[int, str]], on_change: str
) -> None:
    makers = {
        "good": frame,
        "bad": bad,
        "nan": lambda seq: frame(seq, np.nan),
        "changed": lambda seq: frame(seq, segment=replace(SEGMENT, binning=2)),
    }
    admission = Admission(on_change)  # type: ignore[arg-type]
    found = [admission.admit(makers[kind](seq)) for seq, kind in script]  # type: ignore[operator]
    assert admission.received == len(script)
    assert [one.frame_id for one in found] == list(range(len(script)))
    for number, count in admission.sequences.items():
        assert count.last - count.first + 1 == count.received + count.gap
        assert count.gap == sum(o.gap.n for o in found if o.gap and o.gap.segment == number)
    assert all(one.gap.n > 0 for one in found if one.gap)
    for one, (_, kind) in zip(found, script, strict=True):
        assert bool(one.reason) >= (kind in {"bad", "nan"})
        assert one.reason == "" or kind != "good" or on_change == "quarantine"


def test_each_position_of_files_has_a_segment_of_its_own() -> None:
    other = replace(SEGMENT, shape=(5, 7))
    items = [
        frame(),
        frame(segment=other, position="B"),
        frame(),
        frame(position="B"),
        frame(position="C"),
        frame(segment=other, position="B"),
    ]
    found = admit(items)
    assert [one.segment for one in found] == [0, 1, 0, 1, 0, 1]
    assert ["shape" in one.reason for one in found] == [False, False, False, True, False, False]
