"""The bounded queue before the analysis: bytes, whole image sets, a declared policy."""

import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

from dipstream.errors import ReadError
from dipstream.frame import ImageSet
from dipstream.settings import Policy
from dipstream.spill import Spill, Spilled

__all__ = ["QueueFullError", "Refused", "SetQueue", "Thinning"]

_FULL = "the queue was full"
_THINNED = "only every n-th image set is kept, their rows say which"
_MOST_THINNED = 64
# What a set on the disk still takes in memory, and how much of that there may be at least.
_SPILLED_BYTES, _SPILLED_LIMIT = 600, 1_000_000


class QueueFullError(Exception):
    """The queue is full and its policy is to stop the run."""


class Refused(NamedTuple):
    """An image set that will not be analysed, and why."""

    image_set: ImageSet
    reason: str


class Thinning:
    """Keeps every n-th image set while there are too many.

    n doubles, up to 64, when the set whose turn it is finds no room, and halves when it finds the
    queue less than half full. When nothing waits at all the next set is kept, whatever its turn.
    """

    def __init__(self) -> None:
        self.n = 1
        self._since = 0

    def keeps(self, *, room: bool, relaxed: bool, idle: bool) -> bool:
        """Return whether the next set is kept; `relaxed` if the queue is less than half full."""
        self._since += 1
        if self._since < self.n and not (idle and room):
            return False
        self._since = 0
        if not room:
            self.press()
            return False
        if relaxed or idle:
            self.n = max(self.n // 2, 1)
        return True

    def press(self) -> None:
        """Keep fewer from now on: there was no room."""
        self.n = min(2 * self.n, _MOST_THINNED)


class SetQueue:
    """Image sets that wait for a worker, first in, first out.

    The limit counts every frame a run holds: sets that are still open, that wait, and that were
    taken and are not committed (`settle`). A single set that is larger passes when nothing is held.
    A set that is put is counted once it is in: one more is in memory while it waits to be.

    Parameters
    ----------
    limit_bytes
        What frames may take in memory (`ImageSet.nbytes`).
    policy
        ``block``: `put` waits for room; ``spill``: sets go to the disk until those that wait there
        are taken, so that the order is kept; where the disk takes no more, ``thin``; ``thin``: see
        `Thinning`; ``drop-oldest``: the sets that waited longest make room; ``stop``: `put` raises
        `QueueFullError`.
    spill
        Where sets wait that do not fit. Needed for ``spill``, and for what was left over.
    lost
        Called with a set that cannot be read back, from the thread that wanted it.
    told
        Called with the kind and the text of what a person should know.
    """

    def __init__(
        self,
        limit_bytes: int,
        policy: Policy,
        *,
        spill: Spill | None = None,
        lost: Callable[[ImageSet, str], None] = lambda *_: None,
        told: Callable[[str, str], None] = lambda *_: None,
    ) -> None:
        self.limit_bytes = limit_bytes
        self.policy = policy
        self.open_bytes: Callable[[], int] = lambda: 0
        self.spilled = 0
        self._spill = spill
        self._lost = lost
        self._told = told
        self._sets: deque[ImageSet | Spilled] = deque()
        self._bytes = 0
        self._on_disk = 0
        self._largest_on_disk = 0
        self._in_hand: dict[int, int] = {}
        self._thinning = Thinning()
        self._closed = False
        self._putting = threading.Lock()
        self._changed = threading.Condition()

    def __len__(self) -> int:
        return len(self._sets)

    @property
    def fill(self) -> float:
        """How full the memory is, 0 to 1; above for a single set that is larger."""
        with self._changed:
            return self._held / self.limit_bytes

    @property
    def spill_fill(self) -> float:
        """How full the disk's share is, 0 to 1."""
        return 0.0 if self._spill is None else self._spill.fill

    def put(self, image_set: ImageSet) -> list[Refused]:
        """Add a set, one thread at a time; return the sets that will not be analysed for it.

        Raises
        ------
        QueueFullError
            If there is no room and the policy is ``stop``.
        """
        with self._putting:
            n = self._thinning.n
            if self.policy == "spill":
                refused = self._put_or_spill(image_set)
            elif self.policy == "thin":
                refused = self._put_or_thin(image_set)
            else:
                refused = self._put_or_wait(image_set)
            if n == 1 < self._thinning.n:
                self._told("warning", f"frames come faster than the analysis: {_THINNED}")
            elif n > 1 == self._thinning.n:
                self._told("recovered", "every image set is kept again")
            return refused

    def restore(self, sets: Iterable[Spilled]) -> None:
        """Put back what an earlier session has left on the disk, before anything else."""
        with self._changed:
            for spilled in sets:
                self._append(spilled)

    def get(self) -> ImageSet | None:
        """Return the next set, waiting for it; None when the queue is closed and empty."""
        while True:
            with self._changed:
                while not self._may_take():
                    if not self._sets and self._closed:
                        return None
                    self._changed.wait(timeout=0.1 if self._sets else None)
                one = self._pop()
                self._in_hand[one.set_id] = one.nbytes
            if isinstance(one, ImageSet):
                return one
            if (image_set := self._read(one)) is not None:
                return image_set

    def settle(self, set_id: int) -> None:
        """Note that a set is committed, analysed or not: what it held is free."""
        with self._changed:
            self._in_hand.pop(set_id, None)
            self._changed.notify_all()
        if self._spill is not None:
            self._spill.settle(set_id)

    def close(self) -> None:
        """Let workers finish what is queued, and then end."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def clear(self) -> list[ImageSet]:
        """Take out everything that still waits; sets on the disk come without their pixels."""
        with self._changed:
            taken = [self._drop_first() for _ in range(len(self._sets))]
            self._changed.notify_all()
            return taken

    def _put_or_wait(self, image_set: ImageSet) -> list[Refused]:
        refused: list[Refused] = []
        with self._changed:
            while not self._has_room(image_set) and not self._closed:
                if self.policy == "stop":
                    raise QueueFullError
                if self.policy == "block":
                    # Woken by `settle`; the time-out covers room made by the assembler.
                    self._changed.wait(timeout=0.1)
                elif self._sets:
                    refused.append(Refused(self._drop_first(), _FULL))
                else:
                    # Workers hold all there is: the oldest set that waits is this one.
                    return [*refused, Refused(image_set, _FULL)]
            self._append(image_set)
        return refused

    def _put_or_spill(self, image_set: ImageSet) -> list[Refused]:
        with self._changed:
            # Behind what is on the disk everything goes there, until all of that is taken.
            in_memory = self._closed or (not self._on_disk and self._has_room(image_set))
            if in_memory and self._thinning.n == 1:
                self._append(image_set)
                return []
            idle = not self._sets
        if self._spill is None or self._spill.problem:
            return self._put_or_thin(image_set)
        fill = self._spill.fill
        if not self._thinning.keeps(room=in_memory or fill < 1, relaxed=fill < 0.5, idle=idle):
            return [self._thinned(image_set)]
        if in_memory:
            with self._changed:
                self._append(image_set)
            return []
        return self._put_on_disk(self._spill, image_set)

    def _put_on_disk(self, spill: Spill, image_set: ImageSet) -> list[Refused]:
        limit = max(self.limit_bytes // 16, _SPILLED_LIMIT)
        # Not under the lock: workers take sets while the disk is slow.
        full = (self._on_disk + 1) * _SPILLED_BYTES > limit
        spilled = None if full else spill.write(image_set)
        if spilled is None and spill.problem:
            return self._put_or_thin(image_set)
        if spilled is None:
            self._thinning.press()
            return [self._thinned(image_set)]
        with self._changed:
            if self._closed:  # the run has failed: its next session finds the set on the disk
                return []
            first = self._on_disk == 0
            self._append(spilled)
            self.spilled += 1
        if first:
            self._told("info", f"image sets wait on the disk from number {image_set.set_id} on")
        return []

    def _put_or_thin(self, image_set: ImageSet) -> list[Refused]:
        with self._changed:
            room = self._has_room(image_set) or self._closed
            relaxed = self._held < self.limit_bytes / 2
            kept = self._closed or self._thinning.keeps(
                room=room, relaxed=relaxed, idle=not self._sets
            )
            if kept:
                self._append(image_set)
        return [] if kept else [self._thinned(image_set)]

    def _thinned(self, image_set: ImageSet) -> Refused:
        return Refused(image_set, f"thinned: 1 of {self._thinning.n} kept")

    def _read(self, spilled: Spilled) -> ImageSet | None:
        if self._spill is None:
            raise ReadError(f"image set {spilled.set_id} is on the disk, but nobody knows where")
        try:
            return self._spill.read(spilled)
        except ReadError as error:
            with self._changed:
                self._in_hand.pop(spilled.set_id, None)
            self._lost(spilled.blank(), f"it waited on the disk, but {error}")
            return None

    @property
    def _held(self) -> int:
        return self._bytes + sum(self._in_hand.values()) + self.open_bytes()

    def _has_room(self, image_set: ImageSet) -> bool:
        # Sets on the disk are read back before the ones behind them: there must be room for one.
        wanted = image_set.nbytes + self._largest_on_disk
        nothing_held = not self._sets and not self._in_hand
        return nothing_held or self._held + wanted <= self.limit_bytes

    def _may_take(self) -> bool:
        if not self._sets:
            return False
        first = self._sets[0]
        # One that is read back needs room; the sets in hand all come before it and do not wait.
        return (
            isinstance(first, ImageSet)
            or not self._in_hand
            or self._held + first.nbytes <= self.limit_bytes
        )

    def _append(self, one: ImageSet | Spilled) -> None:
        self._sets.append(one)
        if isinstance(one, ImageSet):
            self._bytes += one.nbytes
        else:
            self._on_disk += 1
            self._largest_on_disk = max(self._largest_on_disk, one.nbytes)
        self._changed.notify_all()

    def _pop(self) -> ImageSet | Spilled:
        one = self._sets.popleft()
        if isinstance(one, ImageSet):
            self._bytes -= one.nbytes
        else:
            self._on_disk -= 1
            if not self._on_disk:
                self._largest_on_disk = 0
        return one

    def _drop_first(self) -> ImageSet:
        one = self._pop()
        return one if isinstance(one, ImageSet) else one.blank()
