"""Tells whether a mirror holds what its run has lost.

With the durability ``normal``, the last commits before a power cut may be gone from the run but
not from its mirror, and others get their numbers when the run goes on. So does a run's folder that
is brought back from a backup.
"""

from collections.abc import Mapping

import pyarrow as pa

from dipstream.mirror.progress import Progress, Target
from dipstream.mirror.tail import RunTail
from dipstream.mirror.values import without_nul
from dipstream.table import Schema

__all__ = ["LOST", "Rows", "holds", "last_rows"]

LOST = "held rows that the run has not, after a power cut or from a backup; it is built anew"

Rows = Mapping[str, tuple[Schema, int, pa.Table]]
"""By table: its columns, a key, and the row of the run with that key; none if it has none."""


def last_rows(tail: RunTail, progress: Progress) -> Rows:
    """Return the run's own rows of the last numbers that a mirror says it has."""
    numbers = {
        "commits": progress.commit_number,
        "events": progress.event_id,
        "epochs": progress.epoch,
    }
    schemas = tail.schemas()
    return {
        table: (schemas[table], last, tail.range(table, schemas[table], last, last + 1))
        for table, last in numbers.items()
        if last >= 0
    }


def holds(target: Target, rows: Rows) -> bool:
    """Return whether a mirror has the same rows: they carry times, so no other is equal."""
    for table, (columns, last, ours) in rows.items():
        theirs = target.rows(table, columns, last, last + 1)
        if ours.num_rows == 0 or not without_nul(ours).equals(
            without_nul(theirs.cast(ours.schema))
        ):
            return False
    return True
