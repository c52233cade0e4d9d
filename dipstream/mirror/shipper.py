"""Ships a run to one mirror from a thread, through every outage, and says how it stands."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TypeVar

import numpy as np

from dipstream.errors import StoreError
from dipstream.mirror.align import LOST, holds, last_rows
from dipstream.mirror.progress import Moved, Progress, Target
from dipstream.mirror.status import MirrorStatus
from dipstream.mirror.tail import RunTail
from dipstream.store import RunRecord

__all__ = ["Shipper"]

_T = TypeVar("_T")

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.25, 10.0
_SOONEST_S = 0.02
_MOST_THREADS = 4


class Shipper:
    """Keeps one mirror up to date until `finish`; nobody ever waits for it.

    Parameters
    ----------
    make_tail
        Opens the run's table; called once for each connection.
    record
        What `run.json` says.
    open_target
        Makes the mirror; called once for each thread.
    every_s
        Look for new commits this often.
    say
        Told when the mirror goes (``degraded``) and comes back (``recovered``), with a sentence.
    reply_s
        A call that has not returned after this long is left to itself, and the mirror is connected
        to anew. Who wrote what is decided in the mirror, so that nothing comes of it twice.
    clock
        Seconds, for tests.
    """

    def __init__(
        self,
        make_tail: Callable[[], RunTail],
        record: RunRecord,
        open_target: Callable[[], Target],
        *,
        every_s: float,
        say: Callable[[str, str], None],
        reply_s: float = 150.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._make_tail = make_tail
        self._record = record
        self._open_target = open_target
        self._every_s = every_s
        self._say = say
        self._reply_s = reply_s
        self._clock = clock
        self._random = np.random.default_rng()
        self._wake = threading.Event()
        self._finishing = threading.Event()
        self._guard = threading.Lock()
        self._reading = threading.Lock()
        self._turn = 0
        self._calling_since: float | None = None
        self._threads: list[threading.Thread] = []
        self._status = MirrorStatus(open_target().name)

    @property
    def status(self) -> MirrorStatus:
        """How the mirror stands."""
        return self._status

    def start(self) -> None:
        """Begin to ship; an earlier thread that hangs in a call is left to itself."""
        with self._guard:
            self._turn += 1
            self._calling_since = None
            target = self._status.target
            thread = threading.Thread(
                target=self._run, args=(self._turn,), name=f"mirror {target}", daemon=True
            )
            self._threads = [one for one in self._threads if one.is_alive()] + [thread]
            thread.start()

    def note(self, newest: int) -> None:
        """Note how far the run is."""
        with self._guard:
            # The first commit is number 1.
            behind = max(newest - max(self._status.commit_number, 0), 0)
            self._status = replace(self._status, behind=behind)

    def look_after(self) -> None:
        """Make a new thread in the place of one that hangs in a call."""
        since = self._calling_since
        if since is None or self._clock() - since <= self._reply_s:
            return
        name = self._status.target
        self._away(self._turn, f"the mirror {name} has not answered for {self._reply_s:.0f} s")
        if sum(thread.is_alive() for thread in self._threads) < _MOST_THREADS:
            self.start()

    def hold(self) -> threading.Lock:
        """Return a lock that keeps the run's table unread while it is held."""
        return self._reading

    def ask_to_finish(self) -> None:
        """Ship what is there and end; do not wait for it."""
        self._finishing.set()
        self._wake.set()

    def finish(self, wait_s: float) -> bool:
        """Ship what is there, but for no longer than this; return whether the mirror has all."""
        self.ask_to_finish()
        self._threads[-1].join(wait_s)
        if not self._status.done:
            with self._guard:
                self._turn += 1  # whatever is still under way ends at the next step
        return self._status.done

    def _run(self, turn: int) -> None:
        target = self._open_target()
        failures = 0
        while turn == self._turn:
            try:
                try:
                    self._session(turn, target)
                finally:
                    target.close()
            except StoreError as error:
                failures = 1 if self._status.away_since_ns is None else failures + 1
                self._away(turn, str(error))
            except Exception as error:  # noqa: BLE001 - a mirror never ends a run
                failures += 1
                self._away(turn, f"{type(error).__name__}: {error}")
            else:
                return
            pause = min(_FIRST_PAUSE_S * 2 ** min(failures, 12), _LONGEST_PAUSE_S)
            if self._finishing.is_set():
                time.sleep(_FIRST_PAUSE_S)
            else:
                self._wake.wait(pause * self._random.uniform(0.5, 1))

    def _session(self, turn: int, target: Target) -> None:
        """Ship until the run has ended; raises if the mirror goes away."""
        tail = self._make_tail()
        progress = self._call(turn, partial(self._open, tail, target))
        self._reached(turn, progress)
        while turn == self._turn:
            # ORDER MATTERS: what is there after the run has ended is all there will be.
            last = self._finishing.is_set()
            with self._reading:
                batch = tail.read(progress)
            if batch is None:
                if last:
                    self._set(turn, done=True, behind=0)
                    return
                self._wake.wait(self._every_s)
                continue
            try:
                self._call(turn, partial(target.write, batch))
                progress = batch.after
            except Moved as moved:
                progress = moved.progress
                tail.restart()
            self._reached(turn, progress)
            if not self._finishing.is_set():
                self._wake.wait(_SOONEST_S if batch.full else self._every_s)

    def _open(self, tail: RunTail, target: Target) -> Progress:
        progress = target.open(self._record)
        with self._reading:
            mine = last_rows(tail, progress)
        if not holds(target, mine):
            target.clear()
            self._say("warning", f"the mirror {target.name} {LOST}")
            return Progress()
        return progress

    def _call(self, turn: int, call: Callable[[], _T]) -> _T:
        """Make a call that may hang; what an abandoned one returns, nobody hears."""
        self._since(turn, self._clock())
        try:
            return call()
        finally:
            self._since(turn, None)

    def _since(self, turn: int, when: float | None) -> None:
        with self._guard:
            if turn == self._turn:
                self._calling_since = when

    def _reached(self, turn: int, progress: Progress) -> None:
        with self._guard:
            if turn != self._turn:
                return
            before, moved = self._status, progress.commit_number - self._status.commit_number
            self._status = replace(
                before,
                commit_number=progress.commit_number,
                behind=max(before.behind - max(moved, 0), 0),
                away_since_ns=None,
            )
        if before.away_since_ns is not None:
            seconds = (time.time_ns() - before.away_since_ns) / 1e9
            self._say("recovered", f"the mirror {before.target} is back after {seconds:.0f} s")

    def _away(self, turn: int, reason: str) -> None:
        with self._guard:
            if turn != self._turn:
                return
            before = self._status
            since = before.away_since_ns or time.time_ns()
            self._status = replace(before, away_since_ns=since, error=reason)
        if before.away_since_ns is None:
            self._say("degraded", f"{reason}; the run goes on, and the mirror will catch up")

    def _set(self, turn: int, **changes: object) -> None:
        with self._guard:
            if turn == self._turn:
                self._status = replace(self._status, **changes)  # type: ignore[arg-type]
