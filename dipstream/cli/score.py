"""Counts against the simulator's truth, while the run goes on."""

from collections import deque
from typing import Any

from dipstream.run import Result
from dipstream.source import Source, TruthfulSource

__all__ = ["LiveScore"]


class LiveScore:
    """Collects how many objects were found and how many there really are."""

    def __init__(self) -> None:
        self.source: Source | None = None
        self._open: deque[tuple[int, int]] = deque()
        self._sets = 0
        self._found = 0
        self._true = 0
        self._error = 0.0

    def take(self, result: Result) -> None:
        """Note a result; called from the committer's thread, so it does no more than that."""
        seq = result.image_set.frames[0].info.seq
        if seq is not None and not result.failure:
            self._open.append((seq, next(iter(result.counts().values()))))

    def update(self) -> None:
        """Ask the source for the truth of what was found since the last call."""
        source: object = self.source
        if not isinstance(source, TruthfulSource):
            return
        while self._open:
            seq, found = self._open.popleft()
            true = source.truth(seq).count
            self._sets += 1
            self._found += found
            self._true += true
            self._error += abs(found - true) / max(true, 1)

    def sentence(self) -> str:
        """Return the comparison in words."""
        if not self._sets:
            return "no image set to compare with the truth yet"
        return (
            f"found {self._found / self._sets:.1f} nuclei an image set, really there "
            f"{self._true / self._sets:.1f}: count error {self._percent():.1f} %"
        )

    def summary(self) -> dict[str, Any]:
        """Return the comparison in numbers."""
        self.update()
        sets = max(self._sets, 1)
        return {
            "truth_image_sets": self._sets,
            "truth_objects_mean": round(self._true / sets, 3),
            "found_objects_mean": round(self._found / sets, 3),
            "count_error_percent": round(self._percent(), 3) if self._sets else None,
        }

    def _percent(self) -> float:
        """Mean of |found − true| / true over the image sets, in percent."""
        return 100 * self._error / max(self._sets, 1)
