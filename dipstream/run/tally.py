"""Live counters for the views. The book is the table `frames`; this only mirrors it in memory."""

import math
import threading
import time
from collections import Counter, deque

import numpy as np

from dipstream.run.result import Accounting

__all__ = ["Tally"]

_RECENT, _SHOWN, _KEPT = 500, 5, 1000


class Tally:
    """Counts what happens to frames; safe to use from several threads.

    Parameters
    ----------
    deadline_ms
        A row that comes later than this after its frame is a miss; None for no deadline.
    """

    def __init__(self, deadline_ms: float | None = None) -> None:
        self._deadline_ms = math.inf if deadline_ms is None else deadline_ms
        self.deadline_misses = 0
        self._lock = threading.Lock()
        self._states: Counter[str] = Counter()
        self._received = 0
        self._gap: int | None = None
        self.image_sets = 0
        self.objects: Counter[str] = Counter()
        self._lags_ms: deque[float] = deque(maxlen=_RECENT)
        self._commits: deque[tuple[float, int]] = deque(maxlen=_RECENT)
        self._warnings: dict[str, str] = {}
        self._said: deque[str] = deque(maxlen=_KEPT)
        self._said_in_all = 0
        self.started = time.monotonic()

    def receive(self) -> None:
        """Count a frame that was admitted."""
        with self._lock:
            self._received += 1

    def finish(self, state: str, n: int = 1) -> None:
        """Count frames that have reached their end state."""
        with self._lock:
            self._states[state] += n

    def miss(self, n: int) -> None:
        """Count numbers that a device's counter skipped; 0 notes that there is a counter."""
        with self._lock:
            self._gap = (self._gap or 0) + n

    def commit(self, lags_ms: list[float], objects: dict[str, int]) -> None:
        """Count an image set that is in the table, with the lag of each of its frames."""
        with self._lock:
            self.image_sets += 1
            self.objects.update(objects)
            self._lags_ms.extend(lags_ms)
            self.deadline_misses += sum(lag > self._deadline_ms for lag in lags_ms)
            self._commits.append((time.monotonic(), len(lags_ms)))

    def warn(self, text: str, kind: str = "") -> None:
        """Keep a warning for the views.

        Parameters
        ----------
        text
            What to say; what is shown already is not said again.
        kind
            A newer warning of the same kind takes the place of the one before, so that one kind
            does not push out the others; the text itself by default.
        """
        with self._lock:
            if self._warnings.pop(kind or text, None) != text:
                self._said.append(text)
                self._said_in_all += 1
            self._warnings[kind or text] = text
            if len(self._warnings) > _SHOWN:
                del self._warnings[next(iter(self._warnings))]

    def warnings(self) -> tuple[str, ...]:
        """Return the newest warnings, newest last."""
        with self._lock:
            return tuple(self._warnings.values())

    def warnings_after(self, seen: int) -> tuple[list[str], int, int]:
        """Return the warnings after the first `seen`, how many of them are lost, and the new count.

        Only the newest thousand are kept; a warning that is still shown is not said again.
        """
        with self._lock:
            fresh = self._said_in_all - seen
            kept = list(self._said)[-fresh:] if fresh else []
            return kept, fresh - len(kept), self._said_in_all

    def accounting(self) -> Accounting:
        """Return the counts as they stand."""
        with self._lock:
            states = dict(self._states)
            return Accounting(
                received=self._received,
                pending=self._received - sum(states.values()),
                gap=self._gap,
                analysed=states.get("analysed", 0),
                dropped=states.get("dropped", 0),
                quarantined=states.get("quarantined", 0),
                late=states.get("late", 0),
            )

    def lag_ms(self) -> tuple[float | None, float | None]:
        """Return median and 99th percentile of the newest lags."""
        with self._lock:
            if not self._lags_ms:
                return None, None
            p50, p99 = np.percentile(self._lags_ms, [50, 99])
            return float(p50), float(p99)

    def frames_per_s(self) -> float:
        """Return frames committed a second over the last five seconds."""
        now = time.monotonic()
        with self._lock:
            recent = [(at, n) for at, n in self._commits if at > now - 5]
            if not recent:
                return 0.0
            return sum(n for _, n in recent) / max(now - max(recent[0][0], self.started), 0.1)
