"""What a child process may use, and that it ends with its parent."""

import ctypes
import os
import signal
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

__all__ = ["Limits", "allow", "apply", "end_with_parent", "grant", "half_of_memory"]

_PR_SET_PDEATHSIG = 1
_LOOK_S = 1.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What a child may use; None is no limit.

    Attributes
    ----------
    memory
        Bytes of address space that a request may need beyond what was in use before it, and beyond
        the pixels that the header of a file declares (`allow`).
    data
        Bytes of private memory (`RLIMIT_DATA`); for libraries that reserve address space which they
        never use, as those of GPUs do.
    cpu_s
        Seconds of processor time, all threads together, for one request.
    wall_s
        Seconds for one request; then the child is killed.
    files
        Whether it may write files.
    """

    memory: int | None = 256 * 2**20
    data: int | None = None
    cpu_s: float | None = 60.0
    wall_s: float = 120.0
    files: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return the limits as JSON can hold them."""
        return asdict(self)


def half_of_memory() -> int | None:
    """Return half of the machine's memory in bytes; None if the system does not tell it."""
    if sys.platform == "win32":
        return None
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (ValueError, OSError):
        return None


def apply(limits: Limits) -> None:
    """Put this process under the limits that stay the same for all requests.

    On Windows the parent does it, with a job object.
    """
    if sys.platform != "win32":
        import resource  # noqa: PLC0415 - POSIX only

        _limit(resource.RLIMIT_CORE, 0)
        if not limits.files:
            # A file that would grow is an error then (EFBIG), not the end of the process.
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            _limit(resource.RLIMIT_FSIZE, 0)
        if limits.data is not None and sys.platform == "linux":
            _limit(resource.RLIMIT_DATA, limits.data)


class _Granted:
    """Up to where the address space of this process may grow in the current request."""

    bound: int | None = None


def grant(limits: Limits) -> None:
    """Let this process use what one request may use, from now on."""
    if sys.platform != "win32":
        import resource  # noqa: PLC0415 - POSIX only

        if limits.cpu_s is not None:
            _limit(resource.RLIMIT_CPU, int(time.process_time() + limits.cpu_s) + 1)
        if limits.memory is not None:
            _Granted.bound = _address_space() + limits.memory
            _limit(resource.RLIMIT_AS, _Granted.bound)


def allow(nbytes: int) -> None:
    """Make room for `nbytes` of pixels that a header truly declares; elsewhere does nothing."""
    if sys.platform != "win32" and _Granted.bound is not None:
        import resource  # noqa: PLC0415 - POSIX only

        # Stored bytes, pixels, a copy of them in another order, and the memory they leave through.
        _limit(resource.RLIMIT_AS, _Granted.bound + 4 * nbytes)


def _address_space() -> int:
    """Return the bytes of address space of this process; 1 GiB where nobody tells it."""
    told = Path("/proc/self/statm")
    if sys.platform != "linux" or not told.exists():
        return 2**30
    return int(told.read_text(encoding="ascii").split()[0]) * os.sysconf("SC_PAGE_SIZE")


def _limit(what: int, value: int) -> None:
    """Set a soft limit, as high as the hard one allows."""
    if sys.platform != "win32":
        import resource  # noqa: PLC0415 - POSIX only

        _, hard = resource.getrlimit(what)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(what, (value, hard))


def end_with_parent(parent: int) -> None:
    """Let this process be killed when its parent ends, whatever it is doing."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before we asked
            os._exit(1)
    elif sys.platform != "win32":  # on Windows the job object does it
        threading.Thread(target=_watch_parent, args=(parent,), daemon=True).start()


def _watch_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK_S)
    os._exit(1)
