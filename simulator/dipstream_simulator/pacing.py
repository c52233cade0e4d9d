"""Deliver frames on time: deadlines counted from one start, so that errors do not add up."""

from collections.abc import Callable

__all__ = ["Pacer"]


class Pacer:
    """Waits for the deadline of each frame; frame 0 starts the clock.

    Parameters
    ----------
    fps
        Frames per second, above 0.
    clock
        Monotonic time in s.
    wait
        Sleeps up to so many seconds and returns True if it was interrupted, as
        `threading.Event.wait` does.
    """

    def __init__(
        self, fps: float, clock: Callable[[], float], wait: Callable[[float], bool]
    ) -> None:
        self._period_s = 1.0 / fps
        self._clock = clock
        self._wait = wait
        self._start_s: float | None = None
        self.late_s = 0.0
        """How far past its deadline the last frame was when it was waited for, in s."""

    def offset_s(self, number: int) -> float:
        """Return the deadline of a frame, in s after that of frame 0."""
        return number * self._period_s

    def wait_for(self, number: int) -> bool:
        """Wait until the deadline of this frame; False if interrupted before it."""
        if self._start_s is None:
            self._start_s = self._clock() - self.offset_s(number)
        remaining_s = self._start_s + self.offset_s(number) - self._clock()
        self.late_s = max(0.0, -remaining_s)
        while remaining_s > 0.0:
            if self._wait(remaining_s):
                return False
            remaining_s = self._start_s + self.offset_s(number) - self._clock()
        return True
