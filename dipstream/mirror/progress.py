"""How far a mirror is, and what is shipped to it at once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa

from dipstream.store import RunRecord
from dipstream.table import Schema

__all__ = ["Batch", "Moved", "Progress", "Target"]


@dataclass(frozen=True, slots=True)
class Progress:
    """What a mirror has: everything up to these numbers. It lies in the mirror itself.

    Attributes
    ----------
    commit_number, event_id, epoch
        The last ones that are there; -1 for none.
    """

    commit_number: int = -1
    event_id: int = -1
    epoch: int = -1


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """A slice of a run, read in one go and shipped as one.

    Attributes
    ----------
    before, after
        How far the mirror must be for this slice, and how far it is then.
    schemas
        The columns of every table of the run.
    rows
        Rows to add, by table. Of an image set or a frame that the mirror has already, they take
        the place of the old ones.
    whole
        Small tables that are replaced as they are.
    set_ids, frame_ids
        The image sets and frames whose rows these are now.
    full
        Whether there is more to ship at once.
    """

    before: Progress
    after: Progress
    schemas: Mapping[str, Schema]
    rows: Mapping[str, pa.Table]
    whole: Mapping[str, pa.Table] = field(default_factory=dict)
    set_ids: tuple[int, ...] = ()
    frame_ids: tuple[int, ...] = ()
    full: bool = False


class Moved(Exception):  # noqa: N818 - it is no error: somebody else has shipped
    """A mirror is further than it was thought to be; `progress` is where it is."""

    def __init__(self, progress: Progress) -> None:
        super().__init__(f"the mirror is at commit {progress.commit_number}")
        self.progress = progress


class Target(Protocol):
    """A mirror of one run. Used by one thread; every method may raise `StoreError`."""

    name: str
    """What it is called in messages: without a password."""

    def open(self, record: RunRecord, *, make: bool = True) -> Progress:
        """Connect and return how far the mirror is.

        Parameters
        ----------
        record
            The run.
        make
            Make what is not there and take the mirror for this process. If not, it is only read,
            and one that is not there is refused.
        """

    def write(self, batch: Batch) -> None:
        """Take a slice as one, or nothing of it; raises `Moved` if it is not the next one."""

    def rows(self, table: str, columns: Schema, low: int | None, high: int | None) -> pa.Table:
        """Return the rows of a table whose range key (see `KEYS`) is in [low, high)."""

    def last_key(self, table: str) -> int:
        """Return the greatest range key of a table, or -1."""

    def clear(self) -> None:
        """Empty every table and begin anew."""

    def close(self) -> None:
        """Let go; may be called twice."""
