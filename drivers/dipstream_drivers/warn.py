"""Telling a person once of each kind of thing that many files have in common."""

import re
from collections.abc import Callable

from dipstream.source import SourceEvent

__all__ = ["WarnOnce"]

PARTICULARS = re.compile(r"'[^']*'|<[^>]*>|0x[0-9a-fA-F]+|[0-9]+")
MOST = 200


class WarnOnce:
    """Passes on warnings of a kind that did not come before; numbers and names do not count."""

    def __init__(self, report: Callable[[SourceEvent], None]) -> None:
        self._report = report
        self._known: set[str] = set()

    def __call__(self, text: str) -> None:
        """Report a warning unless its kind is known."""
        kind = PARTICULARS.sub("#", text)
        if kind not in self._known and len(self._known) < MOST:
            self._known.add(kind)
            self._report(SourceEvent("warning", text))
