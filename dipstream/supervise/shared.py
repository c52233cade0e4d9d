"""Memory that a parent and its child share, with no name that could be left behind."""

import mmap
import os
import sys
import tempfile

__all__ = ["Mapped", "Region"]

_FIRST = 1 << 20
_LARGE = 64 << 20
_MFD_CLOEXEC, _MFD_ALLOW_SEALING = 1, 2
_F_ADD_SEALS, _F_SEAL_SHRINK = 1033, 2


class Region:
    """The parent's side: it owns the memory and alone decides how large it is.

    A child cannot shrink it (on Linux), which would kill whoever reads it.
    """

    def __init__(self, size: int = _FIRST) -> None:
        self.size = 0
        self.fd = -1
        self.name = ""
        if sys.platform == "win32":
            self.name = f"dipstream-{os.getpid()}-{id(self)}-{os.urandom(4).hex()}"
        else:
            self.fd = _unnamed_file()
        self.map: mmap.mmap | None = None
        self.ensure(size)

    @property
    def handle(self) -> str:
        """What the child needs to find the memory: a file descriptor, or a name on Windows."""
        return self.name if sys.platform == "win32" else str(self.fd)

    def ensure(self, size: int) -> mmap.mmap:
        """Return the memory, with at least so many bytes."""
        if self.map is None or size > self.size:
            self.size = _rounded(max(size, _FIRST))
            if self.map is not None:
                self.map.close()
            if self.fd >= 0:
                os.ftruncate(self.fd, self.size)
            self.map = _map(self.handle, self.size)
        return self.map

    def tidy(self) -> None:
        """Give the pages of a large region back to the system."""
        if self.map is not None and self.size > _LARGE and hasattr(mmap, "MADV_REMOVE"):
            self.map.madvise(mmap.MADV_REMOVE)

    def close(self) -> None:
        """Let go of the memory; may be called twice."""
        if self.map is not None:
            self.map.close()
            self.map = None
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class Mapped:
    """The child's side."""

    def __init__(self, handle: str) -> None:
        self._handle = handle
        self._size = 0
        self._map: mmap.mmap | None = None

    def at(self, size: int) -> mmap.mmap:
        """Return the memory after the parent said how large it is now."""
        if self._map is None or size != self._size:
            if self._map is not None:
                self._map.close()
            self._map, self._size = _map(self._handle, size), size
        return self._map


def _unnamed_file() -> int:
    if sys.platform == "linux":
        import fcntl  # noqa: PLC0415 - POSIX only

        fd = os.memfd_create("dipstream", _MFD_CLOEXEC | _MFD_ALLOW_SEALING)
        fcntl.fcntl(fd, _F_ADD_SEALS, _F_SEAL_SHRINK)
    else:
        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    return fd


def _map(handle: str, size: int) -> mmap.mmap:
    if sys.platform == "win32":  # one section for each size; Windows cannot let one grow
        return mmap.mmap(-1, size, tagname=f"{handle}-{size}")
    return mmap.mmap(int(handle), size)


def _rounded(size: int) -> int:
    """Return a size with some room to grow, so that few sizes are mapped."""
    return 1 << (size - 1).bit_length() if size < _LARGE else -(-size // _LARGE) * _LARGE
