"""A queue that cannot take or give a set, and a subscriber that aborts: every frame has its end."""

import queue
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from dipstream.queue import SetQueue
from dipstream.run import Accounting
from dipstream.service import LiveRun
from tests.faults.simple import SET_MB

ORDERED = "correct: [{align: {}}]\n"


@pytest.mark.parametrize("where", ["put", "read"])
def test_memory_runs_out(
    where: str, run: Callable[..., LiveRun], make_frame: Any, slow: Any,
    to_end: Callable[[LiveRun], Accounting], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    slow(lambda _: 0.02)
    real, calls = (SetQueue.put, np.empty)[where == "read"], 0

    def short(*given: Any, **more: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 5:
            raise MemoryError
        return real(*given, **more)

    if where == "put":
        monkeypatch.setattr(SetQueue, "put", short)
    else:
        monkeypatch.setattr("dipstream.spill.np", SimpleNamespace(**{**vars(np), "empty": short}))
    frames = [make_frame(t, seq=t) for t in range(20)]
    settings = {"policy": "spill", "queue_mb": 2.8 * SET_MB, "live": True, "replayable": False}
    live = run(frames, ORDERED, **settings)
    accounting = to_end(live)
    states = live.frames()["state"].tolist()
    assert set(states) == {"analysed", "dropped"}
    assert states.count("dropped") == 1
    assert accounting.problems == ()
    (reason,) = live.frames().query("state == 'dropped'")["reason"]
    assert "memory" in reason.lower()
    assert (live.error is not None) == (where == "put")


def test_a_subscriber_may_abort_the_run(
    run: Callable[..., LiveRun], make_frame: Any, to_end: Callable[[LiveRun], Accounting],
    slow: Any, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    slow(lambda set_id: 0.3 if set_id == 0 else 0)
    real = queue.Queue
    monkeypatch.setattr("dipstream.run.commit.queue.Queue", lambda maxsize: real(4))
    lives: list[LiveRun] = []

    def abort(_: Any) -> None:
        if lives:
            lives[0].abort()

    frames = [make_frame(t, seq=t) for t in range(40)]
    live = run(frames, subscribers=[abort], workers=1)
    lives.append(live)
    accounting = to_end(live)
    assert accounting.problems == ()
    assert live.frames()["state"].tolist().count("dropped") > 20
