"""How kernels are compiled by numba, and kept on disk until one of their sources changes."""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar, cast

from numba import njit

__all__ = ["compiled", "forget_stale_kernels"]

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def forget_stale_kernels(room: Path, cache: Path) -> bool:
    """Delete compiled kernels that an older source made; return whether there were any to doubt.

    numba's cache on disk notices a change in a kernel's own file alone: after an update that
    changes a file which it calls, the old kernel would run on without a word.

    Parameters
    ----------
    room, cache
        The folder of the sources, and that of the compiled kernels.
    """
    digest = hashlib.sha256()
    for source in sorted((*room.glob("*.py"), Path(__file__))):
        digest.update(source.read_bytes())
    stamp = cache / "kernels.sha256"
    try:
        if stamp.read_text() == digest.hexdigest():
            return False
    except OSError:  # the first time
        pass
    # A folder that cannot be written is not where numba keeps its cache either.
    with suppress(OSError):
        for index in cache.glob("*.nb[ic]"):
            index.unlink(missing_ok=True)
        cache.mkdir(exist_ok=True)
        stamp.write_text(digest.hexdigest())
    return True


def compiled(kernel: Kernel) -> Kernel:
    """Compile a kernel when it is first called; it runs without the interpreter's lock.

    Products and sums may be contracted, but nothing is reordered: a result depends neither on how
    many threads made it, nor on where a row begins in memory.
    """
    jit = njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract", "nsz"})
    return cast("Kernel", jit(kernel))
