"""One writer a run: a lock file held by the operating system as long as the process lives."""

import os
import sys
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from dipstream.errors import StoreError

__all__ = ["RunLock"]

if sys.platform == "win32":
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
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "run.lock"
        self._file: IO[str] | None = None

    def __enter__(self) -> Self:
        try:
            file = self._path.open("a+", encoding="utf-8")
        except OSError as error:
            raise StoreError(
                f"the run in {self._path.parent} cannot be locked ({error.strerror}); check that "
                "you may write there"
            ) from error
        try:
            _try_lock(file)
        except OSError as error:
            file.seek(0)
            holder = file.read(200).strip() or "another process"
            file.close()
            raise StoreError(
                f"the run in {self._path.parent} is being written by {holder}; stop that one "
                "first, or start a run of its own with --new"
            ) from error
        file.seek(0)
        file.truncate()
        file.write(f"process {os.getpid()}")
        file.flush()
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
        try:
            with RunLock(self._path.parent):
                return False
        except StoreError:
            return True
