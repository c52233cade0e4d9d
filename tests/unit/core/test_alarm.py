"""The alarm of the queue and of the disk's share."""

from dipstream.run.capture import _Alarm


def test_it_rings_once_and_again_after_it_was_half_empty() -> None:
    alarm = _Alarm("the queue")
    fills = [0.7, 0.76, 1.2, 0.6, 0.8, 0.4, 0.3, 0.9]
    events = [alarm.look(fill) for fill in fills]
    assert [event and event.kind for event in events] == [
        None, "warning", None, None, None, "recovered", None, "warning",
    ]  # fmt: skip
    assert [event.message for event in events if event][:2] == [
        "the queue is three quarters full: frames come faster than the analysis",
        "the queue is less than half full again",
    ]
