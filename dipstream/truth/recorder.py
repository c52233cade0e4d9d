"""Records the truth while a run goes on, in a thread that the run never waits for."""

import queue
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from dipstream.errors import DipstreamError
from dipstream.frame import FrameInfo
from dipstream.settings import TruthLevel
from dipstream.source import Source, SourceTruth
from dipstream.truth.book import TruthBook
from dipstream.truth.folder import FramePlace, TruthRecord
from dipstream.truth.true_set import TrueSet
from dipstream.version import __version__

__all__ = ["TruthRecorder", "truth_record"]


def truth_record(source: Source, level: TruthLevel) -> TruthRecord:
    """Return what ``truth.json`` will say of a source."""
    info = source.info
    return TruthRecord(info.name, info.channels, level, info.pixel_um, __version__, info.shape)


class TruthRecorder:
    """Asks a source for the truth of every frame that is admitted, and writes it down.

    Only numbers are queued, a few dozen bytes a frame, so that the camera is never waited for and
    nothing is left out: what is still to be written when the last frame has come is written then.
    Whatever goes wrong ends the recording, is told once, and leaves the run alone.

    Parameters
    ----------
    source, truth
        What delivers the frames, and what returns the truth of a device number.
    folder
        The run's ``truth/``.
    level
        How much to write.
    warn
        Told what a person should know, from the recorder's thread.
    listeners
        Called with the truth of every image set, labels included, from the recorder's thread.
    """

    def __init__(
        self,
        source: Source,
        truth: Callable[[int], SourceTruth],
        folder: Path,
        level: TruthLevel,
        *,
        warn: Callable[[str], None],
        listeners: Iterable[Callable[[TrueSet], None]] = (),
    ) -> None:
        self._source = source
        self._truth = truth
        self._folder = folder
        self._level = level
        self._warn = warn
        self._listeners = list(listeners)
        self._waiting: queue.SimpleQueue[FramePlace | None] = queue.SimpleQueue()
        self._finishing = False
        self._broken = threading.Event()
        self.thread = threading.Thread(target=self._run, name="truth", daemon=True)

    @property
    def behind(self) -> int:
        """How many frames are still to be written."""
        return 0 if self.failed else max(self._waiting.qsize() - self._finishing, 0)

    @property
    def failed(self) -> bool:
        """Whether the recording has ended early."""
        return self._broken.is_set()

    def take(self, info: FrameInfo) -> None:
        """Note a frame; returns at once. Frames without a device number are passed over."""
        if info.seq is not None and not self._broken.is_set():
            self._waiting.put(FramePlace(info.seq, info.position, info.t, info.z, info.channel))

    def finish(self) -> None:
        """Let the thread end once everything noted so far is written."""
        self._finishing = True
        self._waiting.put(None)

    def abort(self) -> None:
        """Give up what is still to be written, and say so."""
        left = self.behind
        if left and self.thread.is_alive():
            self._broken.set()
            self._warn(f"the truth of the last {left} frames was not written: stopped at once")

    def _run(self) -> None:
        try:
            self._record()
        except (DipstreamError, OSError) as error:
            self._give_up(str(error))
        except Exception as error:  # noqa: BLE001 - a simulator may raise anything
            self._give_up(f"{type(error).__name__}: {error}")

    def _record(self) -> None:
        frame = self._waiting.get()
        if frame is None:
            return
        # The channels are known for certain only now.
        record = truth_record(self._source, self._level)
        book = TruthBook(self._folder, record, self._truth, warn=self._warn)
        try:
            while frame is not None and not self._broken.is_set():
                true = book.add(frame)
                if true is not None:
                    self._tell(true)
                frame = self._waiting.get()
        finally:
            book.close()

    def _tell(self, true: TrueSet) -> None:
        for listener in list(self._listeners):
            try:
                listener(true)
            except Exception as error:  # noqa: BLE001 - what a listener does is no harm to the truth
                self._listeners.remove(listener)
                self._warn(f"a listener failed on the truth of t={true.place.t}: {error!r}")

    def _give_up(self, reason: str) -> None:
        self._broken.set()
        self._warn(
            f"the truth is not written any further: {reason}. The run goes on; what is in "
            f"{self._folder} stays good"
        )
