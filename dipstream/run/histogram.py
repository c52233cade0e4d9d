"""Counts of durations in fixed classes, over a whole run, at the cost of one look-up each."""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["DURATIONS_S", "Durations", "Histogram"]

DURATIONS_S = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
)  # fmt: skip
"""Upper edges of the classes, in s; one more holds what took longer."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """Durations as they stand.

    Attributes
    ----------
    counts
        How many are in each class of `DURATIONS_S`, and how many took longer than the last.
    total_s
        The sum of all.
    """

    counts: tuple[int, ...] = (0,) * (len(DURATIONS_S) + 1)
    total_s: float = 0.0

    @property
    def n(self) -> int:
        """How many there are."""
        return sum(self.counts)

    def cumulative(self) -> list[tuple[float, int]]:
        """Return each upper edge, in s, with how many are not above it; infinity is the last."""
        found, so_far = [], 0
        for edge, count in zip((*DURATIONS_S, float("inf")), self.counts, strict=True):
            so_far += count
            found.append((edge, so_far))
        return found


class Durations:
    """Counts durations; whoever uses it from several threads holds a lock."""

    def __init__(self) -> None:
        self._counts = [0] * (len(DURATIONS_S) + 1)
        self._total_s = 0.0

    def add(self, durations_s: Iterable[float]) -> None:
        """Count these, in s; a negative one, of a clock that was set back, counts as 0."""
        for duration in durations_s:
            taken = max(duration, 0.0)
            self._counts[bisect_left(DURATIONS_S, taken)] += 1
            self._total_s += taken

    def histogram(self) -> Histogram:
        """Return how it stands."""
        return Histogram(tuple(self._counts), self._total_s)
