"""How a mirror stands."""

from dataclasses import dataclass

__all__ = ["MirrorStatus"]


@dataclass(frozen=True, slots=True)
class MirrorStatus:
    """How one mirror stands.

    Attributes
    ----------
    target
        The database or folder, without a password.
    commit_number, behind
        The last commit it has, and how many it lacks.
    away_since_ns
        Since when it cannot be reached, UTC since the epoch; None while it can.
    error
        Why, in words; the last one, also when it is long over.
    done
        Whether it has everything of a run that has ended.
    """

    target: str
    commit_number: int = -1
    behind: int = 0
    away_since_ns: int | None = None
    error: str = ""
    done: bool = False
