"""Folds the write-ahead log into the table beside the writer, so that no commit has to."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from dipstream.errors import StoreError
from dipstream.store.connection import Connection

__all__ = ["Checkpointer"]

_TRIES = 3
"""Passive checkpoints in a row, each of what came during the one before."""

_FAR_TOO_LONG = 4
"""From this multiple of `keep_mb` on, a log is cut even though a reader may need it."""

_MOST_PATIENCE = 16
"""Each try to cut it waits twice as long as the one before, up to so many times as long."""

_REST = 20
"""After one of the longest in vain there is none for so many times as long."""


class Checkpointer:
    """Checkpoints a table from a thread and a connection of its own, until it is closed.

    Checkpoints are passive: they copy what no reader holds in the log, and nobody waits. A log that
    has been copied to its end is started anew by the next commit. Where commits follow each other
    too closely for that, or a reader has held on to an old state of the table, the log grows; once
    it is too long and nobody holds it, it is cut to nothing, which may keep the writer waiting for
    `patience_ms` and for what is left to copy; longer, where readers that follow each other need
    longer than that to get past it, but less than a tenth of the time while readers stay. A writer
    that leaves no time even for that makes a pause itself: see `relieve`.

    Parameters
    ----------
    table
        The database file; it is open for writing elsewhere in this process.
    failed
        Called once, from the thread, if a checkpoint fails: the disk is full, for one. None is
        made after that.
    every_s
        Time between two checkpoints.
    restart_mb
        From this length on a log is copied again at once, until a commit can start it anew.
    keep_mb
        A longer log is cut.
    patience_ms
        How long that may wait for the writer and for readers, the first time.
    clock
        Monotonic seconds.
    """

    def __init__(
        self,
        table: Path,
        failed: Callable[[StoreError], None],
        *,
        every_s: float = 0.5,
        restart_mb: float = 16.0,
        keep_mb: float = 64.0,
        patience_ms: int = 20,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._failed = failed
        self._every_s = every_s
        self._restart_bytes = restart_mb * 1e6
        self._keep_bytes = keep_mb * 1e6
        self._log = table.with_name(table.name + "-wal")
        self._ending = threading.Event()
        self._overdue = False
        self._patience_ms = self._least_patience_ms = patience_ms
        self._clock = clock
        self._rests_until = 0.0
        self._connection = Connection(table, busy_ms=patience_ms)
        try:
            (self._page_bytes,) = self._connection.execute("PRAGMA page_size")[0]
        except BaseException:
            self._connection.close()
            raise
        self._thread = threading.Thread(target=self._run, name="checkpointer", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the thread, then close the connection; may be called twice."""
        self._ending.set()
        self._thread.join()
        self._connection.close()

    def relieve(self, writer: Connection) -> None:
        """Between two transactions of the writer, copy the rest of a log that could not be cut.

        The next commit then starts it anew: without this, one that follows at once never would.
        """
        if self._overdue:
            self._overdue = False
            # What is wrong with the disk, the thread finds out and tells.
            with suppress(StoreError):
                writer.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def _run(self) -> None:
        try:
            while not self._ending.wait(self._every_s):
                self._checkpoint()
        except (StoreError, OSError) as error:
            self._failed(StoreError(f"the log could not be folded into the table: {error}"))

    def _checkpoint(self) -> None:
        pages, copied = self._fold("PASSIVE")
        for _ in range(_TRIES):
            if copied < pages or pages * self._page_bytes < self._restart_bytes:
                break
            # What came in the meantime is little. Copied between two commits, it leaves nothing
            # behind, and the next commit starts the log anew by itself.
            pages, copied = self._fold("PASSIVE")
        # A reader that needs the log would only keep the writer waiting in vain. But where readers
        # follow each other there always is one: only while nobody writes do they all get past it.
        length = self._log.stat().st_size
        resting = self._clock() < self._rests_until
        if copied == pages:
            if length > self._keep_bytes:
                # In a rest too, but as shortly as at first: whoever was in the way may be gone.
                pages, copied = self._cut(resting=resting)
        elif length > _FAR_TOO_LONG * self._keep_bytes and not resting:
            pages, copied = self._cut(resting=False)
        self._overdue = copied == pages and pages * self._page_bytes > self._keep_bytes

    def _cut(self, *, resting: bool) -> tuple[int, int]:
        """Cut the log to nothing; one that is still there will be waited for longer."""
        patience_ms = self._least_patience_ms if resting else self._patience_ms
        self._connection.execute(f"PRAGMA busy_timeout = {patience_ms}")
        pages, copied = self._fold("TRUNCATE")
        if not pages:
            self._patience_ms, self._rests_until = self._least_patience_ms, 0.0
        elif not resting:
            self._wait_longer_or_rest()
        return pages, copied

    def _wait_longer_or_rest(self) -> None:
        most_ms = _MOST_PATIENCE * self._least_patience_ms
        if self._patience_ms < most_ms:
            self._patience_ms *= 2
        else:
            # This reader may stay for good, and each try keeps the writer waiting.
            self._rests_until = self._clock() + _REST * most_ms / 1000

    def _fold(self, how: str) -> tuple[int, int]:
        """Return how many pages the log has, and how many of them are in the table."""
        _, pages, copied = self._connection.execute(f"PRAGMA wal_checkpoint({how})")[0]
        return int(pages), int(copied)
