"""The committer: the one thread that writes. Orders results, tracks, commits, then publishes."""

import queue
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import numpy as np

from dipstream.errors import StepError
from dipstream.frame import Frame, ImageSet
from dipstream.pipeline import Analysis, Failure, Pipeline, StateCell
from dipstream.run.balance import Balance
from dipstream.run.known import Aside, aside
from dipstream.run.labels import save_labels
from dipstream.run.linking import Linked, Linker
from dipstream.run.log import RunLog
from dipstream.run.messages import (
    RESTORED,
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
from dipstream.steps.step import State
from dipstream.store import FrameOutcome, KnownSet, RunFolder, RunWriter, SetRow, set_hash

__all__ = ["Committer"]

_BATCH = 256
_SLOW_S = 1.0
_EPOCH_EVERY_S = 1.0


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
    retried
        The numbers of frames that were in the quarantine and are analysed again.
    reorder_s
        How long a set may keep those behind it waiting; None for as long as it takes.
    tally, log
        Live counters and the run's log.
    publish
        Called with every result after its commit.
    settled
        Called once for every image set that is committed, analysed or not.
    """

    def __init__(
        self,
        folder: RunFolder,
        writer: RunWriter,
        *,
        first_set_id: int,
        next_track_id: int,
        states: Mapping[tuple[str, str], StateCell],
        retried: Collection[int],
        reorder_s: float | None,
        save_label_images: bool,
        tally: Tally,
        log: RunLog,
        publish: Callable[[Result], None],
        settled: Callable[[Done], None],
    ) -> None:
        self._folder = folder
        self._writer = writer
        self._order = InOrder(first_set_id, reorder_s)
        self._linker = Linker(states, writer.live_tracks, writer.tracked_until(), next_track_id)
        self._balance = Balance(writer.state_counts)
        self._retried = retried
        self._noted = first_set_id - 1
        self._epoch_checked = time.monotonic()
        self._save_label_images = save_label_images
        self._tally = tally
        self._log = log
        self._publish = publish
        self._settled = settled
        self._pipeline: Pipeline | None = None
        self._focus = FocusWatch()
        for (place, channel), scores in writer.load_focus().items():
            self._focus.remember(place, channel, scores)
        self._inbox: queue.Queue[Message | None] = queue.Queue(maxsize=4096)
        self._own: deque[Message] = deque()
        self._thread = 0
        self.failed = threading.Event()

    def send(self, message: Message) -> None:
        """Hand over a message; blocks while the disk is behind, unless writing has failed.

        A subscriber that stops the run does so from the thread that empties the inbox.
        """
        if threading.get_ident() == self._thread:
            self._own.append(message)
            return
        while not self.failed.is_set():
            try:
                self._inbox.put(message, timeout=0.5)
            except queue.Full:
                continue
            return

    def skip(self, set_ids: Iterable[int]) -> None:
        """Wait for none of these image sets; call before `run`."""
        self._order.skip(set_ids)

    def finish(self) -> None:
        """Let `run` return once everything sent so far is committed."""
        while not self.failed.is_set():
            try:
                self._inbox.put(None, timeout=0.5)
            except queue.Full:
                continue
            return

    def write_left_over(self) -> None:
        """Write the events that came after `run` had ended; inside a transaction."""
        left = [self._inbox.get_nowait() for _ in range(self._inbox.qsize())]
        for message in (*left, *self._own):
            if isinstance(message, Event):
                self._write_event(message)

    def run(self) -> None:
        """Commit until `finish`; on a failed write, sets `failed` and raises."""
        self._thread = threading.get_ident()
        try:
            while self._commit_next():
                pass
        except BaseException:
            self.failed.set()
            raise

    def _commit_next(self) -> bool:
        self._tally.turn()
        messages, more = self._take()
        for message in messages:
            if isinstance(message, Analysis | Dropped):
                self._order.add(message)
        ready = self._order.take(everything=not more)
        results: list[Result] = []
        if messages or ready:
            begun = time.monotonic()
            with self._writer.transaction():
                self._write(messages)
                results = [self._write_set(done, in_turn) for done, in_turn in ready]
            self._time_commit(time.monotonic() - begun, len(ready))
        for result in results:
            if not result.failure:
                self._tally.commit(_lags_ms(result.image_set), result.counts())
            self._publish(result)
        for done, _ in ready:
            self._settled(done)
        if ready:
            self._order.restart()
        self._check()
        return more

    def _check(self) -> None:
        """See, between two commits, whether the run is still ours and whether the book adds up."""
        now = time.monotonic()
        if now - self._epoch_checked > _EPOCH_EVERY_S:
            self._epoch_checked = now
            self._writer.check_epoch()
        problems = self._balance.problems(self._tally.accounting())
        if problems:
            with self._writer.transaction():
                for problem in problems:
                    self._tally.warn(problem)
                    self._write_event(Event("warning", f"the book does not add up: {problem}"))

    def _time_commit(self, seconds: float, image_sets: int) -> None:
        self._tally.time_commit(seconds)
        if seconds > _SLOW_S:
            text = f"a commit of {image_sets} image sets took {seconds:.1f} s: the disk is slow"
            self._log.write("slow_commit", text, seconds=round(seconds, 3), image_sets=image_sets)

    def _take(self) -> tuple[list[Message], bool]:
        messages: list[Message] = []
        if self._own:
            # ORDER MATTERS: the rows of the frames they speak of may still be on their way.
            before = [self._inbox.get_nowait() for _ in range(self._inbox.qsize())]
            messages = [message for message in before if message is not None]
            messages += [self._own.popleft() for _ in range(len(self._own))]
            return messages, None not in before
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
        frames = [message for message in messages if isinstance(message, NewFrame)]
        for message in messages:
            if isinstance(message, NewSegment):
                self._writer.add_segment(message.number, message.segment)
            elif isinstance(message, Ready):
                self._pipeline = message.pipeline
                for kind, schema in message.pipeline.schemas.items():
                    self._writer.add_objects_table(kind, schema)
            elif isinstance(message, Event):
                self._write_event(message)
        self._write_frames(frames)
        self._write_outcomes([m for m in messages if isinstance(m, Outcome)], time.time_ns())

    def _write_frames(self, frames: Sequence[NewFrame]) -> None:
        fresh = [frame.row for frame in frames if not frame.again]
        again = [frame for frame in frames if frame.again]
        if fresh:
            self._writer.add_frames(fresh)
            self._balance.rows += len(fresh)
        told = {frame.row["frame_id"]: self._write_again(frame) for frame in again}
        for frame in frames:
            row = frame.row
            if frame.gap is not None:
                self._write_event(frame.gap)
            state = told.get(row["frame_id"], row["state"])
            if state != "pending":
                self._tally.finish(state, reason=row["reason"])
                about = {name: row.get(name) for name in ("frame_id", "seq", "path", "detail")}
                self._log.write(row["state"], row["reason"], **about)

    def _write_again(self, frame: NewFrame) -> str:
        """Write the row of a frame that has one; return the state it is in."""
        row = frame.row
        frame_id, state = row["frame_id"], str(row["state"])
        if state == "pending":
            self._writer.describe_frames([row])
        elif frame_id in self._retried and self._writer.is_in_a_set(frame_id):
            # Its set stands as it is, and counts it.
            (state,) = self._writer.restore_frames([frame_id], row["reason"], row["detail"])
        else:
            self._writer.add_frames([row], replace=True)
        return state

    def _write_outcomes(self, ended: Sequence[Outcome], now: int) -> None:
        if not ended:
            return
        outcomes = [
            FrameOutcome(one.frame_id, one.state, None, now, reason=one.reason) for one in ended
        ]
        self._writer.finish_frames(outcomes)
        for outcome in outcomes:
            self._tally.finish(outcome.state, reason=outcome.reason)
            self._log.write(outcome.state, outcome.reason, frame_id=outcome.frame_id)

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
        about = {} if gap is None else {"segment": gap.segment, "first_seq": gap.first_seq}
        self._log.write(event.kind, event.message, **about, n=gap.n if gap else None)

    def _write_set(self, done: Done, in_turn: bool) -> Result:
        known = self._writer.find_set(done.image_set.key)
        content = _content_hash(done)
        other = aside(done, known, content, self._retried)
        if known is not None or other is not None:
            self._note_number(done.image_set.set_id)
        if other is not None:
            return self._write_aside(done, other)
        if isinstance(done, Dropped):
            return self._write_lost(done, known, "dropped", Failure(done.reason))
        if done.failure is not None:
            return self._write_lost(done, known, "quarantined", done.failure)
        linked = Linked()
        if in_turn and known is None and self._pipeline is not None:
            try:
                linked = self._linker.link(self._pipeline, done)
            except Exception as error:  # noqa: BLE001 - a plug-in's tracker may raise anything
                failure = Failure(_reason(error), traceback.format_exc())
                return self._write_lost(done, known, "quarantined", failure)
        return self._write_analysis(done, known, linked, content)

    def _note_number(self, set_id: int) -> None:
        """Have it known that a set which is not kept under its own number has used it up."""
        if set_id > self._noted:
            self._noted = set_id
            self._writer.note_set(set_id)

    def _save_states(self, done: Done, states: Mapping[tuple[str, str], State]) -> None:
        """Keep what ordered steps remember now, whatever becomes of the set that made them."""
        image_set = done.image_set
        for (step, place), state in states.items():
            key = image_set.key
            self._writer.save_state(step, place, key.segment, image_set.set_id, state)

    def _write_analysis(
        self, done: Analysis, known: KnownSet | None, linked: Linked, content: str | None
    ) -> Result:
        image_set = done.image_set
        set_id, version = self._writer.claim_set(image_set.set_id, known)
        for kind, rows in done.tables.items():
            self._writer.add_rows(kind, set_id, rows, linked.track_ids.get(kind))
        self._save_states(done, {**done.states, **linked.states})
        # What takes longest is written: the time below is that of the row but for the commit.
        now = time.time_ns()
        flags: dict[str, tuple[str, ...]] = {}
        outcomes = []
        for i, frame in enumerate(image_set.frames):
            quality = self._judge(frame, done.quality[i], image_set.key.segment)
            channel = frame.info.channel
            flags[channel] = tuple(dict.fromkeys((*flags.get(channel, ()), *quality.flags)))
            outcomes.append(_analysed(done, i, quality, set_id, now))
        self._save_focus(image_set)
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
                content_hash=content,
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
        self, done: Done, known: KnownSet | None, state: str, failure: Failure
    ) -> Result:
        image_set = done.image_set
        if isinstance(done, Analysis):
            self._save_states(done, done.states)
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
        self._tally.finish(state, len(image_set.frames), failure.reason)
        self._tally.commit([], {})
        if state == "quarantined":
            self._tally.warn(f"quarantined: t={image_set.key.t}: {failure.reason}")
        ids = list(image_set.frame_ids)
        self._log.write(state, failure.reason, set_id=set_id, frame_ids=ids, detail=failure.detail)
        return Result(set_id=set_id, image_set=image_set, failure=failure.reason)

    def _write_aside(self, done: Done, other: Aside) -> Result:
        """Answer for frames without touching the image set that the table has."""
        image_set, now, state, reason = done.image_set, time.time_ns(), other.state, other.reason
        if isinstance(done, Analysis):
            self._save_states(done, done.states)
        if state == RESTORED:
            return self._restore(done, reason or "")
        if isinstance(done, Analysis) and state == "analysed":
            outcomes = [
                _analysed(done, i, quality, other.set_id, now)
                for i, quality in enumerate(done.quality)
            ]
        else:
            outcomes = [
                FrameOutcome(i, state, None, now, reason=reason) for i in image_set.frame_ids
            ]
        self._writer.finish_frames(outcomes, alone=True)
        self._tally.finish(state, len(image_set.frames), reason or "")
        ids = list(image_set.frame_ids)
        self._log.write(state, reason, set_id=image_set.set_id, frame_ids=ids)
        said = reason or "the same pixels are in the table already"
        return Result(set_id=image_set.set_id, image_set=image_set, failure=said)

    def _restore(self, done: Done, reason: str) -> Result:
        """Leave frames that were tried again, and the image set they are of, as they were."""
        image_set = done.image_set
        failure = done.failure if isinstance(done, Analysis) else None
        detail = None if failure is None else failure.detail
        states = self._writer.restore_frames(image_set.frame_ids, reason, detail)
        for state in states:
            self._tally.finish(state)
        ids = list(image_set.frame_ids)
        self._log.write("quarantined", reason, set_id=image_set.set_id, frame_ids=ids)
        return Result(set_id=image_set.set_id, image_set=image_set, failure=reason)

    def _save_focus(self, image_set: ImageSet) -> None:
        places = {
            (_focus_place(image_set.key.segment, frame), frame.info.channel): ()
            for frame in image_set.frames
        }
        scores = {place: self._focus.recent(*place) for place in places}
        self._writer.save_focus(scores, image_set.set_id)

    def _judge(self, frame: Frame, quality: Quality, segment: int) -> Quality:
        info = frame.info
        judged = self._focus.judge(_focus_place(segment, frame), info.channel, quality)
        for flag in judged.flags:
            kind = f"{flag.replace('_', ' ')}: {info.channel}, position {info.position}"
            self._tally.warn(f"{kind}, t={info.t}", kind)
        return judged


def _focus_place(segment: int, frame: Frame) -> str:
    # Only like is compared with like: the same camera settings, position, plane and channel.
    return f"{segment} {frame.info.z} {frame.info.position}"


def _content_hash(done: Done) -> str | None:
    if not isinstance(done, Analysis) or done.failure is not None:
        return None
    return set_hash([frame.info for frame in done.image_set.frames], done.content_hashes)


def _analysed(
    done: Analysis, i: int, quality: Quality, set_id: int | None, now: int
) -> FrameOutcome:
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
