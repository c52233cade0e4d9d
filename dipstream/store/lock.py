"""One writer a run: a lock file held by the operating system as long as the process lives.

The lock keeps honest processes apart and names the holder. It is not what a run's safety rests on:
where there are no locks, as on some network shares, and where one was taken from a holder that
hangs, the epoch in the table decides who may commit.
"""

import errno
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from dipstream.errors import StoreError

__all__ = ["RunLock"]

_TAKEN = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK)

if sys.platform == "win32":  # not run here
    import msvcrt

    def _try_lock(file: IO[str]) -> None:
        # Far behind the text, so that others can still read who holds it.
        file.seek(1 << 20)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _try_lock(file: IO[str]) -> None:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)


class RunLock:
    """Holds ``run.lock`` in a run's folder; raises `StoreError` naming the holder if it is taken.

    The lock goes with the process, however it ends; the file stays and means nothing by itself.

    Parameters
    ----------
    folder
        The run's.
    steal
        Take it from a holder that hangs. Once a writer has opened the table with it, the old
        holder cannot commit any more, should it wake up.

    Attributes
    ----------
    problem
        Why there is no lock although the run was entered; empty if there is one.
    holder
        This process, as others are told.
    stolen_from
        Who held the lock that was taken away; empty if nobody did.
    """

    def __init__(self, folder: Path, *, steal: bool = False) -> None:
        self._path = folder / "run.lock"
        self._steal = steal
        self._file: IO[str] | None = None
        self.problem = ""
        self.stolen_from = ""
        self.holder = (
            f"process {os.getpid()} on {platform.node() or 'this computer'} "
            f"since {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
        )

    def __enter__(self) -> Self:
        file = self._open(self._path)
        # Between opening and locking somebody may have put another file in its place.
        while (holder := self._lock(file)) is None and not self._is_in_place(file):
            file.close()
            file = self._open(self._path)
        if holder is not None:
            file.close()
            if not self._steal:
                raise StoreError(
                    f"the run in {self._path.parent} is being written by {holder}; stop that one "
                    "first, or start a run of its own with --new. If it hangs for good, "
                    "`dipstream resume --take-over` takes the run from it"
                )
            self.stolen_from = holder
            file = self._replaced()
        self._write(file)
        self._file = file
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    @property
    def taken(self) -> bool:
        """Whether another process holds the lock at this moment."""
        return self.current_holder is not None

    @property
    def current_holder(self) -> str | None:
        """Who holds the lock at this moment, in words; None if nobody does."""
        try:
            file = self._open(self._path)
        except StoreError as error:
            return str(error)
        with file:
            return self._lock(file)

    def _open(self, path: Path) -> IO[str]:
        try:
            return path.open("a+", encoding="utf-8")
        except OSError as error:
            raise StoreError(
                f"the run in {self._path.parent} cannot be locked ({error.strerror}); check that "
                "you may write there"
            ) from error

    def _lock(self, file: IO[str]) -> str | None:
        """Lock a file; return who has it if that is somebody else."""
        try:
            _try_lock(file)
        except OSError as error:
            if error.errno in _TAKEN:
                file.seek(0)
                return file.read(200).strip() or "another process"
            self.problem = (
                f"the run cannot be locked where it lies ({error.strerror}): see that no other "
                "process writes it. Who opened it last can commit, the other one ends"
            )
        return None

    def _is_in_place(self, file: IO[str]) -> bool:
        try:
            return os.path.samestat(os.fstat(file.fileno()), self._path.stat())
        except FileNotFoundError:
            return False

    def _replaced(self) -> IO[str]:
        """Put a file of our own, locked, in the place of the one that is held."""
        mine = self._path.with_name(f"run.lock.{os.getpid()}")
        file = self._open(mine)
        self._lock(file)
        try:
            mine.replace(self._path)
        except OSError as error:  # as on Windows, where a file in use cannot be replaced
            self.problem = (
                f"the lock could not be taken from its holder ({error.strerror}): it cannot commit "
                "any more, but is still named as the holder until it ends"
            )
        return file

    def _write(self, file: IO[str]) -> None:
        try:
            file.seek(0)
            file.truncate()
            file.write(self.holder)
            file.flush()
        except OSError as error:
            file.close()
            raise StoreError(
                f"the run in {self._path.parent} cannot be locked ({error.strerror}); make room"
            ) from error
