"""Track events as columns say what single events say."""

import numpy as np
import pytest

from dipstream.steps import TrackEvent, TrackEvents
from dipstream.steps.objects import EVENT_KINDS

ALL = (
    TrackEvent("end", 3),
    TrackEvent("start", 7, 1),
    TrackEvent("link", 1, 2, distance_px=0.0),
    TrackEvent("gap", 2, 3, None, 2, 1.5),
    TrackEvent("division", 8, 4, parent_id=3),
)


def test_single_events_come_back() -> None:
    events = TrackEvents.of(ALL)
    assert len(events) == 5
    assert tuple(events) == ALL
    assert {type(value) for one in events for value in (one.track_id, one.label)} <= {
        int,
        type(None),
    }
    assert [EVENT_KINDS[kind] for kind in events.kind] == [one.kind for one in ALL]
    assert events.label.tolist() == [-1, 1, 2, 3, 4]
    assert events.ended.tolist() == [True, False, False, False, False]


def test_parts_are_joined_in_order() -> None:
    parts = [TrackEvents.of(ALL[:2]), TrackEvents.of([]), TrackEvents.of(ALL[2:])]
    assert tuple(TrackEvents.joined(*parts)) == ALL
    assert tuple(TrackEvents.ends(np.array([4, 9]))) == (TrackEvent("end", 4), TrackEvent("end", 9))
    assert tuple(TrackEvents.of([])) == ()


def test_columns_have_one_length() -> None:
    events = TrackEvents.of(ALL)
    with pytest.raises(ValueError, match="unequal length"):
        TrackEvents(
            events.kind,
            events.track_id[1:],
            events.label,
            events.parent_id,
            events.gap,
            events.distance_px,
        )
