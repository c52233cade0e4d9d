"""How soon a child that died is started again, and when something is wrong with all of them."""

import random
import threading
import time
from collections import deque
from collections.abc import Callable

__all__ = ["Breaker"]


class Breaker:
    """Counts deaths: each one in a row doubles the pause, many in a while are a crash loop.

    Parameters
    ----------
    deaths, window_s
        So many deaths within so many seconds are a crash loop: `degraded`.
    first_s, longest_s
        The pause after the first death in a row, and the longest one; each is shortened by up
        to a half at random, so that several do not come back at the same moment.
    clock, sleep, chance
        Monotonic seconds, waiting, and numbers from 0 to 1; for tests.
    """

    def __init__(
        self,
        *,
        deaths: int = 6,
        window_s: float = 60.0,
        first_s: float = 0.05,
        longest_s: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._limit = deaths
        self._window_s = window_s
        self._first_s = first_s
        self._longest_s = longest_s
        self._clock = clock
        self._sleep = sleep
        self._chance = chance
        self._guard = threading.Lock()
        self._deaths: deque[float] = deque(maxlen=deaths)
        self._in_a_row = 0

    def died(self) -> None:
        """Count a death."""
        with self._guard:
            self._deaths.append(self._clock())
            self._in_a_row += 1

    def worked(self) -> None:
        """Note that a child did what it was asked to: the next pause is short again."""
        with self._guard:
            self._in_a_row = 0

    @property
    def degraded(self) -> bool:
        """Whether children die again and again."""
        with self._guard:
            full = len(self._deaths) == self._limit
            return full and self._clock() - self._deaths[0] <= self._window_s

    @property
    def pause_s(self) -> float:
        """How long to wait before the next start."""
        with self._guard:
            if not self._in_a_row:
                return 0.0
            longest = min(self._first_s * 2.0 ** min(self._in_a_row - 1, 30), self._longest_s)
            return longest * (1 - 0.5 * self._chance())

    def wait(self) -> None:
        """Wait before a start, if the last one did not work."""
        pause_s = self.pause_s
        if pause_s:
            self._sleep(pause_s)
