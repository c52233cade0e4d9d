"""Holds everything that a run has written against everything that must be true of it."""

import time
from collections.abc import Callable, Iterator
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dipstream.errors import StoreError
from dipstream.frame import FrameInfo, Segment
from dipstream.store.connection import Connection, quoted
from dipstream.store.findings import Counter, Finding, Verification
from dipstream.store.folder import RunFolder, RunRecord
from dipstream.store.lock import RunLock
from dipstream.store.reread import KnownFile, reread
from dipstream.store.rows import set_hash
from dipstream.store.rules import REPORT, Rule, fixed_rules, object_rules
from dipstream.store.schema import SCHEMA_VERSION, TABLES, objects_table

__all__ = ["verify_run"]

Ints = npt.NDArray[np.int64]

_SHOWN = 5
_SNAPSHOT = (
    "copy what can still be read with `dipstream runs snapshot RUN copy.db`, and look at the disk"
)
_SPILL_SUFFIXES = {".json", ".tmp"}


def verify_run(
    folder: RunFolder, *, deep: bool = False, progress: Callable[[str], None] = lambda _: None
) -> Verification:
    """Return what is wrong with a run, finished, killed or being written; nothing is changed.

    Parameters
    ----------
    folder
        The run's folder.
    deep
        Check every page and index of the table, and hash every file the frames came from again.
    progress
        Told, in words, what is being looked at.

    Raises
    ------
    StoreError
        If there is no table, or one of another version.
    """
    started = time.monotonic()
    record, written = folder.read(), RunLock(folder.path).taken
    state = "killed" if record.state == "running" and not written else str(record.state)
    with Connection(folder.table, read_only=True) as connection:
        _check_version(connection, folder.table)
        # One state of the table, however much is written meanwhile.
        connection.execute("BEGIN")
        findings = [*_sqlite(connection, deep=deep)]
        book = _Book(connection, record, folder, settled=not written)
        try:
            looks = [book.read, book.rules, book.sequences, book.counts, book.leftovers]
            for look in [*looks, book.contents] if deep else looks:
                progress(f"looking at the table: {look.__name__}")
                findings += look()
            files = book.files() if deep else []
        except StoreError as error:
            files = []
            findings.append(Finding("sqlite", f"the table cannot be read: {error}", _SNAPSHOT))
        connection.execute("ROLLBACK")
    notes = book.notes(state)
    if deep:
        progress(f"reading {len(files)} files again")
        changed, told = reread(files)
        findings += changed
        notes += told
    return Verification(
        run_id=record.run_id,
        folder=str(folder.path),
        state=state,
        deep=deep,
        accounting=book.accounting,
        drops=book.drops,
        counters=book.counters,
        rows=book.n_rows,
        epochs=book.n_rows.get("epochs", 0),
        findings=tuple(_named(finding, record.run_id) for finding in findings),
        notes=tuple(notes),
        seconds=round(time.monotonic() - started, 3),
    )


class _Book:
    """One state of a run's table, and what must be true of it."""

    def __init__(
        self, connection: Connection, record: RunRecord, folder: RunFolder, *, settled: bool
    ) -> None:
        self._connection = connection
        self._record = record
        self._folder = folder
        self._settled = settled
        self.kinds: list[str] = []
        self.accounting = {"received": 0}
        self.drops: dict[str, int] = {}
        self.n_rows: dict[str, int] = {}
        self.counters: tuple[Counter, ...] = ()

    def read(self) -> list[Finding]:
        """Count everything; nothing is judged yet."""
        execute = self._connection.execute
        self.kinds = [
            str(name)
            for (name,) in execute(
                "SELECT substr(name, 9) FROM sqlite_master WHERE type = 'table' "
                "AND name LIKE 'objects\\_%' ESCAPE '\\' ORDER BY rowid"
            )
        ]
        states = execute("SELECT state, count(*) FROM frames GROUP BY state")
        counts = {str(state): int(n) for state, n in states}
        names = ("analysed", "dropped", "quarantined", "late", "pending")
        self.accounting = {
            "received": sum(counts.values()),
            **{name: counts.get(name, 0) for name in names},
        }
        dropped = execute(
            "SELECT coalesce(reason, ''), count(*) AS n FROM frames WHERE state = 'dropped' "
            "GROUP BY 1 ORDER BY n DESC, 1"
        )
        self.drops = {str(reason): int(n) for reason, n in dropped}
        for name in (*TABLES, *map(objects_table, self.kinds)):
            self.n_rows[name] = int(execute(f"SELECT count(*) FROM {quoted(name)}")[0][0])
        self.counters = tuple(_counters(self._connection))
        return []

    def rules(self) -> Iterator[Finding]:
        """Yield what the rules find."""
        of_objects = [rule for kind in self.kinds for rule in object_rules(kind)]
        for rule in (*fixed_rules(), *of_objects):
            if self._settled or not rule.settled:
                yield from self._apply(rule)

    def sequences(self) -> Iterator[Finding]:
        """Yield the segments whose counter does not add up."""
        for one in self.counters:
            if not one.balanced:
                missing = one.last - one.first + 1 - one.received
                yield Finding(
                    "sequences",
                    f"segment {one.segment}: the numbers {one.first} to {one.last} lack {missing}, "
                    f"but the events tell of {one.gap} missing",
                    REPORT,
                )

    def counts(self) -> Iterator[Finding]:
        """Yield where sums disagree with what they are the sum of."""
        found: dict[int, int] = {}
        for kind in self.kinds:
            rows = self._connection.execute(
                f"SELECT set_id, count(*) FROM {quoted(objects_table(kind))} GROUP BY set_id"
            )
            for set_id, n in rows:
                found[int(set_id)] = found.get(int(set_id), 0) + int(n)
        told = self._connection.execute("SELECT set_id, n_objects FROM image_sets")
        wrong = [
            f"set {set_id} ({found.get(int(set_id), 0)} of {n})"
            for set_id, n in told
            if found.get(int(set_id), 0) != n
        ]
        if wrong:
            yield Finding(
                "objects",
                f"{len(wrong)} image sets have another number of objects than they say",
                REPORT,
                tuple(wrong[:_SHOWN]),
            )
        closed = self._record.accounting
        ended = self._settled and self._record.state != "running"
        if ended and {k: v for k, v in closed.items() if v} != {
            k: v for k, v in self.accounting.items() if v
        }:
            yield Finding(
                "record",
                f"run.json closed the book with {_words(closed)}, but the table has "
                f"{_words(self.accounting)}",
                "the table is what counts; `dipstream resume RUN` closes the book again",
            )

    def contents(self) -> Iterator[Finding]:
        """Yield the image sets whose hash is not that of their frames' pixels."""
        rows = self._connection.query(
            "SELECT s.set_id, s.content_hash, f.channel, f.z, f.content_hash AS pixels "
            "FROM image_sets s JOIN frames f ON f.set_id = s.set_id "
            "AND f.committed_ns = s.committed_ns WHERE s.content_hash IS NOT NULL ORDER BY s.set_id"
        )
        channels = {name: i for i, name in enumerate(self._record.channels)}
        columns = [column.to_pylist() for column in rows.columns]
        wrong = []
        for (set_id, told), group in groupby(zip(*columns, strict=True), itemgetter(0, 1)):
            frames = sorted((channels.get(row[2], -1), row[3], row[2], row[4]) for row in group)
            infos = [FrameInfo(Segment.unread(), name, z=z) for _, z, name, _ in frames]
            if set_hash(infos, [pixels for *_, pixels in frames]) != told:
                wrong.append(f"set {set_id}")
        if wrong:
            yield Finding(
                "sets",
                f"{len(wrong)} image sets have another content than their frames",
                REPORT,
                tuple(wrong[:_SHOWN]),
            )

    def leftovers(self) -> Iterator[Finding]:
        """Yield spilled pixels that nothing waits for any more."""
        spill = self._folder.path / "spill"
        if not self._settled or self.accounting["pending"] or not spill.is_dir():
            return
        files = [path for path in sorted(spill.iterdir()) if path.suffix not in _SPILL_SUFFIXES]
        if files:
            size = sum(path.stat().st_size for path in files)
            yield Finding(
                "spill",
                f"{len(files)} files with {size / 1e6:.1f} MB of spilled pixels are left over, "
                "though no frame is pending",
                f"`dipstream resume RUN` removes them; by hand, delete {spill}",
                tuple(path.name for path in files[:_SHOWN]),
            )

    def notes(self, state: str) -> list[str]:
        """Return what is no fault, but ought to be known."""
        notes = []
        if not self._settled:
            notes.append(
                "the run is being written: its newest frames may be pending, and the log and "
                "run.json are not final"
            )
        if state == "killed":
            notes.append(
                "the run was killed: `dipstream resume RUN` goes on with it. Frames that arrived "
                "in the last 50 ms before that may be in no row; those that can be read again "
                "come again"
            )
        if (epochs := self.n_rows.get("epochs", 0)) > 1:
            notes.append(
                f"{epochs} sessions have written the run. Where one was killed, frames that had "
                "arrived within the 50 ms before may be in no row, unless they came again"
            )
        return notes

    def files(self) -> list[KnownFile]:
        """Return every file the frames came from, as it was read last."""
        rows = self._connection.execute(
            # SQLite takes the other columns of a max() from the row that has it.
            "SELECT path, coalesce(file_hash, ''), coalesce(file_size, 0), max(version) "
            "FROM frames WHERE path IS NOT NULL AND state <> 'pending' GROUP BY path ORDER BY path"
        )
        return [KnownFile(str(path), str(digest), int(size)) for path, digest, size, _ in rows]

    def _apply(self, rule: Rule) -> Iterator[Finding]:
        rows = self._connection.execute(
            f"SELECT *, count(*) OVER () FROM ({rule.sql}) LIMIT {_SHOWN}"
        )
        if rows:
            problem = rule.problem.format(n=rows[0][-1])
            yield Finding(rule.check, problem, rule.advice, tuple(str(row[0]) for row in rows))


def _check_version(connection: Connection, path: Path) -> None:
    (version,) = connection.execute("PRAGMA user_version")[0]
    if version != SCHEMA_VERSION:
        raise StoreError(
            f"the table {path} has version {version}; this dipstream verifies version "
            f"{SCHEMA_VERSION}. Use the dipstream that made it"
        )


def _sqlite(connection: Connection, *, deep: bool) -> Iterator[Finding]:
    try:
        rows = connection.execute(f"PRAGMA {'integrity_check' if deep else 'quick_check'}(20)")
    except StoreError as error:
        rows = [(str(error),)]
    problems = [str(text) for (text,) in rows if text != "ok"]
    if problems:
        yield Finding(
            "sqlite",
            "SQLite finds the table damaged",
            _SNAPSHOT,
            tuple(problems[:_SHOWN]),
        )


def _counters(connection: Connection) -> Iterator[Counter]:
    """Yield the device's counter of each segment, as admission counted it."""
    rows = connection.query(
        "SELECT coalesce(segment, -1) AS segment, seq, coalesce(received_ns, 0) AS received_ns "
        "FROM frames WHERE seq IS NOT NULL ORDER BY frame_id"
    )
    if not rows.num_rows:
        return
    begun = connection.query("SELECT begun_ns FROM epochs ORDER BY epoch")
    session = np.searchsorted(_numbers(begun, "begun_ns"), _numbers(rows, "received_ns"))
    segment = _numbers(rows, "segment")
    seq = _numbers(rows, "seq")
    # A frame that was refused has no segment; it was counted in the one that was open.
    last_known = np.maximum.accumulate(np.where(segment >= 0, np.arange(len(segment)), -1))
    counted_in = np.where(last_known >= 0, segment[last_known], -1)
    for number in np.unique(counted_in[counted_in >= 0]).tolist():
        here = counted_in == number
        refused = segment[here] < 0
        counter = _counter(connection, number, seq[here], refused)
        # Before the first good frame of a session no counter of a camera is open: whether the
        # source counts on is not in the table.
        early = refused & (session[here] != session[last_known[here]])
        if not counter.balanced and early.any():
            counter = _counter(connection, number, seq[here][~early], refused[~early])
        yield counter


def _counter(connection: Connection, number: int, seq: Ints, refused: Any) -> Counter:
    before = np.maximum.accumulate(np.concatenate([seq[:1] - 1, seq[:-1]]))
    # One that went back did not count: the next good frame opens a segment.
    counts = ~(refused & (seq <= before))
    first, last = int(seq[0]), int(seq[counts].max())
    gap = connection.execute(
        # The event of a gap is written before the frame behind it.
        "SELECT total(n) FROM events WHERE kind = 'gap' AND segment = ? AND first_seq <= ?",
        (number, last),
    )
    return Counter(number, first, last, int(counts.sum()), int(gap[0][0]))


def _numbers(rows: Any, name: str) -> Ints:
    found: Ints = rows.column(name).to_numpy().astype(np.int64)
    return found


def _words(counts: dict[str, int]) -> str:
    return ", ".join(f"{n} {name}" for name, n in counts.items() if n) or "nothing"


def _named(finding: Finding, run_id: str) -> Finding:
    advice = finding.advice.replace("RUN", run_id)
    return Finding(finding.check, finding.problem, advice, finding.examples)
