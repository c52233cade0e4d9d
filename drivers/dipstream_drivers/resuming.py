"""Going on where a run was interrupted: what is in the book is not read again."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from dipstream.errors import ReadError
from dipstream.source import SeenFrame
from dipstream_drivers.files import FileState, content_hash
from dipstream_drivers.intake import Intake
from dipstream_drivers.ledger import Done, Pending
from dipstream_drivers.places import Place
from dipstream_drivers.survey import Survey
from dipstream_drivers.unpack import OpenFile
from dipstream_drivers.versions import Versions

__all__ = ["Resuming"]


@dataclass(slots=True)
class _Seen:
    """All that the book holds of the newest version of a file.

    Attributes
    ----------
    planes
        Plane number to time point.
    finished
        The planes that must not come again.
    """

    state: FileState
    digest: str
    version: int
    expected: int
    planes: dict[int, int] = field(default_factory=dict)
    finished: set[int] = field(default_factory=set)

    @property
    def known(self) -> bool:
        """Whether every frame of the file is in the book."""
        return len(self.planes) == self.expected

    @property
    def times(self) -> range:
        """The time points that are in the book."""
        return range(min(self.planes.values()), max(self.planes.values()) + 1)

    @property
    def whole(self) -> bool:
        """Whether every frame of the file is finished."""
        return len(self.finished) == self.expected


class Resuming:
    """Brings what is in the book back into a watch's memory."""

    def __init__(self, survey: Survey, intake: Intake, versions: Versions) -> None:
        self._survey = survey
        self._intake = intake
        self._versions = versions
        self._files: dict[str, _Seen] = {}

    def note(self, seen: Iterable[SeenFrame]) -> None:
        """Sort the frames in the book by file."""
        for frame in seen:
            origin = frame.origin
            if origin is None:
                continue
            known = self._files.get(origin.path)
            if known is None or frame.version > known.version:
                known = self._files[origin.path] = _Seen(
                    FileState(origin.size, origin.mtime_ns, origin.inode),
                    origin.content_hash,
                    frame.version,
                    origin.planes,
                )
            if frame.version == known.version:
                known.planes[origin.plane] = frame.t
                if frame.finished:
                    known.finished.add(origin.plane)
            self._intake.unpacker.position_number(frame.position)

    def expect(self, now: float, stopping: Callable[[], bool]) -> None:
        """Wait for the files of which not all planes are finished; `enter` is for the others.

        A file of which the book does not say how many frames it makes is opened, not decoded.
        """
        due = {path: seen for path, seen in self._files.items() if not seen.whole}
        # What else such a file holds has the time points after those of all others.
        if not all(seen.known for seen in due.values()):
            self.enter(stopping)
        waiting: list[tuple[Pending, _Seen]] = []
        for order, (path, seen) in enumerate(due.items()):
            if (place := self._survey.place(path)) is not None:
                self._enter(place, seen)
                skip = frozenset(seen.finished)
                waiting.append((Pending(place, seen.state, now, skip=skip, order=order), seen))
        for pending, seen in waiting:
            if stopping():
                return
            self._expect(pending, seen)

    def enter(self, stopping: Callable[[], bool]) -> None:
        """Enter the files that are finished: the first look will find those that changed since."""
        files, self._files = self._files, {}
        for path, seen in files.items():
            if stopping():
                return
            if seen.whole and (place := self._survey.place(path)) is not None:
                self._enter(place, seen)

    def _enter(self, place: Place, seen: _Seen) -> None:
        times = seen.times
        for t in seen.planes.values():
            self._intake.times.reserve(place, t)
        self._put(place, seen, times)
        if seen.version > 1:
            self._versions.known(place, times[0], seen.version)

    def _expect(self, pending: Pending, seen: _Seen) -> None:
        """Wait for a file that is not finished, unless its frames turn out to be all finished."""
        place = pending.place
        try:
            if not self._holds(pending, seen):
                return  # the first look will find it changed
            if seen.known:
                self._survey.expect(pending)
                return
            with self._intake.unpacker.open(place) as opened:
                times, missing = _compare(opened, seen)
        except (OSError, ReadError):
            self._put(place, seen, seen.times, broken=True)
            if seen.finished != seen.planes.keys():
                self._survey.expect(pending)
            return
        self._put(place, seen, times)
        if missing:
            self._survey.expect(pending)

    def _holds(self, pending: Pending, seen: _Seen) -> bool:
        """Whether a file holds what was seen of it, also if it was only touched or copied since."""
        path, state = pending.place.path, FileState.of(pending.place.path)
        if state == seen.state:
            return True
        try:
            if not seen.digest or content_hash(path) != seen.digest:
                return False
        except ReadError:
            return False
        seen.state = pending.state = state
        self._put(pending.place, seen, seen.times)
        return True

    def _put(self, place: Place, seen: _Seen, times: range, *, broken: bool = False) -> None:
        done = Done(seen.state, seen.digest, times, seen.version, broken)
        self._intake.ledger.put(place.path, done)


def _compare(opened: OpenFile, seen: _Seen) -> tuple[range, bool]:
    """Return the times of the whole file, and whether any of its planes was not seen."""
    found = {picture.plane.number: picture.plane.t for picture in opened.pictures}
    starts = [t - found[number] for number, t in seen.planes.items() if number in found]
    start = min(starts, default=min(seen.planes.values()))
    return range(start, start + opened.time_points), not found.keys() <= seen.finished
