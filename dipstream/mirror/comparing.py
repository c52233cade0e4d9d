"""Ships a run to a mirror once, and compares every row of the two."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from dipstream.mirror.align import LOST, holds, last_rows
from dipstream.mirror.progress import Moved, Progress, Target
from dipstream.mirror.tail import RunTail, range_key, unique_key
from dipstream.mirror.values import without_nul
from dipstream.store import RunRecord
from dipstream.table import Schema

__all__ = ["Comparison", "Difference", "catch_up", "compare"]

_KEPT = 1000
_AT_ONCE = 50_000
"""About so many rows of a table are compared at once."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A row that is not the same in a run and its mirror.

    Attributes
    ----------
    table, key
        Which one.
    what
        ``missing`` in the mirror, ``surplus`` there, or which columns ``differ``.
    """

    table: str
    key: tuple[Any, ...]
    what: str


@dataclass(slots=True)
class Comparison:
    """What a comparison has found.

    Attributes
    ----------
    behind
        Commits that the mirror lacks; their image sets and frames are not compared.
    rows
        Rows of the run that were compared, by table.
    n_differences, differences
        How many there are, and the first thousand of them.
    """

    behind: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    n_differences: int = 0
    differences: list[Difference] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        """Whether everything that was compared is the same."""
        return self.n_differences == 0


def catch_up(
    tail: RunTail,
    target: Target,
    record: RunRecord,
    tell: Callable[[Progress, int], None] = lambda _at, _newest: None,
    warn: Callable[[str], None] = lambda _: None,
) -> Progress:
    """Ship what a mirror lacks and return how far it is then; raises `StoreError`.

    Parameters
    ----------
    tail, target, record
        The run and its mirror.
    tell
        Told after each slice how far the mirror is, and the newest commit of the run.
    warn
        Told if the mirror has to be built anew.
    """
    progress = target.open(record)
    if not holds(target, last_rows(tail, progress)):
        warn(f"{target.name} {LOST}")
        target.clear()
        progress = Progress()
    tail.restart()
    while (batch := tail.read(progress)) is not None:
        try:
            target.write(batch)
            progress = batch.after
        except Moved as moved:
            progress = moved.progress
            tail.restart()
        tell(progress, tail.newest())
    return progress


def compare(tail: RunTail, target: Target, record: RunRecord) -> Comparison:
    """Compare every row of every table, in ranges; what is under way is left out."""
    progress = target.open(record, make=False)
    found = Comparison(behind=max(tail.newest() - max(progress.commit_number, 0), 0))
    for table, columns in tail.schemas().items():
        found.rows[table] = 0
        for low, high in _ranges(tail, target, table):
            ours = tail.range(table, columns, low, high)
            theirs = target.rows(table, columns, low, high)
            found.rows[table] += ours.num_rows
            for difference in _differences(table, columns, ours, theirs, tail, progress):
                found.n_differences += 1
                if len(found.differences) < _KEPT:
                    found.differences.append(difference)
    return found


def _ranges(
    tail: RunTail, target: Target, table: str
) -> Iterator[tuple[int, int] | tuple[None, None]]:
    key = range_key(table)
    if not key:
        yield None, None
        return
    last = max(tail.last_key(table), target.last_key(table))
    step = max(_AT_ONCE * (last + 1) // max(tail.count(table), last + 1, 1), 1)
    for low in range(0, last + 1, step):
        yield low, low + step


def _differences(
    table: str,
    columns: Schema,
    ours: pa.Table,
    theirs: pa.Table,
    tail: RunTail,
    progress: Progress,
) -> Iterator[Difference]:
    order = [(name, "ascending") for name in unique_key(table)]
    ours, theirs = without_nul(ours).sort_by(order), theirs.sort_by(order)
    theirs = without_nul(theirs.cast(ours.schema))
    if ours.equals(theirs):
        return
    under_way = _under_way(table, tail, progress)
    mine, other = _by_key(table, ours), _by_key(table, theirs)
    for key in sorted({*mine, *other}, key=str):
        a, b = mine.get(key, []), other.get(key, [])
        if a == b or any(under_way(row) for row in (*a, *b)):
            continue
        yield Difference(table, key, _what(columns, a, b))


def _by_key(table: str, rows: pa.Table) -> dict[tuple[Any, ...], list[dict[str, Any]]]:
    """Return rows by their key: more than one of a key is what is looked for, too."""
    found: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows.to_pylist():
        found.setdefault(tuple(row[name] for name in unique_key(table)), []).append(row)
    return found


def _what(columns: Schema, ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> str:
    if len(ours) == len(theirs) == 1:
        names = [name for name in columns.names if ours[0][name] != theirs[0][name]]
        return f"differs in {', '.join(names)}"
    if len(theirs) > len(ours):
        return "surplus in the mirror" if not ours else f"{len(theirs)} times in the mirror"
    return "missing in the mirror"


def _under_way(table: str, tail: RunTail, progress: Progress) -> Callable[[dict[str, Any]], bool]:
    """Return whether a row belongs to what the mirror was not given yet."""
    appended = {
        "commits": ("commit_number", progress.commit_number),
        "events": ("event_id", progress.event_id),
        "epochs": ("epoch", progress.epoch),
    }
    if table in appended:
        name, last = appended[table]
        return lambda row: bool(row[name] > last)
    sets, frames = tail.unsettled(progress.commit_number)
    return lambda row: row.get("set_id") in sets or row.get("frame_id") in frames
