"""Taking in one waiting file: verified as a whole, then handed on; or waited for; or broken."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from dipstream.errors import ReadError
from dipstream.frame import BadFrame, Frame, Origin, Pixels
from dipstream_drivers.files import FileState, content_hash, origin_of
from dipstream_drivers.ledger import Done, Ledger, Pending
from dipstream_drivers.readers.guard import reading
from dipstream_drivers.readers.isolated import PoisonError
from dipstream_drivers.times import Times
from dipstream_drivers.unpack import OpenFile, Unpacker

__all__ = ["Intake", "NotReadyError"]

MOST_HELD = 512 * 2**20
"""Bytes of pixels kept between verifying and handing on; what goes beyond is decoded twice."""


class NotReadyError(Exception):
    """The file is still being written, or cannot be read yet."""


@dataclass(frozen=True, slots=True)
class Intake:
    """Reads waiting files and remembers them."""

    unpacker: Unpacker
    times: Times
    ledger: Ledger

    def unchanged(self, pending: Pending) -> bool:
        """Whether a file that was touched still holds the same bytes; then it is done."""
        path = pending.place.path
        done = self.ledger.get(path)
        if done is None or not done.digest or pending.order is not None:
            return False
        try:
            digest = content_hash(path)
        except ReadError:
            return False
        if digest != done.digest:
            return False
        again = Done(pending.state, digest, done.times, done.version, done.broken)
        self.ledger.put(path, again)
        return True

    def take(
        self, pending: Pending, version: int, *, final: bool, again: bool = False
    ) -> Iterator[Frame | BadFrame]:
        """Yield the frames of a file.

        Raises `NotReadyError` before the first frame if the file changes meanwhile, or is not
        whole and `final` is not set. `again` hands on a file that is done already.
        """
        place, path = pending.place, pending.place.path
        done = self.ledger.get(path)
        already = done.times if done is not None else ()
        digest = ""
        with ExitStack() as stack:
            try:
                digest = content_hash(path)
                opened = stack.enter_context(self.unpacker.open(place))
            except ReadError as error:
                self._still(pending)
                if not (final or isinstance(error, PoisonError)):
                    raise NotReadyError(str(error)) from error
                yield self._broken(pending, error, digest, version)
                return
            pixels, whole = verified(opened, pending.skip)
            self._still(pending)
            poisoned = any(isinstance(one, PoisonError) for one in pixels)
            if not (whole or final or poisoned):
                raise NotReadyError(f"{Path(path).name} is not whole yet")
            times = self.times.take(place, opened.time_points, already)
            self.unpacker.ignored += 0 if again else opened.ignored
            self.ledger.put(path, Done(pending.state, digest, times, version, not whole))
            if all(kept is not None for kept in pixels):
                stack.close()  # whoever writes to the folder may want the file
            origin = origin_of(path, pending.state, digest)
            yield from handed_on(opened, pending.skip, pixels, times, origin, version)

    def _broken(self, pending: Pending, error: ReadError, digest: str, version: int) -> BadFrame:
        """Give a file up, until it changes."""
        place, state = pending.place, pending.state
        done = self.ledger.get(place.path)
        already = done.times if done is not None else ()
        t = self.times.take_one(place, already)
        known = Done(state, digest, already or (t,), version, broken=True)
        self.ledger.put(place.path, known)
        origin = origin_of(place.path, state, digest)
        return self.unpacker.bad_file(place, t, error, origin, version)

    def _still(self, pending: Pending) -> None:
        """Make sure that what was read is what was found."""
        path = pending.place.path
        with reading(Path(path)):
            state = FileState.of(path)
        if state != pending.state:
            raise NotReadyError(f"{Path(path).name} changed while it was read")


def verified(
    opened: OpenFile, skip: frozenset[int]
) -> tuple[list[Pixels | ReadError | None], bool]:
    """Decode all pictures; returns what is worth keeping, and whether all could be decoded."""
    kept: list[Pixels | ReadError | None] = []
    held, whole = 0, True
    for picture in opened.pictures:
        if picture.plane.number in skip:
            continue
        pixels = opened.read(picture)
        if isinstance(pixels, ReadError):
            whole = False
            kept.append(pixels)
            continue
        held += pixels.nbytes
        kept.append(pixels if held <= MOST_HELD else None)
    return kept, whole


def handed_on(
    opened: OpenFile,
    skip: frozenset[int],
    kept: list[Pixels | ReadError | None],
    times: Sequence[int],
    origin: Origin,
    version: int,
) -> Iterator[Frame | BadFrame]:
    """Yield the frames of pictures that were verified; lets go of each one's pixels."""
    pictures = [picture for picture in opened.pictures if picture.plane.number not in skip]
    for number, picture in enumerate(pictures):
        pixels, kept[number] = kept[number], None
        if pixels is None:
            pixels = opened.read(picture)
        yield opened.framed(picture, pixels, times, origin, version)
