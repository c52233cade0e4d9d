"""Puts what parallel workers finish back in order before it is tracked and committed."""

import time
from collections.abc import Callable, Iterable

from dipstream.run.messages import Done

__all__ = ["InOrder"]


class InOrder:
    """Gives image sets out by their numbers, whatever order they come in.

    Parameters
    ----------
    first_set_id
        The set that is given out first.
    reorder_s
        How long a set may keep those behind it waiting; None for as long as it takes. One that
        comes after its turn was given away is given out at once, marked as out of turn.
    clock
        Monotonic seconds.
    """

    def __init__(
        self,
        first_set_id: int,
        reorder_s: float | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._next = first_set_id
        self._reorder_s = reorder_s
        self._clock = clock
        self._waiting: dict[int, Done] = {}
        self._since = clock()
        self._overtaken: list[Done] = []
        self._absent: set[int] = set()

    def skip(self, set_ids: Iterable[int]) -> None:
        """Wait for none of these: a crash has taken them."""
        self._absent.update(set_ids)

    def add(self, done: Done) -> None:
        """Take in a set."""
        if done.image_set.set_id < self._next:
            self._overtaken.append(done)
            return
        if not self._waiting:
            self._since = self._clock()
        self._waiting[done.image_set.set_id] = done

    def take(self, *, everything: bool) -> list[tuple[Done, bool]]:
        """Return the sets that may go now, and whether each comes in its turn.

        With `everything`, nothing is waited for any more.
        """
        ready = [(done, False) for done in self._overtaken]
        self._overtaken.clear()
        while self._waiting:
            if self._next in self._waiting:
                ready.append((self._waiting.pop(self._next), True))
                self._next += 1
            elif self._next in self._absent:
                self._absent.remove(self._next)
                self._next += 1
            elif everything or self._is_overdue():
                self._next = min(self._waiting)
            else:
                break
        return ready

    def restart(self) -> None:
        """Count the time a set is waited for from now: the last sets took theirs to be written."""
        self._since = self._clock()

    def _is_overdue(self) -> bool:
        return self._reorder_s is not None and self._clock() - self._since > self._reorder_s
