"""Events of the file system: they say when to look, never what there is."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer

from dipstream_drivers.places import Root

__all__ = ["Hints"]

# Opening and closing for reading are left out: those are this program's own doing.
TELLING: list[type[FileSystemEvent]] = [
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
]
FINISHED = ("moved", "closed")
MOST = 100_000


class Hints(FileSystemEventHandler):
    """Sets an event when something happens below the roots, and notes what was finished.

    If the system cannot watch (too many folders, a file system without events), the folders
    are polled, which they are in any case.
    """

    def __init__(self, roots: Sequence[Root], wake: threading.Event) -> None:
        super().__init__()
        self._roots = roots
        self._wake = wake
        self._finished: deque[str] = deque(maxlen=MOST)
        self._stop: Callable[[], None] | None = None

    def start(self) -> str:
        """Begin to listen; returns why that is not possible, or nothing."""
        self.stop()
        observer = Observer()
        observer.daemon = True
        try:
            for root in self._roots:
                observer.schedule(
                    self, str(root.path), recursive=root.recursive, event_filter=TELLING
                )
            observer.start()
        except (OSError, RuntimeError) as error:
            if observer.is_alive():
                observer.stop()
            return str(error)

        def stop() -> None:
            observer.stop()
            observer.join(1.0)

        self._stop = stop
        return ""

    def stop(self) -> None:
        """End listening; may be called twice."""
        if self._stop is not None:
            self._stop()
            self._stop = None

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Take note, in a few microseconds: whatever is slow here makes events queue up."""
        if event.event_type in FINISHED:
            path = event.dest_path if event.event_type == "moved" else event.src_path
            self._finished.append(str(Path(_text(path))))
        self._wake.set()

    def finished(self) -> set[str]:
        """Return the files that were closed or renamed since the last call."""
        found = set()
        while self._finished:
            found.add(self._finished.popleft())
        return found


def _text(path: bytes | str) -> str:
    return path if isinstance(path, str) else path.decode(errors="surrogateescape")
