"""Reading the files that make up image sets together, whichever file holds which plane."""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from dipstream.errors import ReadError
from dipstream.frame import BadFrame, Frame, Origin
from dipstream_drivers.files import FileState, content_hash, origin_of
from dipstream_drivers.pattern import natural_key
from dipstream_drivers.places import Place
from dipstream_drivers.readers.guard import reading
from dipstream_drivers.times import Times
from dipstream_drivers.unpack import OpenFile, Picture, Unpacker

__all__ = ["unpacked"]

MOST_OPEN = 32


def unpacked(
    unpacker: Unpacker,
    places: Sequence[Place],
    times: Times,
    skip: Callable[[str, int], bool] = lambda *_: False,
) -> Iterator[Frame | BadFrame]:
    """Yield the frames of some files by position, time, depth and channel.

    A file that cannot be opened takes its place as one `BadFrame`. Planes of which `skip` says so,
    by path and number, are not decoded.
    """
    with _OpenFiles(unpacker) as opened:
        entries = [entry for place in places for entry in _entries(opened, place, times)]
        for entry in sorted(entries, key=lambda entry: entry.key):
            if not skip(entry.origin.path, entry.plane):
                yield entry.bad or opened.frame(entry)


@dataclass(frozen=True, slots=True)
class _Entry:
    """A frame to come; `bad` if it already came to nothing."""

    key: tuple[object, ...]
    place: Place
    number: int
    plane: int
    times: Sequence[int]
    origin: Origin
    bad: BadFrame | None = None


def _entries(opened: "_OpenFiles", place: Place, times: Times) -> Iterator[_Entry]:
    origin, unpacker = Origin(place.path), opened.unpacker
    try:
        with reading(Path(place.path)):
            state = FileState.of(place.path)
        origin = origin_of(place.path, state, content_hash(place.path))
        file = opened.get(place)
    except ReadError as error:
        bad = unpacker.bad_file(place, times.take_one(place), error, origin)
        key = (natural_key(place.position), bad.info.t, bad.info.z, bad.info.index.get("c", 0))
        yield _Entry((*key, place.path), place, 0, 0, (), origin, bad)
        return
    unpacker.ignored += file.ignored
    taken = times.take(place, file.time_points)
    for number, picture in enumerate(file.pictures):
        order = _key(file, picture, taken, unpacker)
        yield _Entry(order, place, number, picture.plane.number, taken, origin)


def _key(
    file: OpenFile, picture: Picture, times: Sequence[int], unpacker: Unpacker
) -> tuple[object, ...]:
    plane = picture.plane
    return (
        natural_key(file.position(plane)),
        times[plane.t],
        file.depth(plane),
        unpacker.channel_number(picture.channel),
        file.place.path,
    )


class _OpenFiles:
    """The files in use, of which at most a few are open at a time."""

    def __init__(self, unpacker: Unpacker) -> None:
        self.unpacker = unpacker
        self._files: OrderedDict[str, OpenFile] = OrderedDict()

    def get(self, place: Place) -> OpenFile:
        """Return the file, opened; raises `ReadError` if it cannot be."""
        file = self._files.pop(place.path, None) or self.unpacker.open(place)
        self._files[place.path] = file
        if len(self._files) > MOST_OPEN:
            self._files.popitem(last=False)[1].__exit__(None, None, None)
        return file

    def frame(self, entry: _Entry) -> Frame | BadFrame:
        """Read one picture."""
        try:
            file = self.get(entry.place)
        except ReadError as error:  # it could be opened a moment ago
            return self.unpacker.bad_file(entry.place, entry.times[0], error, entry.origin)
        return file.frame(file.pictures[entry.number], entry.times, entry.origin)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for file in self._files.values():
            file.__exit__(exc_type, exc, traceback)
        self._files.clear()
