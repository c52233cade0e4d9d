"""A set of whole numbers that come almost in order, in little memory."""

from bisect import bisect_right

__all__ = ["Numbers"]


class Numbers:
    """Whole numbers as ranges without gaps: a million in a row cost as much as one."""

    def __init__(self) -> None:
        self._first: list[int] = []
        self._last: list[int] = []

    def __contains__(self, number: int) -> bool:
        at = bisect_right(self._first, number) - 1
        return at >= 0 and number <= self._last[at]

    def add(self, number: int) -> None:
        """Take a number in; twice is once."""
        at = bisect_right(self._first, number) - 1
        if at >= 0 and number <= self._last[at]:
            return
        after = at + 1 < len(self._first) and self._first[at + 1] == number + 1
        if at >= 0 and self._last[at] == number - 1:
            self._last[at] = self._last.pop(at + 1) if after else number
            if after:
                del self._first[at + 1]
        elif after:
            self._first[at + 1] = number
        else:
            self._first.insert(at + 1, number)
            self._last.insert(at + 1, number)
