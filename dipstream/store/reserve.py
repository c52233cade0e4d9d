"""A file that holds some room on the disk, to be given up when there is none left."""

import errno
import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

__all__ = ["Reserve", "disk_is_full"]

_CHUNK = 1 << 20
_FULL = {errno.ENOSPC, errno.EDQUOT} if hasattr(errno, "EDQUOT") else {errno.ENOSPC}
_ALMOST_NOTHING = 256_000
_FOR_RECORD = 1 << 18  # run.json, and the new one before it takes its place


class Reserve:
    """Holds room in a folder while it is entered.

    When the disk is full, `release` makes room so that how the run ended can still be written.
    Every process has a file of its own, so that one that has lost the run takes nothing from the
    one that has it; what a killed process left behind is removed.

    Parameters
    ----------
    folder
        The run's folder.
    mb
        How much, in MB (10⁶ bytes); 0 for none.
    """

    def __init__(self, folder: Path, mb: float) -> None:
        self._folder = folder
        self._path = folder / f"reserve.{os.getpid()}"
        self._last = folder / f"reserve-last.{os.getpid()}"
        self._bytes = int(mb * 1e6)
        self.released = False
        self.problem = ""

    def __enter__(self) -> Self:
        for old in [*self._folder.glob("reserve.*"), *self._folder.glob("reserve-last.*")]:
            with suppress(OSError):
                old.unlink()
        if self._bytes:
            try:
                _allocate(self._path, self._bytes)
                _allocate(self._last, _FOR_RECORD)
            except OSError as error:
                self._remove()
                self.problem = (
                    f"no reserve of {self._bytes / 1e6:g} MB could be made in {self._folder}: "
                    f"{error.strerror or error}. Make room: a full disk could not be told of"
                )
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._remove()
        self.release_last()

    def release(self, error: BaseException) -> bool:
        """Give up the room if this error comes of a full disk; return whether it was given up."""
        if not self.released and self._path.exists() and disk_is_full(error, self._folder):
            self._remove()
            self.released = True
        return self.released

    def release_last(self) -> None:
        """Give up the room for `run.json`, just before it is written for the last time.

        What was released before may be gone again: folding the log into the table takes it.
        """
        with suppress(OSError):
            self._last.unlink(missing_ok=True)

    def _remove(self) -> None:
        with suppress(OSError):
            self._path.unlink(missing_ok=True)


def disk_is_full(error: BaseException, folder: Path) -> bool:
    """Return whether an error, or one that led to it, says that the disk of a folder is full."""
    cause: BaseException | None = error
    while cause is not None:
        if (isinstance(cause, OSError) and cause.errno in _FULL) or "disk is full" in str(cause):
            return True
        cause = cause.__cause__ or cause.__context__
    try:
        return shutil.disk_usage(folder).free < _ALMOST_NOTHING
    except OSError:
        return False


def _allocate(path: Path, n_bytes: int) -> None:
    with path.open("wb") as file:
        if sys.platform == "linux":
            try:
                os.posix_fallocate(file.fileno(), 0, n_bytes)
            except OSError as error:
                if error.errno not in {errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS}:
                    raise
            else:
                return
        # Bytes that no file system can compress away.
        for start in range(0, n_bytes, _CHUNK):
            file.write(os.urandom(min(_CHUNK, n_bytes - start)))
