"""One look at the watched folders: what is new, what changed, what is ready to be read."""

import errno
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from dipstream.source import SourceEvent
from dipstream_drivers.files import FileState
from dipstream_drivers.ledger import Ledger, Pending
from dipstream_drivers.places import Place, Placer, Root
from dipstream_drivers.scan import walk
from dipstream_drivers.unpack import Unpacker

__all__ = ["Survey", "Timing"]

SHORT_S = 0.1
"""How long a file must stay as it is after the system said that it is finished."""


@dataclass(frozen=True, slots=True)
class Timing:
    """When to look and how long to wait, in seconds; see `open_watch`."""

    poll_s: float = 0.5
    stable_polls: int = 2
    broken_after_s: float = 10.0
    rescan_s: float = 5.0


class Survey:
    """Keeps the files that are waited for.

    Attributes
    ----------
    ignored
        Files passed over in the last look.
    returned
        A folder that had vanished was back in the last look.
    """

    def __init__(
        self,
        roots: Sequence[Root],
        placer: Placer,
        unpacker: Unpacker,
        ledger: Ledger,
        timing: Timing,
        report: Callable[[SourceEvent], None],
    ) -> None:
        self.roots = roots
        self._folders = [(root, os.path.join(root.path, "")) for root in roots]  # noqa: PTH118
        self.ignored = 0
        self.returned = False
        self._placer = placer
        self._unpacker = unpacker
        self._ledger = ledger
        self._timing = timing
        self._report = report
        self._pending: dict[str, Pending] = {}
        self._lost: dict[str, str] = {}
        self._rescanned = float("-inf")

    def look(self, now: float, finished: set[str]) -> list[Pending]:
        """List the folders and return the files that are ready to be read."""
        rescan = now - self._rescanned >= self._timing.rescan_s
        if rescan:
            self._rescanned = now
        self.ignored = 0
        failed: dict[str, OSError] = {}
        met: set[str] = set()
        for root in self.roots:
            for relative, entry in walk(root, failed.__setitem__):
                self._meet(root, relative, entry, now, rescan=rescan, met=met)
        self._tell(failed)
        if not failed:  # what cannot be listed is not gone
            for path in [path for path in self._pending if path not in met]:
                del self._pending[path]
        for path in finished & self._pending.keys():
            self._pending[path].hinted = True
        return [pending for pending in self._pending.values() if self._ready(pending, now)]

    def _meet(
        self,
        root: Root,
        relative: str,
        entry: "os.DirEntry[str]",
        now: float,
        *,
        rescan: bool,
        met: set[str],
    ) -> None:
        path = entry.path
        pending = self._pending.get(path)
        try:
            if pending is None and path in self._ledger:
                if not rescan or self._same(path, entry):
                    return
            elif pending is not None:
                met.add(path)
                pending.see(FileState.of(path), now)
                return
            place = self._placer.place_relative(root, path, relative)
            if place is None or not self._unpacker.wants(place):
                self.ignored += 1
                return
            self._pending[path] = Pending(place, FileState.of(path), now)
            met.add(path)
        except OSError:
            met.discard(path)  # gone between listing and asking

    def _same(self, path: str, entry: "os.DirEntry[str]") -> bool:
        found = entry.stat()  # on Windows without an inode, which is then 0
        return self._ledger.same(path, found.st_size, found.st_mtime_ns, found.st_ino)

    def _ready(self, pending: Pending, now: float) -> bool:
        if pending.checks < 1 or now < pending.retry:
            return False
        poll_s = self._timing.poll_s
        needed = min(poll_s, SHORT_S) if pending.hinted else poll_s * self._timing.stable_polls
        return now - pending.changed >= needed * 0.999  # sleeping is not that exact

    def overdue(self, pending: Pending, now: float) -> bool:
        """Whether a file has not changed for so long that it will not be whole any more."""
        return now - pending.changed >= self._timing.broken_after_s

    def postpone(self, pending: Pending, now: float) -> None:
        """Try a file again later: after twice the time it has waited, but once it is overdue."""
        waited = now - pending.changed
        later = pending.changed + max(2 * waited, self._timing.poll_s)
        last = pending.changed + self._timing.broken_after_s
        pending.retry = min(later, last) if now < last else now + self._timing.poll_s

    def settle(self, pending: Pending) -> None:
        """Stop waiting for a file."""
        self._pending.pop(pending.place.path, None)

    def expect(self, pending: Pending) -> None:
        """Read a file that is known already, as soon as it is found as it was."""
        pending.changed -= self._timing.poll_s * self._timing.stable_polls
        self._pending[pending.place.path] = pending

    def expected(self, now: float) -> list[Pending]:
        """Return those of the files to `expect` that are as they were, without a look at all."""
        for pending in self._pending.values():
            with suppress(OSError):  # gone, or its folder: the first look will tell
                pending.see(FileState.of(pending.place.path), now)
        return [pending for pending in self._pending.values() if self._ready(pending, now)]

    def waiting(self, path: str) -> bool:
        """Whether a file is waited for."""
        return path in self._pending

    def place(self, path: str) -> Place | None:
        """Return the place of a path below one of the roots."""
        for root, folder in self._folders:  # which ends in a separator
            if path.startswith(folder):
                relative = path.removeprefix(folder).replace(os.sep, "/")
                return self._placer.place_relative(root, path, relative)
        return None

    def pause(self) -> float:
        """Return how long to wait for the next look."""
        hinted = any(pending.hinted and not pending.retry for pending in self._pending.values())
        return min(self._timing.poll_s, SHORT_S) if hinted else self._timing.poll_s

    def _tell(self, failed: dict[str, OSError]) -> None:
        """Report folders that vanished, once, and those that came back."""
        roots = {os.fspath(root.path) for root in self.roots}
        gone = {
            path: error.strerror or str(error)
            for path, error in failed.items()
            # A subfolder that was deleted while it was listed is not lost.
            if path in roots or error.errno not in (errno.ENOENT, errno.ENOTDIR)
        }
        for path in gone.keys() - self._lost.keys():
            self._report(
                SourceEvent(
                    "degraded",
                    f"the folder {path} cannot be listed "
                    f"({gone[path]}). It is looked for again and again; mount it or mend its "
                    "permissions",
                )
            )
        back = self._lost.keys() - gone.keys()
        for path in back:
            self._report(SourceEvent("recovered", f"the folder {path} can be listed again"))
        self.returned = bool(back)
        self._lost = gone
