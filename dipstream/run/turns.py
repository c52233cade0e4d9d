"""Turns: parallel workers pass an ordered step one after the other, in acquisition order."""

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from dipstream.errors import StepError
from dipstream.frame import ImageSet
from dipstream.pipeline import StateCell
from dipstream.steps.step import State

__all__ = ["Turns"]


class Turns:
    """Keeps the states of the ordered corrections and who is next at each of them.

    No deadlock: workers take sets in order, so that the set whose turn it is is always in a
    worker's hands, finished or dropped.

    Parameters
    ----------
    first_set_id
        The set whose turn is first.
    states
        The states an earlier session of the run has left, by (step, place).
    """

    def __init__(self, first_set_id: int, states: Mapping[tuple[str, str], StateCell]) -> None:
        self._first = first_set_id
        self._cells = dict(states)
        self._next: dict[str, int] = {}
        self._ahead: dict[str, set[int]] = {}
        self._left: dict[int, dict[tuple[str, str], State]] = {}
        self._aborted = False
        self._changed = threading.Condition()

    def expect(self, steps: Iterable[str]) -> None:
        """Name the ordered steps; call before the first worker starts."""
        for step in steps:
            self._next[step] = self._first
            self._ahead[step] = set()

    @contextmanager
    def turn(self, step: str, image_set: ImageSet) -> Iterator[StateCell]:
        """Wait for the set's turn at a step; yield the state of its place."""
        with self._changed:
            while self._next[step] != image_set.set_id:
                if self._aborted:
                    raise StepError("the run was stopped before this image set had its turn")
                self._changed.wait(timeout=1.0)
            cell = self._cells.setdefault((step, image_set.key.place), StateCell())
            cell.enter(image_set.key.segment)
        before = cell.state
        try:
            yield cell
            if cell.state is not None and cell.state is not before:
                self._left.setdefault(image_set.set_id, {})[step, image_set.key.place] = cell.state
        finally:
            self._pass(step, image_set.set_id)

    def left_by(self, set_id: int) -> dict[tuple[str, str], State]:
        """Return, once, the states that a set has left at the steps it passed.

        They stay though a later step fails: the sets after it go on from them.
        """
        return self._left.pop(set_id, {})

    def passed(self, set_id: int) -> None:
        """Note that a set is through with every step: analysed, failed or dropped."""
        for step in self._next:
            self._pass(step, set_id)

    def abort(self) -> None:
        """Wake everybody who waits; their sets fail."""
        with self._changed:
            self._aborted = True
            self._changed.notify_all()

    def _pass(self, step: str, set_id: int) -> None:
        with self._changed:
            if set_id < self._next[step]:
                return
            ahead = self._ahead[step]
            ahead.add(set_id)
            while self._next[step] in ahead:
                ahead.remove(self._next[step])
                self._next[step] += 1
            self._changed.notify_all()
