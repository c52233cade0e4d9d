"""Time points of files whose names do not tell: one more with each file of a position."""

from collections.abc import Hashable, Sequence

from dipstream_drivers.places import Place

__all__ = ["Times"]


class Times:
    """Counts time points per position, and hands them out."""

    def __init__(self) -> None:
        self._next: dict[Hashable, int] = {}
        self._usual = 1

    def take(self, place: Place, count: int, already: Sequence[int] = ()) -> Sequence[int]:
        """Return the time points of a file with `count` of them.

        With a time in the name, file t of n time points each covers n·t to n·t + n - 1.
        Otherwise the file gets the next ones of its position, channel and depth; a file that
        had some already keeps them.
        """
        if place.t is not None:
            self._usual = count
            return range(place.t * count, (place.t + 1) * count)
        if count <= len(already):
            return already[:count]
        key = self._key(place)
        start = self._next.get(key, 0)
        more = count - len(already)
        self._next[key] = start + more
        fresh = range(start, start + more)
        return fresh if not already else (*already, *fresh)

    def take_one(self, place: Place, already: Sequence[int] = ()) -> int:
        """Return the time point of a file that cannot be read: it takes its place in the order."""
        if place.t is not None:
            return place.t * self._usual
        return self.take(place, 1, already)[0]

    def reserve(self, place: Place, t: int) -> None:
        """Note that a time point is taken."""
        key = self._key(place)
        self._next[key] = max(self._next.get(key, 0), t + 1)

    def _key(self, place: Place) -> Hashable:
        return place.position, place.channel, place.z
