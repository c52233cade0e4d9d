"""What a camera, a folder or a simulator has to offer: the Source protocol."""

import threading
import time
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Protocol, Self, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt

from dipstream.frame import BadFrame, Frame, Origin

if TYPE_CHECKING:  # half a second that nobody needs who does not steer
    from useq import MDAEvent

__all__ = [
    "BaseSource",
    "FlatSource",
    "Listener",
    "ResumableSource",
    "SeenFrame",
    "Source",
    "SourceEvent",
    "SourceInfo",
    "SourceTruth",
    "SteeredSource",
    "TruthPixels",
    "TruthfulSource",
    "now_ns",
]


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What is known of a source before its first frame.

    Attributes
    ----------
    name
        The URI or path, as people know it.
    channels
        Channel names in order; empty while unknown (an empty watched folder), and filled in
        by the time the first frame arrives.
    shape, dtype, pixel_um, bit_depth, offset_dn, gain_e_per_dn, em_gain
        As in `dipstream.frame.Segment`, where already known.
    replayable
        The same frames can be read again.
    live
        Frames come when they come: the source cannot wait for a full queue.
    grouped
        The frames of an image set arrive together and in order, so that the first frame of
        another set closes the one before.
    frames
        How many frames will come, if that is known.
    ignored
        Files that were passed over, because they are no images or do not match the pattern.
    excess_noise
        F², the excess noise factor of the multiplication, where known: the variance of multiplied
        electrons over G² times that of the electrons. 2 for an EMCCD at high gain, less for a
        photomultiplier; None also without a multiplication.
    camera, binning
        As in `dipstream.frame.Segment`, where already known.
    """

    name: str
    channels: tuple[str, ...] = ()
    shape: tuple[int, int] | None = None
    dtype: str | None = None
    pixel_um: float | None = None
    bit_depth: int | None = None
    replayable: bool = False
    live: bool = True
    grouped: bool = False
    frames: int | None = None
    ignored: int = 0
    offset_dn: float | None = None
    gain_e_per_dn: float | None = None
    em_gain: float | None = None
    excess_noise: float | None = None
    camera: str | None = None
    binning: int | None = None


@dataclass(frozen=True, slots=True)
class SourceEvent:
    """Something a person should know that is no frame: degraded, recovered, a warning."""

    kind: Literal["warning", "degraded", "recovered", "info"]
    message: str


Listener: TypeAlias = Callable[[SourceEvent], None]


@runtime_checkable
class Source(Protocol):
    """A camera, folder or simulator. Synchronous, because vendors' libraries block.

    Entering opens the device; leaving closes it and may happen twice. `frames` is iterated in
    one thread; `stop` may be called from any other and makes `frames` end soon.
    """

    @property
    def info(self) -> SourceInfo:
        """What is known now; may gain channels and shape when the first frame arrives."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    def frames(self) -> Iterator[Frame | BadFrame]:
        """Yield frames in the order in which the device counts them."""
        ...

    def stop(self) -> None:
        """Ask `frames` to end; what was already taken is still delivered."""
        ...

    def listen(self, listener: Listener) -> None:
        """Send events to this callable, from whichever thread notices them."""
        ...


@dataclass(frozen=True, slots=True)
class SeenFrame:
    """A frame that an earlier session of the same run has in its book, in order of arrival.

    Attributes
    ----------
    origin
        File and plane; None for a frame that did not come from a file.
    position, t, version
        As in `dipstream.frame.FrameInfo`.
    seq
        The device's counter; None for a frame from a file.
    finished
        The run is done with it: it must not come again. Otherwise its analysis is still due: it
        must come again, with the same position, time point and version, before any new frame.
    """

    origin: Origin | None
    position: str
    t: int
    version: int
    seq: int | None = None
    finished: bool = True


@runtime_checkable
class ResumableSource(Protocol):
    """A source that can go on where an earlier run of the same source ended."""

    def resume(self, seen: Iterable[SeenFrame]) -> None:
        """Do not yield what is finished, unless its file was rewritten; called before `frames`."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class TruthPixels:
    """What the simulator knows about each pixel of one frame.

    Attributes
    ----------
    photons
        float32 (y, x): expected photons that reach the pixel during the exposure.
    electrons
        float32 (y, x): photo-electrons that the pixel really held, after its full well and before
        multiplication and read noise.
    saturated
        bool (y, x): the well, the register or the ADC was full.
    """

    photons: npt.NDArray[np.float32]
    electrons: npt.NDArray[np.float32]
    saturated: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class SourceTruth:
    """What the simulator knows about one frame.

    Attributes
    ----------
    labels
        int32 (y, x): which object each pixel belongs to, 0 = background.
    track_ids
        int64 (n,): the track of each object, in the order of labels 1, 2, …
    parent_ids
        int64 (n,): the track it came from by division, 0 for none, in the same order.
    y_um, x_um
        float64 (n,): sub-pixel centroids in the image, in µm from the middle of the first pixel,
        where the frame really shows them (drift and jitter included), in the same order.
    z_um
        float64 (n,): height above the plane that was really in focus, in µm, in the same order.
    drift_um
        (z, y, x): how far the field was off from where the stage was told to be, in µm.
    pixels
        Computes photons, electrons and saturation of each pixel, which takes as long as the frame
        did; None if nobody knows them.
    """

    labels: npt.NDArray[np.int32]
    track_ids: npt.NDArray[np.int64]
    parent_ids: npt.NDArray[np.int64]
    y_um: npt.NDArray[np.float64]
    x_um: npt.NDArray[np.float64]
    z_um: npt.NDArray[np.float64]
    drift_um: tuple[float, float, float] = (0.0, 0.0, 0.0)
    pixels: Callable[[], TruthPixels] | None = None

    @property
    def count(self) -> int:
        """How many objects can be seen in the frame."""
        return len(self.track_ids)


@runtime_checkable
class TruthfulSource(Protocol):
    """A source that knows what is really there."""

    def truth(self, seq: int) -> SourceTruth:
        """Return the truth of the frame with this device number."""
        ...


@runtime_checkable
class FlatSource(Protocol):
    """A source that can dim its own light, so that its camera can be calibrated."""

    def flats(self, levels: int) -> Iterator[Frame]:
        """Yield pairs of flat frames at so many light levels, the first one dark, then rising.

        The levels are spaced over the whole range of the camera, the last ones beyond saturation;
        the two frames of a pair follow each other and share `FrameInfo.t`, the number of the level.
        """
        ...


@runtime_checkable
class SteeredSource(Protocol):
    """A source that takes its orders from whoever watches the result (feedback)."""

    def steer(self, events: Iterable["MDAEvent"]) -> None:
        """Take one frame for each event instead of the source's own sequence.

        Called before `frames`; the iterable may block, for instance ``iter(queue.get, None)``, and
        ends the source when it ends.
        """
        ...


class BaseSource:
    """The part of a source that is not the vendor's: stopping, events, context.

    A driver sets `self._info`, overrides `frames`, and `close` if it holds a device.
    """

    def __init__(self, info: SourceInfo) -> None:
        self._info = info
        self._stopping = threading.Event()
        self._listener: Listener | None = None

    @property
    def info(self) -> SourceInfo:
        """What is known of the source now."""
        return self._info

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
        self.close()

    @abstractmethod
    def frames(self) -> Iterator[Frame | BadFrame]:
        """Yield frames until the source ends or `stop` is called."""

    def stop(self) -> None:
        """Ask `frames` to end."""
        self._stopping.set()

    def close(self) -> None:
        """Let go of the device; may be called twice."""

    def listen(self, listener: Listener) -> None:
        """Send events to this callable."""
        self._listener = listener

    def report(self, event: SourceEvent) -> None:
        """Tell the run, if one listens."""
        if self._listener is not None:
            self._listener(event)


def now_ns() -> tuple[int, int]:
    """Return the time of arrival: UTC ns since the epoch, and monotonic ns."""
    return time.time_ns(), time.monotonic_ns()
