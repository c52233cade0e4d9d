"""What `dipstream verify` answers: what is wrong with a run, and what can be said of it."""

from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["Counter", "Finding", "Verification"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that must not be.

    Attributes
    ----------
    check
        Which part of the run: ``frames``, ``sequences``, ``sets``, ``objects``, ``commits``,
        ``tracks``, ``keys``, ``sqlite``, ``files``, ``record`` or ``spill``.
    problem
        One sentence.
    advice
        What to do.
    examples
        The first few offenders.
    """

    check: str
    problem: str
    advice: str
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Counter:
    """A device's counter within one segment: last − first + 1 = received + gap."""

    segment: int
    first: int
    last: int
    received: int
    gap: int

    @property
    def balanced(self) -> bool:
        """Whether every number is either there or known to be missing."""
        return self.last - self.first + 1 == self.received + self.gap


@dataclass(frozen=True, slots=True)
class Verification:
    """The whole answer.

    Attributes
    ----------
    state
        As `run.json` says, but ``killed`` for a run that nobody ended and nobody writes.
    accounting
        Frames by state, counted in the table, and ``received``, their sum.
    drops
        Dropped frames by reason, the most frequent first.
    counters
        The device's counters; empty where no device counts.
    rows
        Number of rows by table.
    epochs
        Writers that the run has had.
    notes
        What is no fault, but ought to be known.
    """

    run_id: str
    folder: str
    state: str
    deep: bool
    accounting: dict[str, int]
    drops: dict[str, int] = field(default_factory=dict)
    counters: tuple[Counter, ...] = ()
    rows: dict[str, int] = field(default_factory=dict)
    epochs: int = 0
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON has it."""
        return {"ok": self.ok, **asdict(self)}
