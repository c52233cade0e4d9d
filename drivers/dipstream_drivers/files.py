"""The state and the content of files, apart from what they show."""

import os
from dataclasses import dataclass
from pathlib import Path

import xxhash

from dipstream.frame import Origin
from dipstream_drivers.readers.guard import reading

__all__ = ["FileState", "content_hash", "origin_of"]

CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class FileState:
    """What tells one state of a file from another without reading it."""

    size: int
    mtime_ns: int
    inode: int

    @classmethod
    def of(cls, path: str) -> "FileState":
        """Ask the file system."""
        found = os.stat(path)  # noqa: PTH116 - a Path a file costs more than the call
        return cls(found.st_size, found.st_mtime_ns, found.st_ino)


def content_hash(path: str) -> str:
    """Return the XXH3 (64 bits) of a file's bytes, as 16 hexadecimal digits."""
    digest = xxhash.xxh3_64()
    with reading(Path(path)), Path(path).open("rb") as file:
        while block := file.read(CHUNK):
            digest.update(block)
    return digest.hexdigest()


def origin_of(path: str, state: FileState, digest: str = "") -> Origin:
    """Return the origin that all frames of a file share."""
    return Origin(str(Path(path).absolute()), 0, state.size, state.mtime_ns, state.inode, digest)
