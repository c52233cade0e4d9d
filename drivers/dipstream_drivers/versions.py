"""Which version of its image set a file belongs to.

Where the names of files tell channels or planes apart, an image set is made of several files.
If one of them is rewritten, all of them are handed on again with the next version, so that the
set can be measured anew. With planes of a stack in several files the whole stack comes again.
"""

from collections.abc import Hashable, Iterator

from dipstream_drivers.files import FileState
from dipstream_drivers.ledger import Ledger, Pending
from dipstream_drivers.places import Place
from dipstream_drivers.survey import Survey

__all__ = ["Versions"]


class Versions:
    """Hands out versions, and remembers those above 1."""

    def __init__(self, ledger: Ledger, survey: Survey) -> None:
        self._ledger = ledger
        self._survey = survey
        self._current: dict[Hashable, int] = {}
        self._raised: dict[Hashable, int] = {}
        self._fresh: set[str] = set()

    def begin(self) -> None:
        """Begin with the files of one look."""
        self._raised.clear()
        self._fresh.clear()

    def of(self, pending: Pending) -> int:
        """Return the version of a file that is about to be read."""
        place = pending.place
        done = self._ledger.get(place.path)
        if done is not None and pending.order is not None:
            return done.version
        key = self._key(place, done.times[0] if done is not None and done.times else place.t)
        if key is None:
            return 1 if done is None else done.version + 1
        if key in self._raised:
            return self._raised[key]
        current = max(self._current.get(key, 1), done.version if done is not None else 1)
        return current if done is None else current + 1

    def taken(self, pending: Pending, version: int) -> None:
        """Note that a file was handed on."""
        path = pending.place.path
        done = self._ledger.get(path)
        if done is None or path in self._fresh:
            return
        self._fresh.add(path)
        key = self._key(pending.place, done.times[0])
        if key is not None and version > self._current.get(key, 1) and pending.order is None:
            self._raised[key] = version
        self._note(key, version)

    def known(self, place: Place, t: int, version: int) -> None:
        """Note the version of a file that an earlier session handed on, from this time point on."""
        self._note(self._key(place, t), version)

    def siblings(self, now: float) -> Iterator[tuple[Pending, int]]:
        """Yield the other files of the image sets that were rewritten, with their versions."""
        if not self._raised:
            return
        raised = dict(self._raised)
        times = {key[1] for key in raised if isinstance(key, tuple)}
        for path in list(self._ledger):
            done = self._ledger.get(path)
            if done is None or not done.times or done.times[0] not in times:
                continue
            place = self._survey.place(path)
            if place is None or path in self._fresh or self._survey.waiting(path):
                continue
            version = raised.get(self._key(place, done.times[0]))
            if version is not None and _state(path) == done.state:
                yield Pending(place, done.state, now), version

    def _note(self, key: Hashable, version: int) -> None:
        if key is not None and version > 1:
            self._current[key] = max(version, self._current.get(key, 1))

    def _key(self, place: Place, t: int | None) -> Hashable:
        """Return what the files of an image set have in common; None for a set of one file."""
        if place.channel is None and place.z is None:
            return None
        return place.position, t


def _state(path: str) -> FileState | None:
    try:
        return FileState.of(path)
    except OSError:
        return None  # the file is gone; the set is measured without it
