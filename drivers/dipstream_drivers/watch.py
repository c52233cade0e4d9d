"""Frames from folders into which a microscope writes.

What is there is found by listing the folders, again and again; events of the file system only
say when to look sooner. A file is taken once it stopped changing and every plane of it can be
decoded. One that stays broken becomes a `BadFrame` and is looked at again if it changes.
A file whose size, time of change and inode all stay what they were cannot be told from one that
was never touched. Nothing is ever written, locked, moved or deleted.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from dipstream.errors import ConfigError, ReadError, SourceError
from dipstream.frame import BadFrame, Frame
from dipstream.source import BaseSource, SeenFrame, SourceEvent, SourceInfo
from dipstream_drivers.channels import ChannelMap
from dipstream_drivers.hints import Hints
from dipstream_drivers.intake import Intake, NotReadyError
from dipstream_drivers.ledger import Ledger, Pending
from dipstream_drivers.pattern import Pattern, natural_key
from dipstream_drivers.places import Placer, Root, sort_key
from dipstream_drivers.resuming import Resuming
from dipstream_drivers.survey import Survey, Timing
from dipstream_drivers.targets import absolute, existing_folders, listed
from dipstream_drivers.times import Times
from dipstream_drivers.unpack import Options, Unpacker, described
from dipstream_drivers.versions import Versions
from dipstream_drivers.warn import WarnOnce

__all__ = ["WatchSource", "open_watch"]

SETTLE_S = 0.05


def open_watch(
    target: str | Sequence[str],
    *,
    pattern: str | None = None,
    channels: str | None = None,
    pixel_um: float | None = None,
    bit_depth: int | None = None,
    poll_s: float = 0.5,
    stable_polls: int = 2,
    broken_after_s: float = 10.0,
    rescan_s: float = 5.0,
    isolate: bool = True,
) -> "WatchSource":
    """Watch folders and their subfolders for images, those already there included.

    Parameters
    ----------
    target
        A folder, or several.
    pattern
        File names with fields, for instance ``xy{position}-{channel}.png``. Without a pattern a
        file is the next time point of its position (its subfolder, or ``0``).
    channels
        ``1=nuclei,2=reporter`` renames channels, ``DAPI,GFP`` selects and orders them; needed if
        the pattern has a channel, to know when an image set is complete.
    pixel_um
        Side of a pixel in the object, in µm, in place of what files say.
    bit_depth
        Bits of the camera, in place of what files say.
    poll_s
        Seconds between looks at the folders.
    stable_polls
        For how many polls a file must not change before it is read.
    broken_after_s
        After how many seconds without a change a file that cannot be read is given up.
    rescan_s
        How often files that were read already are checked for being rewritten.
    isolate
        Decode in a child process under limits, so that a damaged or hostile file cannot harm the
        run; False saves about half a millisecond a file, for files that you made yourself.
    """
    if min(poll_s, stable_polls, broken_after_s, rescan_s) <= 0:
        raise ConfigError(
            f"poll_s {poll_s}, stable_polls {stable_polls}, broken_after_s {broken_after_s} and "
            f"rescan_s {rescan_s} must all be above 0"
        )
    compiled = None if pattern is None else Pattern.compile(pattern)
    if compiled is not None and "channel" in compiled.fields and channels is None:
        raise SourceError(
            f"the pattern {pattern!r} has a channel, but which channels will come is not known, so "
            "that no image set could ever be complete. Name them with --channels, for instance "
            "--channels 1=nuclei,2=reporter"
        )
    options = Options(ChannelMap.parse(channels), pixel_um, bit_depth, isolate=isolate)
    timing = Timing(poll_s, stable_polls, broken_after_s, rescan_s)
    name = ", ".join(str(absolute(each)) for each in listed(target))
    return WatchSource(name, existing_folders(target), Placer(compiled), options, timing)


class WatchSource(BaseSource):
    """Folders that are watched; ends only when it is stopped.

    Parameters
    ----------
    clock
        Monotonic seconds.
    sleep
        Waits for so many seconds, or until something happens; for tests.
    """

    def __init__(
        self,
        name: str,
        roots: Sequence[Root],
        placer: Placer,
        options: Options,
        timing: Timing,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        names = options.channels.names
        super().__init__(SourceInfo(name, names, replayable=True, live=False))
        self._wake = threading.Event()
        self._sleep = self._wait if sleep is None else sleep
        self._clock = clock
        self._timing = timing
        self._placer = placer
        self._roots = tuple(roots)
        self._unpacker = Unpacker(options, WarnOnce(self.report), self.report)
        ledger, times = Ledger(), Times()
        self._intake = Intake(self._unpacker, times, ledger)
        self._hints = Hints(roots, self._wake)
        self._survey = Survey(self._roots, placer, self._unpacker, ledger, timing, self.report)
        self._versions = Versions(ledger, self._survey)
        self._resuming = Resuming(self._survey, self._intake, self._versions)
        rank = options.channels
        raws = list(rank.renames) if rank.renames is not None else list(rank.names)
        self._raw_order = raws

    def resume(self, seen: Iterable[SeenFrame]) -> None:
        """Do not yield what is in the book already, unless its file was rewritten."""
        self._resuming.note(seen)

    def stop(self) -> None:
        """Ask `frames` to end, even while it waits."""
        super().stop()
        self._wake.set()

    def close(self) -> None:
        """End listening to the file system."""
        self._hints.stop()

    def frames(self) -> Iterator[Frame | BadFrame]:
        """Yield the frames of files as they become ready, until `stop`."""
        self._listen()
        try:
            # What is due comes before all else: to go through a large folder may take seconds.
            self._resuming.expect(self._clock(), self._stopping.is_set)
            yield from self._taken(self._survey.expected(self._clock()))
            self._resuming.enter(self._stopping.is_set)
            while not self._stopping.is_set():
                began = self._clock()
                ready = self._survey.look(began, self._hints.finished())
                if self._survey.returned:
                    self._listen()
                yield from self._taken(ready)
                self._note_ignored()
                self._rest(self._clock() - began if not ready else 0.0)
        finally:
            self._hints.stop()

    def _taken(self, ready: list[Pending]) -> Iterator[Frame | BadFrame]:
        """Take what is ready, in order; then the rest of the image sets that were rewritten."""
        self._versions.begin()
        for pending in sorted(ready, key=self._order):
            if self._stopping.is_set():
                return
            if self._intake.unchanged(pending):
                self._survey.settle(pending)
                continue
            yield from self._read(pending, self._versions.of(pending))
        for pending, version in self._versions.siblings(self._clock()):
            if self._stopping.is_set():
                return
            yield from self._read(pending, version, again=True)

    def _read(
        self, pending: Pending, version: int, *, again: bool = False
    ) -> Iterator[Frame | BadFrame]:
        final = again or self._survey.overdue(pending, self._clock())
        try:
            for frame in self._intake.take(pending, version, final=final, again=again):
                if self._stopping.is_set():
                    return
                self._survey.settle(pending)
                self._versions.taken(pending, version)
                self._describe(frame)
                yield frame
            self._survey.settle(pending)
        except (NotReadyError, ReadError):
            self._survey.postpone(pending, self._clock())

    def _order(self, pending: Pending) -> tuple[object, ...]:
        place = pending.place
        if pending.order is not None:  # in the order in which they came first, before all others
            return (0, pending.order)
        if self._placer.pattern is not None:
            return (1, *sort_key(place, self._raw_order))
        return 1, pending.state.mtime_ns, natural_key(place.relative), place.path

    def _describe(self, frame: Frame | BadFrame) -> None:
        if self._info.shape is None and isinstance(frame, Frame):
            self._info = described(self._info, frame.info.segment, self._unpacker.channels)

    def _note_ignored(self) -> None:
        ignored = self._survey.ignored + self._unpacker.ignored
        if ignored != self._info.ignored:
            self._info = replace(self._info, ignored=ignored)

    def _listen(self) -> None:
        problem = self._hints.start()
        if problem:
            self.report(
                SourceEvent(
                    "warning",
                    f"the system cannot tell when files come ({problem}): "
                    f"the folders are looked at every {self._timing.poll_s:g} s",
                )
            )

    def _rest(self, took: float) -> None:
        """Wait for the next look: shorter if a file is nearly ready, longer if looks are slow."""
        pause = self._survey.pause()
        self._sleep(max(pause, took))

    def _wait(self, seconds: float) -> None:
        if self._wake.wait(seconds) and not self._stopping.is_set():
            # Events come in crowds; a moment later one look serves for all of them.
            self._stopping.wait(min(SETTLE_S, seconds))
        self._wake.clear()
