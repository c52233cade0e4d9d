"""The committer: the one thread that writes. Orders results, tracks, commits, then publishes."""

import queue
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from dipstream.errors import StepError
from dipstream.frame import Frame, ImageSet
from dipstream.pipeline import Analysis, Failure, Pipeline, StateCell
from dipstream.run.labels import save_labels
from dipstream.run.linking import Linked, Linker
from dipstream.run.log import RunLog
from dipstream.run.messages import (
    LATE,
    Done,
    Dropped,
    Event,
    Message,
    NewFrame,
    NewSegment,
    Outcome,
    Ready,
)
from dipstream.run.order import InOrder
from dipstream.run.result import LabelImages, Result
from dipstream.run.tally import Tally
from dipstream.steps.quality import FocusWatch, Quality
from dipstream.store import FrameOutcome, KnownSet, RunFolder, RunWriter, SetRow

__all__ = ["Committer"]

_BATCH = 256
_FOCUS = ("focus", "")


class Committer:
    """Owns the run's writer. Everything it is sent in one breath is one transaction.

    Parameters
    ----------
    folder, writer
        The run and its table.
    next_track_id, states
        Where an earlier session of the run has left off.
    first_set_id
        The image set that is committed first; the others follow in order.
    reorder_s
        How long a set may keep those behind it waiting; None for as long as it takes.
    tally, log
        Live counters and the run's log.
    publish
        Called with every result after its commit.
    settled
        Called once for every analysis that is committed.
    """

    def __init__(
        self,
        folder: RunFolder,
        writer: RunWriter,
        *,
        first_set_id: int,
        next_track_id: int,
        states: Mapping[tuple[str, str], StateCell],
        reorder_s: float | None,
        save_label_images: bool,
        tally: Tally,
        log: RunLog,
        publish: Callable[[Result], None],
        settled: Callable[[], None],
    ) -> None:
        self._folder = folder
        self._writer = writer
        self._order = InOrder(first_set_id, reorder_s)
        self._linker = Linker(states, writer.live_tracks(), writer.tracked_until(), next_track_id)
        self._save_label_images = save_label_images
        self._tally = tally
        self._log = log
        self._publish = publish
        self._settled = settled
        self._pipeline: Pipeline | None = None
        self._focus = FocusWatch(states[_FOCUS].state if _FOCUS in states else None)
        self._inbox: queue.Queue[Message | None] = queue.Queue(maxsize=4096)
        self.failed = threading.Event()

    def send(self, message: Message) -> None:
        """Hand over a message; blocks while the disk is behind, unless writing has failed."""
        while not self.failed.is_set():
            try:
                self._inbox.put(message, timeout=0.5)
            except queue.Full:
                continue
            return

    def finish(self) -> None:
        """Let `run` return once everything sent so far is committed."""
        while not self.failed.is_set():
            try:
                self._inbox.put(None, timeout=0.5)
            except queue.Full:
                continue
            return

    def keep_focus(self) -> None:
        """Save what the focus watch remembers, in the transaction that ends the run."""
        self._writer.save_state(*_FOCUS, segment=-1, set_id=-1, state=self._focus.state())

    def write_left_over(self) -> None:
        """Write the events that came after `run` had ended; inside a transaction."""
        while not self._inbox.empty():
            message = self._inbox.get_nowait()
            if isinstance(message, Event):
                self._write_event(message)

    def run(self) -> None:
        """Commit until `finish`; on a failed write, sets `failed` and raises."""
        try:
            while self._commit_next():
                pass
        except BaseException:
            self.failed.set()
            raise

    def _commit_next(self) -> bool:
        messages, more = self._take()
        for message in messages:
            if isinstance(message, Analysis | Dropped):
                self._order.add(message)
        ready = self._order.take(everything=not more)
        results: list[Result] = []
        if messages or ready:
            with self._writer.transaction():
                self._write(messages)
                results = [self._write_set(done, in_turn) for done, in_turn in ready]
        for result, (done, _) in zip(results, ready, strict=True):
            if not result.failure:
                self._tally.commit(_lags_ms(result.image_set), result.counts())
            self._publish(result)
            if isinstance(done, Analysis):
                self._settled()
        if ready:
            self._order.restart()
        return more

    def _take(self) -> tuple[list[Message], bool]:
        messages: list[Message] = []
        try:
            first = self._inbox.get(timeout=0.25)
        except queue.Empty:
            return messages, True
        while first is not None:
            messages.append(first)
            if len(messages) >= _BATCH:
                return messages, True
            try:
                first = self._inbox.get_nowait()
            except queue.Empty:
                return messages, True
        return messages, False

    def _write(self, messages: Sequence[Message]) -> None:
        rows = [message.row for message in messages if isinstance(message, NewFrame)]
        for message in messages:
            if isinstance(message, NewSegment):
                self._writer.add_segment(message.number, message.segment)
            elif isinstance(message, Ready):
                self._pipeline = message.pipeline
                for kind, schema in message.pipeline.schemas.items():
                    self._writer.add_objects_table(kind, schema)
            elif isinstance(message, Event):
                self._write_event(message)
        if rows:
            self._writer.add_frames(rows)
        now = time.time_ns()
        for row in rows:
            if row["state"] != "pending":
                self._tally.finish(row["state"])
                self._log.write(row["state"], row["reason"], path=row.get("path"))
        self._write_outcomes([m for m in messages if isinstance(m, Outcome)], now)

    def _write_outcomes(self, ended: Sequence[Outcome], now: int) -> None:
        if not ended:
            return
        outcomes = [
            FrameOutcome(one.frame_id, one.state, None, now, reason=one.reason) for one in ended
        ]
        self._writer.finish_frames(outcomes)
        for outcome in outcomes:
            self._tally.finish(outcome.state)

    def _write_event(self, event: Event) -> None:
        gap = event.gap
        self._writer.add_event(
            time.time_ns(),
            event.kind,
            event.message,
            segment=gap.segment if gap else None,
            first_seq=gap.first_seq if gap else None,
            n=gap.n if gap else None,
        )
        self._log.write(event.kind, event.message)

    def _write_set(self, done: Done, in_turn: bool) -> Result:
        known = self._writer.find_set(done.image_set.key)
        if known is not None and done.image_set.version <= known.version:
            # The assembler has forgotten that it closed this set long ago; the table has not.
            return self._write_aside(done.image_set, "late", LATE)
        if isinstance(done, Dropped) and known is not None:
            # What was measured stays, until something is measured in its place.
            return self._write_aside(done.image_set, "dropped", done.reason)
        if isinstance(done, Dropped):
            return self._write_lost(done.image_set, known, "dropped", Failure(done.reason))
        if done.failure is not None:
            return self._write_lost(done.image_set, known, "quarantined", done.failure)
        linked = Linked()
        if in_turn and known is None and self._pipeline is not None:
            try:
                linked = self._linker.link(self._pipeline, done)
            except Exception as error:  # noqa: BLE001 - a plug-in's tracker may raise anything
                failure = Failure(_reason(error), traceback.format_exc())
                return self._write_lost(done.image_set, known, "quarantined", failure)
        return self._write_analysis(done, known, linked)

    def _write_analysis(self, done: Analysis, known: KnownSet | None, linked: Linked) -> Result:
        image_set = done.image_set
        set_id, version = self._writer.claim_set(image_set.set_id, known)
        for kind, rows in done.tables.items():
            self._writer.add_rows(kind, set_id, rows, linked.track_ids.get(kind))
        for (step, place), state in {**done.states, **linked.states}.items():
            self._writer.save_state(step, place, image_set.key.segment, set_id, state)
        # What takes longest is written: the time below is that of the row but for the commit.
        now = time.time_ns()
        flags: dict[str, tuple[str, ...]] = {}
        outcomes = []
        for i, frame in enumerate(image_set.frames):
            quality = self._judge(frame, done.quality[i], image_set.key.segment)
            channel = frame.info.channel
            flags[channel] = tuple(dict.fromkeys((*flags.get(channel, ()), *quality.flags)))
            outcomes.append(_analysed(done, i, quality, set_id, now))
        self._writer.finish_frames(outcomes)
        self._writer.add_set(
            set_id,
            version,
            SetRow(
                key=image_set.key,
                state="analysed",
                partial=image_set.partial,
                n_frames=len(image_set.frames),
                committed_ns=now,
                n_objects=sum(len(rows) for rows in done.tables.values()),
                estimates=done.estimates,
                events=linked.events,
            ),
        )
        if self._save_label_images:
            save_labels(self._folder.labels, set_id, done.labels)
        self._tally.finish("analysed", len(image_set.frames))
        return Result(
            set_id=set_id,
            image_set=image_set,
            tables=done.tables,
            track_ids=linked.track_ids,
            label_images=LabelImages(done.labels),
            estimates=done.estimates,
            flags=flags,
        )

    def _write_lost(
        self, image_set: ImageSet, known: KnownSet | None, state: str, failure: Failure
    ) -> Result:
        set_id, version = self._writer.claim_set(image_set.set_id, known)
        now = time.time_ns()
        self._writer.add_set(
            set_id,
            version,
            SetRow(
                key=image_set.key,
                state=state,
                partial=image_set.partial,
                n_frames=len(image_set.frames),
                committed_ns=now,
                reason=failure.reason,
            ),
        )
        self._writer.finish_frames(
            [
                FrameOutcome(
                    frame_id, state, set_id, now, reason=failure.reason, detail=failure.detail
                )
                for frame_id in image_set.frame_ids
            ]
        )
        self._tally.finish(state, len(image_set.frames))
        self._tally.commit([], {})
        if state == "quarantined":
            self._tally.warn(f"quarantined: t={image_set.key.t}: {failure.reason}")
        self._log.write(state, failure.reason, set_id=set_id, detail=failure.detail)
        return Result(set_id=set_id, image_set=image_set, failure=failure.reason)

    def _write_aside(self, image_set: ImageSet, state: str, reason: str) -> Result:
        """Answer for frames without touching the image set that the table has."""
        now = time.time_ns()
        self._writer.finish_frames(
            [FrameOutcome(i, state, None, now, reason=reason) for i in image_set.frame_ids]
        )
        self._tally.finish(state, len(image_set.frames))
        return Result(set_id=image_set.set_id, image_set=image_set, failure=reason)

    def _judge(self, frame: Frame, quality: Quality, segment: int) -> Quality:
        info = frame.info
        # Only like is compared with like: the same camera settings, position, plane and channel.
        place = f"{segment} {info.z} {info.position}"
        judged = self._focus.judge(place, info.channel, quality)
        for flag in judged.flags:
            kind = f"{flag.replace('_', ' ')}: {info.channel}, position {info.position}"
            self._tally.warn(f"{kind}, t={info.t}", kind)
        return judged


def _analysed(done: Analysis, i: int, quality: Quality, set_id: int, now: int) -> FrameOutcome:
    return FrameOutcome(
        frame_id=done.image_set.frame_ids[i],
        state="analysed",
        set_id=set_id,
        committed_ns=now,
        flags=",".join(quality.flags),
        focus_score=_or_none(quality.focus_score),
        saturated_fraction=_or_none(quality.saturated_fraction),
        background_dn=_or_none(quality.background),
        snr=_or_none(quality.snr),
        segmented_ns=done.segmented_ns,
        content_hash=done.content_hashes[i],
    )


def _or_none(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else float(value)


def _lags_ms(image_set: ImageSet) -> list[float]:
    now, utc = time.monotonic_ns(), time.time_ns()
    # A driver may tell the time of day alone, which can jump.
    return [
        (now - info.received_monotonic_ns if info.received_monotonic_ns else utc - info.received_ns)
        / 1e6
        for info in (frame.info for frame in image_set.frames)
    ]


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, StepError) else f"{type(error).__name__}: {error}"
