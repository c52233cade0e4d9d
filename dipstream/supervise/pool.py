"""Children that are kept for the next request, so that starting costs little."""

import atexit
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from dipstream.supervise.process import Child, ChildDiedError, ChildTask, forget_starter

__all__ = ["POOL", "Pool"]

_MOST_IDLE = 4


class Pool:
    """Lends children to threads, one thread a child; the last one given back goes out first."""

    def __init__(self, most_idle: int = _MOST_IDLE) -> None:
        self._most_idle = most_idle
        self._guard = threading.Lock()
        self._idle: dict[ChildTask, list[Child]] = {}

    def warm(self, task: ChildTask) -> None:
        """Start a child that will soon be wanted, unless one waits; returns at once."""
        if not self.waiting(task):
            self._give_back(Child(task))

    def waiting(self, task: ChildTask) -> bool:
        """Whether a child is there that nobody uses."""
        with self._guard:
            return bool(self._idle.get(task))

    @contextmanager
    def lease(self, task: ChildTask) -> Iterator[Child]:
        """Lend a child; one that died is not taken back."""
        child = self._take(task)
        try:
            yield child
        except ChildDiedError:
            child.close()
            raise
        except BaseException:
            self._give_back(child)
            raise
        self._give_back(child)

    def _take(self, task: ChildTask) -> Child:
        with self._guard:
            idle = self._idle.get(task, [])
            while idle:
                child = idle.pop()
                if child.alive:
                    return child
                child.close()
        return Child(task)

    def _give_back(self, child: Child) -> None:
        with self._guard:
            idle = self._idle.setdefault(child.task, [])
            if len(idle) < self._most_idle and child.alive:
                idle.append(child)
                return
        child.close()

    def close(self) -> None:
        """End all children that wait; those that are lent end when they are given back."""
        with self._guard:
            children = [child for idle in self._idle.values() for child in idle]
            self._idle.clear()
        for child in children:
            child.close()

    def forget(self) -> None:
        """After a fork: the children are those of the other process."""
        self._guard = threading.Lock()
        self._idle = {}
        forget_starter()


POOL = Pool()
"""The children of this process."""

atexit.register(POOL.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=POOL.forget)
