"""Live counters for the views. The book is the table `frames`; this only mirrors it in memory."""

import math
import re
import threading
import time
from collections import Counter, deque

import numpy as np

from dipstream.run.histogram import Durations, Histogram
from dipstream.run.result import Accounting

__all__ = ["Tally", "reason_kind"]

_RECENT, _SHOWN, _KEPT = 500, 5, 1000
_REASONS = 20
"""Kinds of reasons that are told apart; a metric must not grow without end."""


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
        self._lags, self._commit_times = Durations(), Durations()
        self._drops: Counter[str] = Counter()
        self._source_trouble = ""
        self.started = self._turned = time.monotonic()

    def receive(self) -> None:
        """Count a frame that was admitted."""
        with self._lock:
            self._received += 1

    def finish(self, state: str, n: int = 1, reason: str | None = None) -> None:
        """Count frames that have reached their end state; those dropped by the kind of reason."""
        with self._lock:
            self._states[state] += n
            if state == "dropped":
                kind = reason_kind(reason)
                full = len(self._drops) >= _REASONS and kind not in self._drops
                self._drops["other" if full else kind] += n

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
            self._lags.add(lag / 1e3 for lag in lags_ms)
            self.deadline_misses += sum(lag > self._deadline_ms for lag in lags_ms)
            self._commits.append((time.monotonic(), len(lags_ms)))

    def turn(self) -> None:
        """Note that the committer's loop has gone round: it is not stuck in the disk."""
        self._turned = time.monotonic()

    def time_commit(self, seconds: float) -> None:
        """Count a transaction, and how long it took until it was durable."""
        with self._lock:
            self._commit_times.add([seconds])

    def source(self, kind: str, message: str) -> None:
        """Note what the source says of itself: ``degraded`` until it has ``recovered``."""
        if kind in {"degraded", "recovered"}:
            with self._lock:
                self._source_trouble = message if kind == "degraded" else ""

    @property
    def idle_s(self) -> float:
        """How long ago the committer's loop went round, in s."""
        return time.monotonic() - self._turned

    @property
    def source_trouble(self) -> str:
        """Why the source is degraded; empty while it is well."""
        return self._source_trouble

    def drops(self) -> dict[str, int]:
        """Return the dropped frames by the kind of reason."""
        with self._lock:
            return dict(self._drops)

    def durations(self) -> tuple[Histogram, Histogram]:
        """Return the lags of frames and the times of commits, over the whole session."""
        with self._lock:
            return self._lags.histogram(), self._commit_times.histogram()

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


def reason_kind(reason: str | None) -> str:
    """Return the part of a reason that does not change from frame to frame."""
    first = re.split(r"[:;(]", reason or "unknown", maxsplit=1)[0]
    return re.sub(r"\d+", "N", first).strip()[:60] or "unknown"
