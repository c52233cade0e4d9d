"""What a watched folder remembers of its files: a few bytes each, so that millions fit."""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dipstream_drivers.files import FileState
from dipstream_drivers.places import Place

__all__ = ["Done", "Ledger", "Pending"]

RECORD = struct.Struct("<QqQQqIIB")
WORD = 2**64 - 1


@dataclass(frozen=True, slots=True)
class Done:
    """A file that was handed on: in which state, with which times and version.

    Attributes
    ----------
    broken
        It was handed on as broken, wholly or in part.
    """

    state: FileState
    digest: str
    times: Sequence[int]
    version: int = 1
    broken: bool = False


@dataclass(slots=True)
class Pending:
    """A file that is waited for: growing, waiting to be stable, or not yet readable.

    Attributes
    ----------
    changed
        When it was last seen to change, on the monotonic clock.
    checks
        How often it was found unchanged since.
    hinted
        The system said that it was closed or renamed into place.
    retry
        When a file that could not be read is tried again.
    skip
        Planes that were finished before the run was interrupted.
    order
        Where the file stood among those that were not finished then; None for any other.
    """

    place: Place
    state: FileState
    changed: float
    checks: int = 0
    hinted: bool = False
    retry: float = 0.0
    skip: frozenset[int] = frozenset()
    order: int | None = None

    def see(self, state: FileState, now: float) -> None:
        """Take note of the file's state."""
        if state == self.state:
            self.checks += 1
            return
        self.state, self.changed = state, now
        self.checks, self.retry, self.hinted = 0, 0.0, False
        self.skip, self.order = frozenset(), None


class Ledger:
    """The files that were handed on, packed."""

    def __init__(self) -> None:
        self._records: dict[str, bytes] = {}
        self._odd: dict[str, tuple[int, ...]] = {}

    def __contains__(self, path: str) -> bool:
        return path in self._records

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[str]:
        return iter(self._records)

    def put(self, path: str, done: Done) -> None:
        """Remember a file."""
        state, times = done.state, done.times
        first = times[0] if times else 0
        self._odd.pop(path, None)
        if not isinstance(times, range) and list(times) != list(range(first, first + len(times))):
            self._odd[path] = tuple(times)
        self._records[path] = RECORD.pack(
            state.size,
            state.mtime_ns,
            state.inode & WORD,
            int(done.digest or "0", 16) & WORD,
            first,
            len(times),
            done.version,
            done.broken | (2 if done.digest else 0),
        )

    def get(self, path: str) -> Done | None:
        """Return what is remembered of a file."""
        record = self._records.get(path)
        if record is None:
            return None
        size, mtime_ns, inode, digest, first, count, version, flags = RECORD.unpack(record)
        return Done(
            FileState(size, mtime_ns, inode),
            f"{digest:016x}" if flags & 2 else "",
            self._odd.get(path, range(first, first + count)),
            version,
            bool(flags & 1),
        )

    def same(self, path: str, size: int, mtime_ns: int, inode: int) -> bool:
        """Whether a file is in the state it was handed on in; inode 0 means nobody knows."""
        known_size, known_mtime, known_inode = RECORD.unpack(self._records[path])[:3]
        return (size, mtime_ns) == (known_size, known_mtime) and (
            not inode or not known_inode or inode & WORD == known_inode
        )
