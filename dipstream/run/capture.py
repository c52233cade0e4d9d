"""The capture thread: takes frames from the source, admits them, assembles and queues sets."""

import threading
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import PurePath

from dipstream.assemble import Assembler
from dipstream.errors import ConfigError, DipstreamError, SourceError, StepError
from dipstream.frame import BadFrame, Frame, FrameInfo, ImageSet, Segment, SetKey
from dipstream.pipeline import Pipeline, Plan
from dipstream.queue import QueueFullError, SetQueue
from dipstream.run.admit import Admission, Admitted
from dipstream.run.expected import CRASH
from dipstream.run.log import RunLog
from dipstream.run.messages import LATE, RESTORED, Event, Message, NewFrame, NewSegment, Outcome
from dipstream.run.tally import Tally
from dipstream.source import Source, SourceInfo
from dipstream.store import frame_row

__all__ = ["Capture"]

_OF_CAMERA = ("camera", "binning", "bit_depth", "offset_dn", "gain_e_per_dn", "em_gain")
_QUEUE_FULL = (
    "the queue is full and its policy is to stop: frames come faster than they are analysed. "
    "Give more --workers, a larger --queue-mb or another --policy"
)


class Capture:
    """Everything from the source to the queue.

    Parameters
    ----------
    source, plan, admission, queue
        The hops it joins.
    first_set_id, max_frames
        Number of the first image set; when to stop, or None.
    closed
        As `Assembler` takes them.
    reference
        Whether the pipeline is to do without kernels.
    send, drop, ready, fail
        Where messages to the committer, dropped sets, the compiled pipeline and errors go.
    admitted
        Told of every frame that could be read, whatever becomes of it; it must not block.
    """

    def __init__(
        self,
        source: Source,
        plan: Plan,
        admission: Admission,
        queue: SetQueue,
        *,
        first_set_id: int,
        max_frames: int | None,
        closed: Mapping[SetKey, int],
        reference: bool,
        tally: Tally,
        log: RunLog,
        send: Callable[[Message], None],
        drop: Callable[[ImageSet, str], None],
        ready: Callable[[Pipeline], None],
        fail: Callable[[DipstreamError], None],
        admitted: Callable[[FrameInfo], None],
    ) -> None:
        self._source = source
        self._plan = plan
        self._admission = admission
        self._queue = queue
        self._first_set_id = first_set_id
        self._max_frames = max_frames
        self._closed = closed
        self._reference = reference
        self._tally = tally
        self._log = log
        self._send = send
        self._drop = drop
        self._ready = ready
        self._fail = fail
        self._admitted = admitted
        self._assembler: Assembler | None = None
        self._pipeline: Pipeline | None = None
        self._announced: Segment | None = None
        self._ended = threading.Event()
        self._asked = threading.Event()
        # Sets are queued in the order in which they are closed, by whichever thread: a worker that
        # holds a set in an ordered step waits for the ones before it.
        self._in_order = threading.Lock()
        self._alarms = (_Alarm("the queue"), _Alarm("the disk's share for waiting image sets"))
        self._clock = threading.Thread(target=self._tick, name="clock", daemon=True)

    @property
    def open_bytes(self) -> int:
        """Bytes held in image sets that are not complete yet."""
        return 0 if self._assembler is None else self._assembler.open_bytes

    def prepare(self, segment: Segment | None = None, channels: tuple[str, ...] = ()) -> None:
        """Compile the pipeline for the source's channels; raises `ConfigError`.

        The corrections are tried on a blank frame of this segment, or as the source announces it.
        `channels` are those of waiting image sets, if the source does not know its own yet.
        """
        info = self._source.info
        wanted = self._plan.assemble.channels
        channels = wanted or info.channels or channels
        absent = [name for name in channels if info.channels and name not in info.channels]
        if absent:
            raise ConfigError(
                f"assemble.channels: {', '.join(absent)} is not there; the source has "
                f"{', '.join(info.channels)}. Correct the pipeline, or name the source's "
                "channels with --channels"
            )
        pipeline = self._plan.compile(channels, reference=self._reference)
        if segment is None:
            segment = self._announced = _announced(info)
        if segment is not None:
            self._rehearse(pipeline, segment)
        self._assembler = Assembler(
            self._plan.assemble,
            tuple(channels),
            grouped=info.grouped,
            first_set_id=self._first_set_id,
            clock=time.monotonic,
            closed=self._closed,
        )
        self._pipeline = pipeline
        self._ready(pipeline)

    def _prepare_for(self, segment: Segment) -> None:
        """Prepare for the first frame, or see whether it tells what its source did not announce.

        A camera file of another camera or mode is then refused at once, not once a frame.
        """
        announced, self._announced = self._announced, None
        if announced is None or self._pipeline is None:
            self.prepare(segment)
            return
        told = {name: getattr(segment, name) for name in _OF_CAMERA}
        if any(value != getattr(announced, name) for name, value in told.items()):
            self._rehearse(self._pipeline, replace(announced, **told))

    def _rehearse(self, pipeline: Pipeline, segment: Segment) -> None:
        try:
            pipeline.rehearse(segment)
        except DipstreamError as error:
            raise ConfigError(f"the pipeline does not fit this source: {error}") from error
        except Exception as error:  # noqa: BLE001 - it may well take other frames
            text = f"the pipeline fails on a blank frame: {type(error).__name__}: {error}"
            self._log.write("warning", text, detail=traceback.format_exc())
            self._tally.warn(text)
            self._send(Event("warning", text))

    def run(self) -> None:
        """Take frames until the source ends, then close what is open."""
        self._clock.start()
        try:
            self._take_all()
        except QueueFullError:
            self._fail(SourceError(_QUEUE_FULL))
        except DipstreamError as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001 - a vendor's driver may raise anything
            self._log.write("failed", str(error), detail=traceback.format_exc())
            self._fail(SourceError(f"the source failed: {type(error).__name__}: {error}"))
        finally:
            self._finish()

    def _take_all(self) -> None:
        if self._source.info.channels and self._assembler is None:
            self.prepare()
        expected = self._admission.expected
        for item in self._source.frames() if expected or not self._has_enough() else ():
            # Once there are enough, only those count that have a row already.
            if not self._has_enough() or item in expected:
                self._take(item)
                if expected or not self._has_enough():
                    continue
            self._source.stop()
            break
        # Who asks a run to stop may let it go on later.
        if not self._asked.is_set():
            self._give_up()

    def _has_enough(self) -> bool:
        return self._max_frames is not None and self._admission.received >= self._max_frames

    def _give_up(self) -> None:
        """Write off the frames of an earlier session that have not come again."""
        lost, tried = self._admission.expected.rest()
        for frame_id in lost:
            self._send(Outcome(frame_id, "dropped", f"{CRASH}, and it did not come again"))
        for frame_id in tried:
            self._send(Outcome(frame_id, RESTORED, "it was to be tried again, but did not come"))

    def stop(self) -> None:
        """Ask the source to end; what was not taken by then can still be taken later."""
        self._asked.set()
        self._source.stop()

    def _finish(self) -> None:
        self._ended.set()
        self._clock.join()
        try:
            if self._assembler is not None:
                with self._in_order:
                    self._enqueue(self._assembler.flush())
        except QueueFullError:
            self._fail(SourceError(_QUEUE_FULL))
        except Exception as error:  # noqa: BLE001 - whatever it is, the run must know
            self._fail(SourceError(f"image sets could not be queued: {_told(error)}"))
        finally:
            self._queue.close()

    def _take(self, item: Frame | BadFrame) -> None:
        admitted = self._admission.admit(item)
        if admitted.row == "new":
            self._tally.receive()
        if isinstance(item, Frame):
            self._admitted(item.info)
        if admitted.opened is not None and admitted.segment is not None:
            self._send(NewSegment(admitted.segment, admitted.opened))
        if item.info.seq is not None:
            self._tally.miss(admitted.gap.n if admitted.gap else 0)
        if isinstance(item, BadFrame) or admitted.reason or admitted.segment is None:
            self._refuse(admitted)
        else:
            self._accept(admitted, admitted.segment, item)

    def _book(self, admitted: Admitted, state: str, reason: str = "", detail: str = "") -> None:
        """Have the row of a frame written, and with it what its counter told."""
        event = None
        if admitted.gap is not None:
            text = f"the camera's counter skipped {admitted.gap.n} from {admitted.gap.first_seq}"
            self._tally.warn(text)
            event = Event("gap", text, admitted.gap)
        row = frame_row(
            admitted.frame_id,
            admitted.segment,
            admitted.item.info,
            state=state,
            reason=reason,
            detail=detail,
        )
        self._send(NewFrame(row, again=admitted.row != "new", gap=event))

    def _tell_missing(self, admitted: Admitted) -> None:
        if self._assembler is not None:
            for segment, info in admitted.missing:
                with self._in_order:
                    self._enqueue(self._assembler.skip(segment, info))

    def _refuse(self, admitted: Admitted) -> None:
        item = admitted.item
        detail = item.detail if isinstance(item, BadFrame) else ""
        self._book(admitted, "quarantined", admitted.reason, detail)
        self._tell_missing(admitted)
        place, reason = _place(item), admitted.reason
        self._tally.warn(f"quarantined: {reason if place in reason else f'{place}: {reason}'}")
        if self._assembler is not None:
            segment = self._admission.segment_at(item.info.position)
            with self._in_order:
                self._enqueue(self._assembler.skip(segment, item.info))

    def _accept(self, admitted: Admitted, segment: int, frame: Frame) -> None:
        frame_id = admitted.frame_id
        if self._assembler is None or self._announced is not None:
            try:
                self._prepare_for(frame.info.segment)
            except DipstreamError as error:
                self._book(admitted, "quarantined", str(error))
                raise
        if self._assembler is None:
            raise StepError("the pipeline could not be prepared")
        if admitted.row != "kept":
            self._book(admitted, "pending")
        self._tell_missing(admitted)
        with self._in_order:
            assembled = self._assembler.add(segment, frame_id, frame)
            for earlier in assembled.superseded:
                self._send(Outcome(earlier, "dropped", "another frame of its place came after it"))
            if assembled.verdict == "late":
                self._send(Outcome(frame_id, "late", LATE))
            elif assembled.verdict == "unexpected":
                self._send(self._unexpected(frame_id, frame.info.channel))
            self._enqueue(assembled.closed)

    def _unexpected(self, frame_id: int, channel: str) -> Outcome:
        chosen, announced = self._plan.assemble.channels, self._source.info.channels
        if chosen is not None and (channel in announced or not announced):
            reason = f"assemble.channels ({', '.join(chosen)}) leaves out {channel!r}"
            return Outcome(frame_id, "dropped", reason)
        return Outcome(
            frame_id,
            "quarantined",
            f"the channel {channel!r} is not one the source announced "
            f"({', '.join(announced)}); name all channels with --channels",
        )

    def _enqueue(self, image_sets: Iterable[ImageSet]) -> None:
        failed: Exception | None = None
        for image_set in image_sets:
            try:
                for refused in self._queue.put(image_set):
                    self._drop(*refused)
            except QueueFullError as error:
                failed = failed or error
                self._drop(image_set, "the queue was full, and its policy is to stop")
            except Exception as error:  # noqa: BLE001 - raised below: each set has its end first
                failed = failed or error
                self._drop(image_set, f"it could not be queued: {_told(error)}")
            self._watch()
        if failed is not None:
            raise failed

    def _tick(self) -> None:
        """Close sets that have waited long enough, and watch the queue."""
        while not self._ended.wait(timeout=0.1):
            if self._assembler is not None:
                try:
                    with self._in_order:
                        self._enqueue(self._assembler.expired())
                except QueueFullError:
                    self._fail(SourceError(_QUEUE_FULL))
                except Exception as error:  # noqa: BLE001 - whatever it is, the run must know
                    self._fail(SourceError(f"image sets could not be queued: {_told(error)}"))
            self._watch()

    def _watch(self) -> None:
        if self._queue.policy == "block" and not self._source.info.live:
            return  # as it should be: files are read as fast as there is room
        for alarm, fill in zip(
            self._alarms, (self._queue.fill, self._queue.spill_fill), strict=True
        ):
            event = alarm.look(fill)
            if event is not None:
                if event.kind == "warning":
                    self._tally.warn(event.message)
                self._send(event)


class _Alarm:
    """Rings once when something is three quarters full, and once when it is half empty again."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._rings = False

    def look(self, fill: float) -> Event | None:
        if fill > 0.75 and not self._rings:
            self._rings = True
            text = f"{self._what} is three quarters full: frames come faster than the analysis"
            return Event("warning", text)
        if fill < 0.5 and self._rings:
            self._rings = False
            return Event("recovered", f"{self._what} is less than half full again")
        return None


def _announced(info: SourceInfo) -> Segment | None:
    if info.shape is None or info.dtype is None:
        return None
    return Segment(
        info.shape,
        info.dtype,
        # Without its binning a camera's mode is not known, and neither is compared.
        camera="unknown" if info.camera is None or info.binning is None else info.camera,
        binning=1 if info.binning is None else info.binning,
        pixel_um=info.pixel_um,
        bit_depth=info.bit_depth,
        offset_dn=info.offset_dn,
        gain_e_per_dn=info.gain_e_per_dn,
        em_gain=info.em_gain,
    )


def _told(error: Exception) -> str:
    return "there was not enough memory" if isinstance(error, MemoryError) else repr(error)


def _place(item: Frame | BadFrame) -> str:
    """Return where a frame came from, in a few words."""
    info = item.info
    if info.origin is None:
        return f"{info.channel} at position {info.position}, t={info.t}"
    plane = f", plane {info.origin.plane}" if info.origin.plane else ""
    return PurePath(info.origin.path).name + plane
