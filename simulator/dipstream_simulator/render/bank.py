"""The sprites of a renderer, side by side in one buffer that compiled loops can read."""

import threading
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Bank", "Shelf", "Sprite"]

_FIRST_BYTES = 8 << 20
_Floats = npt.NDArray[np.float32]
_Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Sprite:
    """Something drawn finely, polyphase (see `dipstream_simulator.render.kernels`).

    Attributes
    ----------
    samples
        float32 (oversample, oversample, side, side).
    """

    samples: _Floats

    @classmethod
    def from_fine(cls, fine: _Floats, oversample: int) -> "Sprite":
        """Sort a fine square array, side · oversample along each edge, into phases."""
        side = len(fine) // oversample
        blocks = fine.reshape(side, oversample, side, oversample)
        return cls(np.ascontiguousarray(blocks.transpose(1, 3, 0, 2), dtype=np.float32))


@dataclass(frozen=True, slots=True, eq=False)
class Shelf:
    """Where n sprites lie in the buffer: what the kernels take.

    Attributes
    ----------
    buffer
        float32 (any,).
    offset, side, oversample
        int64 (n,): first element, blocks along an edge, fine samples along a pixel.
    """

    buffer: _Floats
    offset: _Counts
    side: _Counts
    oversample: _Counts


@dataclass(slots=True)
class _Place:
    offset: int
    side: int
    oversample: int
    used: int

    @property
    def size(self) -> int:
        return (self.side * self.oversample) ** 2


class Bank:
    """Keeps the sprites that were used last; safe to share between threads.

    The buffer only ever grows behind what a `Shelf` refers to; when it is full, a new one is
    begun, and the old one lives as long as a thread still stamps from it.

    Parameters
    ----------
    max_bytes
        Sprites beyond this are forgotten, the longest unused first. What one call of `shelf`
        needs is kept in any case.
    """

    def __init__(self, max_bytes: int = 512 << 20) -> None:
        self._max = max_bytes // 4
        self._lock = threading.RLock()
        self._buffer = np.empty(min(_FIRST_BYTES // 4, self._max), dtype=np.float32)
        self._end = 0
        self._places: dict[Hashable, _Place] = {}
        self._calls = 0

    def shelf(self, keys: Sequence[Hashable], make: Callable[[int], Sprite]) -> Shelf:
        """Find sprites by their keys, in order; `make(i)` draws the one of `keys[i]` if need be."""
        with self._lock:
            self._calls += 1
            found = np.empty((3, len(keys)), dtype=np.int64)
            for i, key in enumerate(keys):
                place = self._places.get(key)
                if place is None:
                    place = self._add(key, make(i))
                place.used = self._calls
            for i, key in enumerate(keys):  # only now: adding may have moved the others
                place = self._places[key]
                found[:, i] = place.offset, place.side, place.oversample
            return Shelf(self._buffer, found[0], found[1], found[2])

    def _add(self, key: Hashable, sprite: Sprite) -> _Place:
        size = sprite.samples.size
        if self._end + size > len(self._buffer):
            self._make_room(size)
        oversample, _, side, _ = sprite.samples.shape
        place = _Place(self._end, side, oversample, self._calls)
        self._buffer[self._end : self._end + size] = sprite.samples.ravel()
        self._end += size
        self._places[key] = place
        return place

    def _make_room(self, size: int) -> None:
        """Begin a new buffer: twice as large, or, at the limit, without what is long unused."""
        by_use = sorted(self._places.items(), key=lambda item: -item[1].used)
        total = self._end + size
        # At the limit half of it is freed at once, or every new sprite would copy the rest.
        budget = self._max - size if total <= self._max else self._max // 2 - size
        kept: dict[Hashable, _Place] = {}
        end = 0
        for key, place in by_use:
            if end + place.size <= budget or place.used == self._calls:
                kept[key] = place
                end += place.size
        buffer = np.empty(max(end + size, min(2 * (end + size), self._max)), dtype=np.float32)
        end = 0
        moved = {}
        for key, place in kept.items():
            buffer[end : end + place.size] = self._buffer[place.offset : place.offset + place.size]
            moved[key] = _Place(end, place.side, place.oversample, place.used)
            end += place.size
        self._buffer, self._places, self._end = buffer, moved, end
