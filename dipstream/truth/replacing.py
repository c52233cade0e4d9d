"""Files that readers see whole: written under another name and put in place; and named if not."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["naming", "replacing"]

_ATTEMPTS = 50


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a name to write to; what was written becomes `path` at the end, as one."""
    fresh = path.with_name(f"{path.name}.new")
    with naming(path):
        try:
            yield fresh
            _replace(fresh, path)
        except OSError:
            fresh.unlink(missing_ok=True)
            raise


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Name the file in what the system says: of a full disk, it does not."""
    try:
        yield
    except OSError as error:
        if error.filename is not None:
            raise
        if error.errno is None:  # numpy says how many bytes it could not write, and nothing else
            raise OSError(f"{path}: {error}; is the disk full?") from error
        raise OSError(error.errno, error.strerror, str(path)) from error


def _replace(source: Path, target: Path) -> None:
    # On Windows a reader that has the file open makes this fail for a moment.
    for attempt in range(_ATTEMPTS):
        try:
            source.replace(target)
        except PermissionError:
            if attempt == _ATTEMPTS - 1:
                raise
            time.sleep(0.02)
        else:
            return
