"""Holds the book against what the threads have counted, while the run goes on."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from dipstream.run.admit import SequenceCount
from dipstream.run.result import Accounting

__all__ = ["Balance", "closing"]

_EVERY_S = 5.0
_SHARE = 0.005  # of the time: counting a long book takes longer


class Balance:
    """Compares, every few seconds, the frames table with the counters of this session.

    Parameters
    ----------
    count
        Counts the frames in each state: the book.
    clock
        Monotonic seconds.
    """

    def __init__(
        self, count: Callable[[], Mapping[str, int]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._count = count
        self._clock = clock
        self._before = dict(count())
        self._due = clock() + _EVERY_S
        self.rows = 0
        """Rows of new frames that this session has committed."""

    @property
    def pending_before(self) -> int:
        """Frames that an earlier session has left pending."""
        return self._before.get("pending", 0)

    def problems(self, told: Accounting, *, now: bool = False) -> list[str]:
        """Return what does not add up, in words; nothing if it is not time to look.

        Call it between two commits, from the thread that commits.

        Parameters
        ----------
        told
            What the counters say, which count an earlier session's pending frames as received.
        now
            Look in any case.
        """
        began = self._clock()
        if not now and began < self._due:
            return []
        book = self._count()
        ended = self._clock()
        self._due = ended + max(_EVERY_S, (ended - began) / _SHARE)
        return [*self._states(book, told), *self._total(book, told)]

    def _states(self, book: Mapping[str, int], told: Accounting) -> list[str]:
        found = []
        for state in ("analysed", "dropped", "quarantined", "late"):
            wanted, has = self._before.get(state, 0) + getattr(told, state), book.get(state, 0)
            if has != wanted:
                found.append(f"{wanted} frames ended as {state}, but the book has {has}")
        return found

    def _total(self, book: Mapping[str, int], told: Accounting) -> list[str]:
        wanted, has = sum(self._before.values()) + self.rows, sum(book.values())
        if has != wanted:
            return [f"{wanted} frames were booked, but the book has {has}"]
        if told.received < self.rows + self.pending_before or told.pending < 0:
            booked = self.rows + self.pending_before
            return [f"{booked} frames are in the book, but only {told.received} were received"]
        return []


def closing(
    book: Mapping[str, int],
    told: Accounting,
    sequences: Mapping[int, SequenceCount],
    *,
    received: int,
    due: int | None,
) -> Accounting:
    """Return the accounting of a run that has ended: the book, and what does not fit it.

    Parameters
    ----------
    book
        How many frames are in each state.
    told
        What the counters of the session say.
    sequences
        What the device's counters have told, by segment.
    received
        Frames that were received in all sessions.
    due
        How many may be pending, for a session to come; None if writing has failed, so that the book
        cannot have all of them.
    """
    booked, pending = sum(book.values()), book.get("pending", 0)
    problems = []
    if due is not None and (booked != received or pending != due):
        problems.append(
            f"{received} frames were received, but the book has {booked}, {pending} of them pending"
        )
    problems += [
        f"segment {segment}: numbers {count.first} to {count.last}, but {count.received} "
        f"received and {count.gap} missing"
        for segment, count in sequences.items()
        if not count.balanced
    ]
    return replace(
        told,
        received=booked,
        analysed=book.get("analysed", 0),
        dropped=book.get("dropped", 0),
        quarantined=book.get("quarantined", 0),
        late=book.get("late", 0),
        pending=pending,
        problems=tuple(problems),
    )
