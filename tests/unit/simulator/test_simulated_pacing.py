"""Live frames come at their deadlines, deadlines do not drift, and stopping is immediate."""

import threading
import time
from itertools import islice

import pytest

from dipstream_simulator import open_sim
from dipstream_simulator.camera import SimSource, Timing
from dipstream_simulator.pacing import Pacer


class FakeTime:
    """A clock that only sleeping moves; each sleep overshoots a little, as real ones do."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.waits_s: list[float] = []

    def clock(self) -> float:
        return self.now_s

    def wait(self, seconds: float) -> bool:
        self.waits_s.append(seconds)
        self.now_s += seconds + 0.001
        return False


def paced(fake: FakeTime, fps: float) -> SimSource:
    made = open_sim(n=2, nucleus_um=6.0, width=64, height=64, seed=1)
    return SimSource(
        *("sim:", "sim", made.setup, made.sequence, Timing(fps)),
        clock=fake.clock,
        wait=fake.wait,
    )


def test_deadlines_do_not_drift() -> None:
    fake = FakeTime()
    frames = paced(fake, 20).frames()
    exposed_ns = [frame.info.exposed_ns for frame in islice(frames, 41)]
    # 40 overshoots of 1 ms do not add up.
    assert fake.now_s == pytest.approx(1000.0 + 40 / 20 + 0.001, abs=1e-6)
    assert exposed_ns[0] is not None
    assert [ns - exposed_ns[0] for ns in exposed_ns if ns is not None] == [
        50_000_000 * k for k in range(41)
    ]


def test_a_slow_reader_gets_what_it_missed_at_once() -> None:
    fake = FakeTime()
    source = paced(fake, 10)
    events: list[str] = []
    source.listen(lambda event: events.append(event.kind))
    frames = source.frames()
    next(frames)
    fake.now_s += 1.55
    late = [next(frames).info for _ in range(15)]
    assert fake.waits_s == []
    assert [info.seq for info in late] == list(range(1, 16))
    assert events == ["degraded"]
    next(frames)
    assert fake.waits_s == [pytest.approx(0.05)]


def test_a_wait_that_ends_early_is_resumed() -> None:
    fake = FakeTime()

    def nap(seconds: float) -> bool:
        fake.waits_s.append(seconds)
        fake.now_s += min(seconds, 0.3)
        return False

    pacer = Pacer(1.0, fake.clock, nap)
    assert pacer.wait_for(0)
    assert pacer.wait_for(1)
    assert fake.now_s == pytest.approx(1001.0)
    assert len(fake.waits_s) == 4


def test_stop_interrupts_waiting() -> None:
    source = open_sim(n=0, width=32, height=32, fps=0.001)
    frames = source.frames()
    next(frames)
    threading.Timer(0.05, source.stop).start()
    started_s = time.monotonic()
    assert next(frames, None) is None
    assert time.monotonic() - started_s < 60


def test_stop_ends_free_running_and_leaving_stops() -> None:
    source = open_sim(n=0, width=32, height=32, fps=0)
    frames = source.frames()
    next(frames)
    source.stop()
    assert next(frames, None) is None
    with open_sim(n=0, width=32, height=32, fps=0) as left:
        running = left.frames()
        next(running)
    left.close()
    assert next(running, None) is None


def test_free_running_does_not_wait() -> None:
    fake = FakeTime()
    assert len(list(islice(paced(fake, 0).frames(), 5))) == 5
    assert fake.waits_s == []


def test_motion_does_not_depend_on_pace() -> None:
    fast, slow = paced(FakeTime(), 0), paced(FakeTime(), 1)
    for one, other in islice(zip(fast.frames(), slow.frames(), strict=True), 4):
        assert (one.data == other.data).all()
