"""The bounded queue before the analysis: bytes, whole image sets, a declared policy."""

import threading
from collections import deque
from collections.abc import Callable

from dipstream.frame import ImageSet
from dipstream.settings import Policy

__all__ = ["QueueFullError", "SetQueue"]


class QueueFullError(Exception):
    """The queue is full and its policy is to stop the run."""


class SetQueue:
    """Image sets that wait for a worker, first in, first out.

    Parameters
    ----------
    limit_bytes
        Pixels that may wait. A single set that is larger still passes when the queue is empty.
    policy
        ``block``: `put` waits for room; ``drop-oldest``: the sets that waited longest make room;
        ``stop``: `put` raises `QueueFullError`.
    open_bytes
        Returns the bytes held elsewhere that count towards the limit: the sets still open.
    """

    def __init__(
        self, limit_bytes: int, policy: Policy, open_bytes: Callable[[], int] = lambda: 0
    ) -> None:
        self.limit_bytes = limit_bytes
        self.policy = policy
        self.open_bytes = open_bytes
        self._sets: deque[ImageSet] = deque()
        self._bytes = 0
        self._closed = False
        self._changed = threading.Condition()

    def __len__(self) -> int:
        return len(self._sets)

    @property
    def fill(self) -> float:
        """How full the queue is, 0 to 1 and above."""
        return (self._bytes + self.open_bytes()) / self.limit_bytes

    def put(self, image_set: ImageSet) -> list[ImageSet]:
        """Add a set; return the sets that were dropped to make room for it.

        Raises
        ------
        QueueFullError
            If there is no room and the policy is ``stop``.
        """
        dropped: list[ImageSet] = []
        with self._changed:
            while not self._has_room(image_set) and not self._closed:
                if self.policy == "stop":
                    raise QueueFullError
                if self.policy == "drop-oldest":
                    dropped.append(self._pop())
                else:
                    # Woken by `get`; the time-out covers room made by the assembler.
                    self._changed.wait(timeout=0.1)
            self._sets.append(image_set)
            self._bytes += image_set.nbytes
            self._changed.notify_all()
        return dropped

    def get(self) -> ImageSet | None:
        """Return the next set, waiting for it; None when the queue is closed and empty."""
        with self._changed:
            while not self._sets and not self._closed:
                self._changed.wait()
            if not self._sets:
                return None
            image_set = self._pop()
            self._changed.notify_all()
            return image_set

    def close(self) -> None:
        """Let workers finish what is queued, and then end."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def clear(self) -> list[ImageSet]:
        """Take out everything that still waits."""
        with self._changed:
            taken = list(self._sets)
            self._sets.clear()
            self._bytes = 0
            self._changed.notify_all()
            return taken

    def _has_room(self, image_set: ImageSet) -> bool:
        waiting = self._bytes + self.open_bytes()
        return not self._sets or waiting + image_set.nbytes <= self.limit_bytes

    def _pop(self) -> ImageSet:
        image_set = self._sets.popleft()
        self._bytes -= image_set.nbytes
        return image_set
