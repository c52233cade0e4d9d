"""Takes frames of a source that knows the truth, and writes both."""

import platform
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias, get_args

from dipstream.config import near
from dipstream.errors import ConfigError, DipstreamError, SourceError
from dipstream.frame import BadFrame, Frame
from dipstream.settings import TruthLevel
from dipstream.simulate.layout import SimulationFolder
from dipstream.simulate.ome_zarr import OmeZarr, require_zarr
from dipstream.simulate.writers import OmeTiff, PositionWriter
from dipstream.source import Source, TruthfulSource
from dipstream.sources import open_source
from dipstream.truth import FramePlace, TruthBook, truth_record

__all__ = ["SimulationError", "simulate"]

ImageFormat: TypeAlias = Literal["tiff", "zarr"]
Progress: TypeAlias = Callable[[int, int], None]
State: TypeAlias = Literal["unfinished", "finished", "interrupted", "failed"]

_FORMATS: tuple[ImageFormat, ...] = get_args(ImageFormat)
_LEVELS: tuple[TruthLevel, ...] = ("labels", "full")
_USUAL = 100
_LOOK_EVERY_S = 0.05


class SimulationError(SourceError):
    """A simulation ended half-way, and the message says what was kept."""


def simulate(
    out: str | Path,
    source: str | Source = "sim:?fps=0",
    *,
    frames: int | None = None,
    image_format: str = "tiff",
    truth: str = "labels",
    progress: Progress | None = None,
    warn: Callable[[str], None] | None = None,
    interrupted: Callable[[], bool] | None = None,
) -> dict[str, Any]:
    """Write frames of a simulated camera, and what is really there, into a folder.

    Parameters
    ----------
    out
        A new or empty folder: it gets ``frames/POSITION/``, ``truth/`` and ``simulate.json``.
    source
        A URI, or a source that is not entered yet; it has to know the truth.
    frames
        How many; all of them by default, or 100 of a source without end.
    image_format
        ``tiff`` (OME-TIFF, one file a position) or ``zarr`` (OME-Zarr 0.5).
    truth
        ``labels``, or ``full``: photons, electrons and saturation of each pixel besides.
    progress
        Called with the frames written and those expected.
    warn
        Told of frames that cannot be written.
    interrupted
        Asked twenty times a second, from a thread, whether to end now.

    Returns
    -------
    dict
        What ``simulate.json`` says, and the folder.

    Raises
    ------
    ConfigError
        If the folder is not empty, or there is no such format.
    SourceError
        If the source does not know the truth.
    SimulationError
        If the source fails, or the disk is full.
    """
    _choose("format", image_format, _FORMATS)
    _choose("truth", truth, _LEVELS)
    if image_format == "zarr":
        require_zarr()
    opened = open_source(source) if isinstance(source, str) else source
    if not isinstance(opened, TruthfulSource):
        raise SourceError(
            f"{opened.info.name} does not know what is really there, so that there is no truth to "
            "write; give --source a simulated camera, for instance sim:?n=100"
        )
    folder = SimulationFolder(Path(out).expanduser())
    folder.create()
    with opened:
        limit = frames or opened.info.frames or _USUAL
        level: TruthLevel = "full" if truth == "full" else "labels"
        session = _Session(folder, opened, level, image_format, warn)
        with session, _stopped_by(interrupted, opened) as stopped:
            for item in opened.frames():
                session.take(item)
                if progress is not None:
                    progress(session.written, limit)
                if session.written >= limit:
                    opened.stop()
                    break
                if stopped.is_set():
                    break
            session.interrupted = stopped.is_set() and session.written < limit
        return {"folder": str(folder.path), **session.about()}


@contextmanager
def _stopped_by(
    interrupted: Callable[[], bool] | None, source: Source
) -> Iterator[threading.Event]:
    """Stop the source as soon as somebody asks for it, be it that no frame comes."""
    asked, over = threading.Event(), threading.Event()

    def look() -> None:
        while interrupted is not None and not over.wait(_LOOK_EVERY_S):
            if interrupted():
                asked.set()
                source.stop()
                return

    thread = threading.Thread(target=look, name="interrupted", daemon=True)
    thread.start()
    try:
        yield asked
    finally:
        over.set()
        thread.join()


class _Session:
    """The files that are being written; leaving it finishes them."""

    def __init__(
        self,
        folder: SimulationFolder,
        source: Source,
        level: TruthLevel,
        image_format: str,
        warn: Callable[[str], None] | None,
    ) -> None:
        self._folder = folder
        self._source = source
        self._level = level
        self._format = image_format
        self._warn = warn or (lambda text: None)  # noqa: ARG005
        self._book: TruthBook | None = None
        self._writers: dict[str, PositionWriter] = {}
        self._first: dict[str, Frame] = {}
        self._sets = 0
        self._skipped = 0
        self._state: State = "unfinished"
        self._reason = ""
        self.written = 0
        self.interrupted = False
        folder.write(self.about())

    def take(self, item: Frame | BadFrame) -> None:
        """Write a frame and its truth."""
        problem = self._problem(item)
        if problem or isinstance(item, BadFrame):
            self._skipped += 1
            self._warn(f"a frame of t={item.info.t} was left out: {problem}")
            return
        info = item.info
        if info.seq is None:
            raise SourceError(f"{self._source.info.name} does not number its frames: update it")
        place = FramePlace(info.seq, info.position, info.t, info.z, info.channel)
        # The truth first: if it cannot be written, the images have no frame without it.
        first = self._open_book().add(place)
        self._writer(info.position).append(item)
        self.written += 1
        self._sets += first is not None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._state = "interrupted" if self.interrupted else "finished"
        if exc is not None:
            self._state = "failed"
            self._reason = f"the simulation failed after {self.written:,} frames: {exc}"
        try:
            self._close()
        except OSError as error:
            before = f"{self._reason}; then " if exc is not None else ""
            raise SimulationError(
                f"{before}{self._folder.path} could not be finished: {error}. Its images cannot be "
                "used: make room, and simulate anew into another folder"
            ) from (exc or error)
        if isinstance(exc, DipstreamError | OSError):
            raise SimulationError(f"{self._reason}. {self._kept()}") from exc

    def _close(self) -> None:
        """Finish the files; only when that has gone well, say so."""
        with ExitStack() as closing:
            if self._book is not None:
                closing.callback(self._book.close)
            for writer in self._writers.values():
                closing.callback(writer.close)
        self._folder.write(self.about())

    def _kept(self) -> str:
        if not self.written:
            return f"Nothing was kept in {self._folder.path}"
        return (
            f"Kept, and good to be analysed, are {self.written:,} frames of {self._sets:,} image "
            f"sets with their truth in {self._folder.path}"
        )

    def about(self) -> dict[str, Any]:
        """Return what was simulated, by what, and whether it was finished."""
        info = self._source.info
        libraries = ("dipstream", "numpy", "scipy", "tifffile")
        return {
            "source": info.name,
            "state": self._state,
            "reason": self._reason,
            "format": self._format,
            "truth": self._level,
            "frames": self.written,
            "image_sets": self._sets,
            "skipped": self._skipped,
            "channels": list(info.channels),
            "pixel_um": info.pixel_um,
            "positions": {self._folder.position(name).name: name for name in self._writers},
            "versions": {
                "python": platform.python_version(),
                **{name: version(name) for name in libraries},
            },
        }

    def _problem(self, item: Frame | BadFrame) -> str:
        """Say why a frame cannot be written; nothing if it can."""
        if isinstance(item, BadFrame):
            return item.reason
        first = self._first.setdefault(item.info.position, item)
        now, then = item.data, first.data
        if (now.shape, now.dtype) != (then.shape, then.dtype):
            return (
                f"it is {now.shape} {now.dtype}, and its file holds {then.shape} {then.dtype}; "
                "a file has frames of one kind"
            )
        if item.info.channel not in self._source.info.channels:
            return f"its channel {item.info.channel!r} was not announced"
        return ""

    def _writer(self, position: str) -> PositionWriter:
        if position not in self._writers:
            folder = self._folder.position(position)
            if any(self._folder.position(name) == folder for name in self._writers):
                raise SourceError(
                    f"two positions would share the folder {folder.name}; name them differently"
                )
            made: type[OmeTiff | OmeZarr] = OmeZarr if self._format == "zarr" else OmeTiff
            self._writers[position] = made(folder, position, self._source.info.channels)
        return self._writers[position]

    def _open_book(self) -> TruthBook:
        source: object = self._source
        if self._book is None and isinstance(source, TruthfulSource):
            record = truth_record(self._source, self._level)
            self._book = TruthBook(self._folder.truth, record, source.truth, warn=self._warn)
        if self._book is None:
            raise SourceError(f"{self._source.info.name} does not know the truth any more")
        return self._book


def _choose(name: str, given: str, allowed: tuple[str, ...]) -> None:
    if given not in allowed:
        raise ConfigError(
            f"--{name}: received {given!r}; allowed are {', '.join(allowed)}{near(given, allowed)}"
        )
