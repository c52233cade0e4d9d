"""States of the past, few enough to keep, so that time can be visited in any order."""

from collections import deque
from typing import Generic, Protocol, TypeVar

__all__ = ["Checkpoints"]

_RECENT = 16


class _Timed(Protocol):
    @property
    def t(self) -> int: ...


_State = TypeVar("_State", bound=_Timed)


class Checkpoints(Generic[_State]):
    """Keeps the first state, the newest ones, and some between at growing distances.

    Parameters
    ----------
    first
        The state at time 0.
    most
        How many to keep, at least 2, besides as many of the newest, but no more than 16 of those.
    """

    def __init__(self, first: _State, most: int) -> None:
        self._most = max(most, 2)
        self._stride = 16
        self._kept = {first.t: first}
        self._recent: deque[_State] = deque(maxlen=min(_RECENT, self._most))

    def add(self, state: _State) -> None:
        """Note the state that follows the one noted before."""
        self._recent.append(state)
        if state.t % self._stride == 0:
            self._kept[state.t] = state
        while len(self._kept) > self._most:  # a long run keeps fewer, not more
            self._stride *= 2
            self._kept = {t: kept for t, kept in self._kept.items() if t % self._stride == 0}

    def before(self, t: int) -> _State:
        """Return the latest state kept that is not later than `t` ≥ 0."""
        latest = self._kept[max(known for known in self._kept if known <= t)]
        for state in self._recent:
            if latest.t < state.t <= t:
                latest = state
        return latest

    def copy(self) -> "Checkpoints[_State]":
        """Return another book with the same states."""
        other = Checkpoints(self._kept[0], self._most)
        other._stride = self._stride
        other._kept = dict(self._kept)
        other._recent = self._recent.copy()
        return other
