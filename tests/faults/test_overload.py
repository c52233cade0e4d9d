"""Frames come faster than they are analysed: each policy, and what the book says."""

import time
from typing import Any

import pytest

SET_MB = 24 * 30 * 2 / 1e6


@pytest.mark.parametrize("correct", ["", "correct: [{align: {}}]\n"], ids=["pure", "ordered"])
def test_drop_oldest_drops_whole_sets_and_says_so(
    run: Any, make_frame: Any, to_end: Any, book: Any, slow: Any, correct: str
) -> None:
    slow(lambda k: 0.03)
    script = [
        item
        for t in range(30)
        for item in (make_frame(t), make_frame(t, "GFP"), lambda _: time.sleep(0.01))
    ]
    live = run(
        script,
        correct,
        channels=("DAPI", "GFP"),
        policy="drop-oldest",
        queue_mb=7 * SET_MB,
        workers=1,
    )
    accounting = to_end(live)
    states = book(live, accounting)
    assert set(states) == {"analysed", "dropped"}
    assert states["analysed"] + states["dropped"] == accounting.received == 60
    assert states["dropped"] >= 10
    frames = live.frames()
    assert (frames.groupby("t")["state"].nunique() == 1).all(), "never half a set"
    assert set(frames.query("state == 'dropped'")["reason"]) == {"the queue was full"}
    assert frames.query("t >= 28")["state"].eq("analysed").all(), "the newest ones stay"
    assert "warning" in set(live.reader.events()["kind"]), "told at three quarters"
    assert live.reader.record.state == "finished"


def test_a_live_camera_drops_and_files_wait_unless_told_otherwise(
    run: Any, make_frame: Any, to_end: Any, book: Any, slow: Any
) -> None:
    slow(lambda k: 0.02)
    for live_source, dropped in [(True, True), (False, False)]:
        live = run(
            [make_frame(t) for t in range(12)],
            live=live_source,
            replayable=not live_source,
            queue_mb=2.5 * SET_MB,
            workers=1,
        )
        assert ("dropped" in book(live, to_end(live))) is dropped


def test_block_makes_the_source_wait(
    run: Any, make_frame: Any, to_end: Any, book: Any, slow: Any
) -> None:
    slow(lambda k: 0.02)
    live = run([make_frame(t) for t in range(15)], policy="block", queue_mb=2.5 * SET_MB, workers=1)
    time.sleep(0.1)
    assert live.source.yielded < 12
    assert live.status().queue_fill <= 1.01
    assert book(live, to_end(live)) == {"analysed": 15}


@pytest.mark.parametrize("correct", ["", "correct: [{align: {}}]\n"], ids=["pure", "ordered"])
def test_stop_fails_the_run_but_answers_for_every_frame(
    run: Any, make_frame: Any, to_end: Any, book: Any, slow: Any, correct: str
) -> None:
    slow(lambda k: 0.05)
    live = run(
        [make_frame(t) for t in range(20)],
        correct,
        policy="stop",
        queue_mb=2.5 * SET_MB,
        workers=1,
    )
    accounting = to_end(live)
    record = live.reader.record
    assert record.state == "failed"
    assert "the queue is full and its policy is to stop" in record.reason
    assert "--workers" in record.reason
    states = book(live, accounting)
    assert sum(states.values()) == live.source.yielded < 20
    assert states["analysed"] >= 2


def test_a_set_larger_than_the_queue_is_analysed(
    run: Any, make_frame: Any, to_end: Any, book: Any
) -> None:
    live = run([make_frame(t) for t in range(4)], queue_mb=SET_MB / 10)
    assert book(live, to_end(live)) == {"analysed": 4}


def test_nobody_who_watches_slows_the_run(
    run: Any, make_frame: Any, to_end: Any, book: Any, monkeypatch: Any
) -> None:
    from dipstream import service  # noqa: PLC0415

    monkeypatch.setattr(service, "_MAILBOX_BYTES", 20_000)
    live = run([make_frame(t) for t in range(30)])
    assert book(live, to_end(live)) == {"analysed": 30}
    newest = [result.t for result in live]
    assert newest == list(range(30 - len(newest), 30))
    assert live.missed == 30 - len(newest) > 0
