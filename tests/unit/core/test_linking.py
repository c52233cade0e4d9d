"""The linker: one numbering for the run, one memory for each type of object and place."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest

from dipstream.errors import StepError
from dipstream.frame import Frame, ImageSet, SetKey
from dipstream.pipeline import Analysis, Pipeline, StateCell
from dipstream.pipeline.keys import KEY_COLUMNS
from dipstream.run.linking import Linked, Linker
from dipstream.steps import Links, Objects, State, TrackEvent, TrackEvents
from dipstream.steps.track.lap import lap
from dipstream.table import RowBatch, Schema

KEYS = Schema(KEY_COLUMNS)
Tracker = Callable[[State | None, Objects], tuple[State, Any]]


class Tracking:
    """The part of a pipeline that a linker uses."""

    def __init__(self, tracker: Tracker = lap, kinds: tuple[str, ...] = ("nuclei",)) -> None:
        self.track = dict.fromkeys(kinds, tracker)

    def link(
        self, kind: str, state: State | None, rows: RowBatch, image_set: ImageSet, free: int
    ) -> tuple[State, Links]:
        y, x = rows.column("y_px"), rows.column("x_px")
        t = image_set.key.t
        return self.track[kind](state, Objects(t, t, y, x, rows.values, None, free))


@pytest.fixture
def link(make_frame: Callable[..., Frame]) -> Callable[..., Linked]:
    def linked(
        linker: Linker,
        t: int,
        *x: float,
        tracking: Tracking | None = None,
        place: str = "0",
        segment: int = 0,
    ) -> Linked:
        columns = {"y_px": np.zeros(len(x)), "x_px": np.array(x, float)}
        rows = RowBatch(KEYS, columns | {"label": np.arange(1, len(x) + 1)})
        frame = make_frame(t=t)
        image_set = ImageSet(t, SetKey(segment, place, t, 0), (frame,), (t,), ("DAPI",))
        pipeline = tracking or Tracking()
        done = Analysis(image_set, tables=dict.fromkeys(pipeline.track, rows))
        return linker.link(cast("Pipeline", pipeline), done)

    return linked


def events(linked: Linked, kind: str = "nuclei") -> list[tuple[str, int]]:
    return [(one.kind, one.track_id) for one in linked.events[kind]]


def test_places_and_types_share_one_numbering(link: Callable[..., Linked]) -> None:
    linker = Linker({}, dict, {}, next_track_id=5)
    both = Tracking(kinds=("nuclei", "rings"))
    first = link(linker, 0, 10, 90, tracking=both)
    assert first.track_ids["nuclei"].tolist() == [5, 6]
    assert first.track_ids["rings"].tolist() == [7, 8]
    assert link(linker, 0, 10, place="b", tracking=both).track_ids["nuclei"].tolist() == [9]
    second = link(linker, 1, 90, 10, 50, tracking=both)
    assert second.track_ids["nuclei"].tolist() == [6, 5, 11]
    assert second.track_ids["rings"].tolist() == [8, 7, 12]


def test_what_lives_ends_where_a_segment_does(link: Callable[..., Linked]) -> None:
    linker = Linker({}, dict, {}, next_track_id=1)
    link(linker, 0, 10, 50, 90)
    link(linker, 1, 10, 90)  # 2 is missed
    link(linker, 2, 10, 90)  # and given up
    link(linker, 3, 10, 90, 70, place="elsewhere")
    new = link(linker, 3, 10, segment=1)
    assert events(new) == [("end", 1), ("end", 3), ("start", 7)]
    assert events(link(linker, 4, 11, segment=1)) == [("link", 7)]
    assert events(link(linker, 5, segment=2)) == [("end", 7)]


def test_a_run_goes_on_where_an_earlier_session_left_off(link: Callable[..., Linked]) -> None:
    first = Linker({}, dict, {}, next_track_id=1)
    left = link(first, 3, 10, 50)
    cells = {at: StateCell(state, 0) for at, state in left.states.items()}
    live = {("nuclei", "0"): np.array([1, 2])}
    again = Linker(cells, lambda: live, {"0": 3}, next_track_id=3)
    assert link(again, 3, 10).events == {}, "late sets are not tracked"
    assert events(link(again, 4, 50, 10)) == [("link", 2), ("link", 1)]
    again = Linker(cells, lambda: live, {"0": 3}, next_track_id=3)
    assert events(link(again, 4, 10, segment=1)) == [("end", 1), ("end", 2), ("start", 3)]


def test_a_tracker_that_raises_changes_nothing(link: Callable[..., Linked]) -> None:
    linker = Linker({}, dict, {}, next_track_id=1)
    link(linker, 0, 10)

    def fails(state: State | None, objects: Objects) -> tuple[State, Links]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        link(linker, 1, 10, 50, tracking=Tracking(fails))
    assert events(link(linker, 1, 10, 50)) == [("link", 1), ("start", 2)]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Links(np.array([1]), cast("TrackEvents", (TrackEvent("start", 1, 1),))), "TrackEvents.of"),
        (Links(np.array([1, 2]), TrackEvents.of([])), "answered for 2 objects; there are 1"),
        (Links(np.array([[1, 2]]), TrackEvents.of([])), "int64 of 2 axes; give one integer"),
        (Links(cast("Any", np.array([1.5])), TrackEvents.of([])), "float64 of 1 axes"),
    ],
)
def test_a_plug_in_hears_what_is_wrong_with_its_answer(
    link: Callable[..., Linked], answer: Links, words: str
) -> None:
    linker = Linker({}, dict, {}, next_track_id=1)
    with pytest.raises(StepError, match=words):
        link(linker, 0, 10, tracking=Tracking(lambda state, objects: ({}, answer)))


def test_a_state_that_cannot_be_kept_is_refused(link: Callable[..., Linked]) -> None:
    linker = Linker({}, dict, {}, next_track_id=1)
    answer = {"all": np.array([None])}, Links(np.array([1]), TrackEvents.of([]))
    with pytest.raises(StepError, match="holds objects, which are not kept"):
        link(linker, 0, 10, tracking=Tracking(lambda state, objects: answer))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"kind": np.array([5], np.int8)}, "kind goes beyond 0 to 4"),
        ({"kind": np.array([-1], np.int8)}, "kind goes beyond 0 to 4"),
        ({"track_id": np.array([1.5])}, "column track_id is float64 of 1 axes"),
        ({"label": np.array([[1]])}, "column label is int64 of 2 axes"),
        ({"distance_px": np.array(["far"])}, "give one axis of floating"),
    ],
)
def test_events_that_no_table_takes_are_not_made(changed: dict[str, Any], words: str) -> None:
    good = TrackEvents.of([TrackEvent("start", 1, 1)])
    with pytest.raises(ValueError, match=words):
        replace(good, **changed)
