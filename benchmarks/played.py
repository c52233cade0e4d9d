"""A real run, watched from outside: how many image sets a second, and how late each is."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import dipstream as ds
from dipstream.pipeline import Plan
from dipstream.run import Result
from dipstream.source import Source

__all__ = ["Played", "played"]

_SKIPPED = 0.1
"""What a run begins with, and is no part of its rate."""


@dataclass(slots=True, eq=False)
class Played:
    """What came out of a run.

    Attributes
    ----------
    committed_s
        When each image set was in the table, on the monotonic clock.
    lags_ms
        From the arrival of its last frame until then.
    summary
        The run in numbers, as ``dipstream run --json`` prints it.
    """

    committed_s: list[float] = field(default_factory=list)
    lags_ms: list[float] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)

    def take(self, result: Result) -> None:
        """Note a result; called after its commit."""
        now = time.monotonic_ns()
        arrived = max(frame.info.received_monotonic_ns for frame in result.image_set.frames)
        self.committed_s.append(now / 1e9)
        self.lags_ms.append((now - arrived) / 1e6)

    @property
    def fps(self) -> float:
        """Image sets a second, once the run is under way."""
        moments = self.committed_s[int(len(self.committed_s) * _SKIPPED) :]
        return (len(moments) - 1) / max(moments[-1] - moments[0], 1e-9)

    def figures(self, deadline_ms: float) -> dict[str, Any]:
        """Return the columns of a table."""
        p50, p99 = np.percentile(self.lags_ms, [50, 99])
        return {
            "frames": len(self.lags_ms),
            "fps": self.fps,
            "p50_ms": float(p50),
            "p99_ms": float(p99),
            "misses": sum(lag > deadline_ms for lag in self.lags_ms),
            "dropped": self.summary["dropped"],
            "balanced": self.summary["balanced"],
        }


def played(
    source: str | Path | Sequence[str | Path] | Source,
    plan: Plan | str,
    home: Path,
    *,
    options: dict[str, Any] | None = None,
    **settings: Any,
) -> Played:
    """Run a source to its end; `settings` are those of `dipstream.start`."""
    seen = Played()
    with ds.start(
        source,
        plan,
        home=home,
        options=options,
        subscribers=[seen.take],
        mailbox=False,
        **settings,
    ) as run:
        run.wait()
    if run.error is not None:
        raise run.error
    seen.summary = run.summary()
    return seen
