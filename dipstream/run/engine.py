"""The loop: capture → admit → assemble → queue → workers → committer → publish."""

import threading
import time
import traceback
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import Any

from dipstream.errors import DipstreamError, StepError, StoreError
from dipstream.frame import FrameInfo, ImageSet
from dipstream.kernels.parallel import threads_inside_a_frame
from dipstream.pipeline import Analysis, Failure, Pipeline, Plan, StateCell
from dipstream.queue import SetQueue
from dipstream.run.admit import Admission
from dipstream.run.balance import closing
from dipstream.run.capture import Capture
from dipstream.run.commit import Committer
from dipstream.run.ending import Ending
from dipstream.run.log import RunLog
from dipstream.run.messages import Done, Dropped, Event, Ready
from dipstream.run.result import Accounting, Result, Status
from dipstream.run.taking_up import take_up, waiting_sets
from dipstream.run.tally import Tally
from dipstream.run.turns import Turns
from dipstream.settings import RunSettings
from dipstream.source import Source, SourceEvent, TruthfulSource
from dipstream.spill import Spill, without_pixels
from dipstream.store import Reserve, RunFolder, RunLock, RunState, RunWriter
from dipstream.truth import TrueSet, TruthRecorder

__all__ = ["Engine"]

_LIVE_REORDER_S = 10.0
_LIVE_DEADLINE_MS = 1000.0
_STOLEN = "the run was taken over from "


class Engine:
    """One run. Made, started, joined, closed; every thread of a run lives here.

    Parameters
    ----------
    source
        Already entered. The engine iterates it in a thread of its own.
    plan, settings, folder
        What to compute, how, and where the table goes.
    max_frames
        Stop after this many frames; None for no limit.
    total_frames
        The same, but for all sessions of the run together.
    steal
        Take the run over from a process that holds it and hangs.
    subscribers
        Called with every result after its commit, in the committer's thread.
    truth_subscribers
        Called with the truth of every image set, in the recorder's thread, if the source knows it.

    Raises
    ------
    ConfigError
        If the pipeline wants a channel that the source does not have.
    StoreError
        If another process writes this run, or its table cannot be opened.
    """

    def __init__(
        self,
        source: Source,
        plan: Plan,
        settings: RunSettings,
        folder: RunFolder,
        *,
        max_frames: int | None = None,
        total_frames: int | None = None,
        steal: bool = False,
        subscribers: Iterable[Callable[[Result], None]] = (),
        truth_subscribers: Iterable[Callable[[TrueSet], None]] = (),
    ) -> None:
        self._source = source
        self._plan = plan
        self._settings = settings
        self._folder = folder
        self._subscribers = list(subscribers)
        self._recorder = self._make_recorder(truth_subscribers)
        self._line_ended: float | None = None
        self._deadline_ms = settings.deadline_ms or (
            _LIVE_DEADLINE_MS if source.info.live else None
        )
        self._tally = Tally(self._deadline_ms)
        self._pipeline: Pipeline | None = None
        self._error: DipstreamError | None = None
        self._reason = ""
        self._last: dict[str, Any] = {}
        self._threads: list[threading.Thread] = []
        self._working = settings.threads
        self._guard = threading.Lock()
        # Results hold pixels and labels: only so many may wait for their turn to be committed.
        self._unsettled = threading.Semaphore(4 * settings.threads + 4)
        with ExitStack() as opened:
            lock = opened.enter_context(RunLock(folder.path, steal=steal))
            self._reserve = opened.enter_context(Reserve(folder.path, settings.reserve_mb))
            self._log = opened.enter_context(RunLog(folder.log, failed=self._fail))
            self._writer = self._open_table(lock)
            opened.callback(self._writer.close)
            self._spill = Spill(
                folder.spill,
                int(settings.spill_mb * 1e6),
                sync=settings.durability == "full",
                failed=self._spill_failed,
            )
            opened.callback(self._spill.close)
            self._build(max_frames, total_frames)
            for text in filter(
                None, (lock.problem, lock.stolen_from and _STOLEN + lock.stolen_from)
            ):
                self._event("warning", text)
            opened.enter_context(self._writer.start_checkpointer(self._fail))
            self._opened = opened.pop_all()

    def _open_table(self, lock: RunLock) -> RunWriter:
        try:
            return RunWriter(self._folder.table, self._settings.durability, holder=lock.holder)
        except StoreError as error:
            if not lock.stolen_from:
                raise
            raise StoreError(
                f"the run cannot be taken over: {error}. If its holder, {lock.stolen_from}, hangs "
                "in the middle of a commit, end that process first"
            ) from error

    def _build(self, max_frames: int | None, total_frames: int | None) -> None:
        info, settings = self._source.info, self._settings
        frame_id, set_id, track_id = self._writer.next_numbers()
        left_over, absent = waiting_sets(self._writer, self._spill, self._source, set_id)
        frame_id = self._writer.next_numbers()[0]  # some of those that wait had no row yet
        taken = take_up(self._writer, self._source, left_over)
        for _ in range(self._writer.state_counts().get("pending", 0)):
            self._tally.receive()
        states = {
            key: StateCell(state, segment)
            for key, (state, segment) in self._writer.load_states().items()
        }
        self._admission = Admission(
            settings.on_change,
            first_frame_id=frame_id,
            segments=self._writer.segments(),
            places=taken.places,
            expected=taken.expected,
            counter=taken.counter,
        )
        first_set_id = min([set_id, *absent, *(one.set_id for one in left_over)])
        self._turns = Turns(first_set_id, states)
        self._queue = SetQueue(
            int(settings.queue_mb * 1e6),
            settings.policy_for(live=info.live),
            spill=self._spill,
            lost=self._drop,
            told=self._event,
        )
        self._committer = Committer(
            self._folder,
            self._writer,
            first_set_id=first_set_id,
            next_track_id=track_id,
            states=states,
            retried=taken.retried,
            reorder_s=settings.reorder_s or (None if info.replayable else _LIVE_REORDER_S),
            save_label_images=settings.save_labels,
            tally=self._tally,
            log=self._log,
            publish=self._publish,
            settled=self._settle,
        )
        self._ending = Ending(
            self._folder,
            self._writer,
            self._committer,
            self._reserve,
            self._log,
            outcome=lambda: self.outcome,
        )
        self._capture = Capture(
            self._source,
            self._plan,
            self._admission,
            self._queue,
            first_set_id=max([set_id, *(one.set_id + 1 for one in left_over)]),
            max_frames=max_frames if total_frames is None else max(total_frames - frame_id, 0),
            closed=taken.closed,
            reference=settings.reference,
            tally=self._tally,
            log=self._log,
            send=self._committer.send,
            drop=self._drop,
            ready=self._ready,
            fail=self._fail,
            admitted=self._admitted,
        )
        self._max_frames = total_frames or max_frames
        self._first_frame_id = frame_id
        self._queue.open_bytes = lambda: self._capture.open_bytes
        self._event("started", "the run goes on" if taken.resumed else "the run begins")
        if self._reserve.problem:
            self._event("warning", self._reserve.problem)
        self._source.listen(self._hear)
        if info.channels or left_over:
            self._capture.prepare(channels=left_over[0].channels if left_over else ())
        self._committer.skip(absent)
        for absent_id in absent:
            self._turns.passed(absent_id)
        self._queue.restore(left_over)

    def _make_recorder(
        self, listeners: Iterable[Callable[[TrueSet], None]]
    ) -> TruthRecorder | None:
        source: object = self._source
        if self._settings.truth == "none" or not isinstance(source, TruthfulSource):
            return None
        return TruthRecorder(
            self._source,
            source.truth,
            self._folder.path / "truth",
            self._settings.truth,
            warn=lambda text: self._event("warning", text),
            listeners=listeners,
        )

    @property
    def pipeline(self) -> Pipeline | None:
        """The compiled pipeline, once the channels are known."""
        return self._pipeline

    @property
    def outcome(self) -> tuple[RunState, str]:
        """How the run stands or ended, and why."""
        if self._error is not None:
            return "failed", str(self._error)
        if self.running:
            return "running", ""
        return ("stopped", self._reason) if self._reason else ("finished", "")

    @property
    def error(self) -> DipstreamError | None:
        """Why the run failed, if it did."""
        return self._error

    @property
    def running(self) -> bool:
        """Whether any thread of the run still works."""
        return any(thread.is_alive() for thread in self._threads)

    def start(self) -> None:
        """Say in `run.json` that the run goes on, and start all threads; raises `StoreError`."""
        with self._writer.transaction():
            self._folder.update(state="running", reason="", ended_ns=None)
        names = ["committer", *(f"worker-{i}" for i in range(self._working)), "capture"]
        targets = [self._commit, *[self._work] * self._working, self._take_frames]
        self._threads = [
            threading.Thread(target=target, name=name, daemon=True)
            for name, target in zip(names, targets, strict=True)
        ]
        if self._recorder is not None:
            self._threads.insert(0, self._recorder.thread)
        for thread in self._threads:
            thread.start()

    def stop(self, reason: str = "asked to stop") -> None:
        """Take no more frames; everything admitted is still analysed."""
        if not self._threads or self._threads[-1].is_alive():
            self._reason = self._reason or reason
        self._capture.stop()

    def abort(self, reason: str = "stopped at once") -> None:
        """Take no more frames and drop what waits; each dropped frame's row says so."""
        self.stop(reason)
        # The last worker must not close the committer's inbox before these are in it.
        with self._guard:
            for image_set in self._queue.clear():
                self._reason = self._reason or reason
                self._drop(image_set, reason)
        if self._recorder is not None:
            self._recorder.abort()

    def join(self, timeout_s: float | None = None) -> bool:
        """Wait until the run has ended; return whether it has."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(None if deadline is None else max(deadline - time.monotonic(), 0))
        return not self.running

    def abandon(self) -> None:
        """Let go of everything; for one that was made and is not started after all."""
        self._opened.close()

    def close(self) -> Accounting:
        """Write how the run ended, from the book, and let go of everything."""
        with self._opened:
            accounting = self._tally.accounting()
            # Not before: what is still being committed would take the room.
            if isinstance(self._error, StoreError):
                self._reserve.release(self._error)
            try:
                accounting = self._balance()
                self._ending.write(accounting)
            except (DipstreamError, OSError) as error:
                self._error, accounting = self._ending.write_badly(accounting, error, self._error)
            if self._log.problem:
                self._tally.warn(self._log.problem)
            return accounting

    @property
    def records_truth(self) -> bool:
        """Whether the truth is written, and told to those who subscribed to it."""
        return self._recorder is not None

    @property
    def seconds(self) -> float:
        """How long frames were taken, analysed and committed; the truth may take longer."""
        return (self._line_ended or time.monotonic()) - self._tally.started

    def status(self) -> Status:
        """Return how the run stands."""
        p50, p99 = self._tally.lag_ms()
        lags, commits = self._tally.durations()
        info = self._source.info
        return Status(
            accounting=self._tally.accounting(),
            image_sets=self._tally.image_sets,
            objects=self._tally.objects.total(),
            seconds=self.seconds,
            frames_per_s=self._tally.frames_per_s(),
            lag_ms_p50=p50,
            lag_ms_p99=p99,
            deadline_ms=self._deadline_ms,
            deadline_misses=self._tally.deadline_misses,
            queue_fill=self._queue.fill,
            spill_fill=self._queue.spill_fill,
            spilled=self._queue.spilled,
            expected_frames=self._max_frames or info.frames,
            ignored=info.ignored,
            warnings=self._tally.warnings(),
            truth_behind=0 if self._recorder is None else self._recorder.behind,
            last=self._last,
            drops=self._tally.drops(),
            lags=lags,
            commits=commits,
            source_trouble=self._tally.source_trouble,
            idle_s=self._tally.idle_s,
        )

    def warnings_after(self, seen: int) -> tuple[list[str], int, int]:
        """Return what `Tally.warnings_after` says."""
        return self._tally.warnings_after(seen)

    def tell(self, kind: str, message: str) -> None:
        """Write something a person should know into the run's events; from any thread."""
        self._event(kind, message)

    def _take_frames(self) -> None:
        try:
            self._capture.run()
        finally:
            if self._recorder is not None:
                self._recorder.finish()

    def _admitted(self, info: FrameInfo) -> None:
        if self._recorder is not None:
            self._recorder.take(info)

    def _work(self) -> None:
        try:
            with threads_inside_a_frame(self._settings.frame_threads):
                while self._may_take_one() and (image_set := self._queue.get()) is not None:
                    self._committer.send(self._analyse(image_set))
        finally:
            with self._guard:
                self._working -= 1
                last = self._working == 0
            if last:
                self._committer.finish()

    def _may_take_one(self) -> bool:
        # The set that is next to be committed was taken first, so that it never waits here.
        while not self._unsettled.acquire(timeout=0.5):
            if self._committer.failed.is_set():
                return False
        return True

    def _analyse(self, image_set: ImageSet) -> Analysis:
        try:
            if self._pipeline is None:
                raise StepError("an image set arrived before its pipeline was ready")
            return self._pipeline.analyse(image_set, self._turns)
        except Exception as error:  # noqa: BLE001 - a plug-in's step may raise anything
            told = isinstance(error, StepError)
            reason = str(error) if told else f"{type(error).__name__}: {error}"
            failure = Failure(reason, traceback.format_exc())
            return Analysis(
                image_set, states=self._turns.left_by(image_set.set_id), failure=failure
            )
        finally:
            self._turns.left_by(image_set.set_id)
            self._turns.passed(image_set.set_id)

    def _commit(self) -> None:
        try:
            self._committer.run()
        except DipstreamError as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing more can be written
            self._log.write("failed", str(error), detail=traceback.format_exc())
            self._fail(StoreError(f"writing failed: {type(error).__name__}: {error}"))
        finally:
            self._line_ended = time.monotonic()

    def _ready(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._turns.expect(
            bound.key for bound in self._plan.correct if bound.step.mark.kind == "ordered"
        )
        self._committer.send(Ready(pipeline))

    def _drop(self, image_set: ImageSet, reason: str) -> None:
        self._turns.passed(image_set.set_id)
        self._committer.send(Dropped(without_pixels(image_set), reason))

    def _settle(self, done: Done) -> None:
        self._queue.settle(done.image_set.set_id)
        if isinstance(done, Analysis):
            self._unsettled.release()

    def _spill_failed(self, reason: str) -> None:
        self._event(
            "degraded",
            f"{self._folder.spill} takes no more image sets: {reason}. As long as the run goes on, "
            "those that do not fit into memory are thinned; make room for the next one",
        )

    def _publish(self, result: Result) -> None:
        # Not the result itself: it holds pixels.
        self._last = {"t": result.t, "position": result.position, **result.counts()}
        for subscriber in self._subscribers:
            try:
                subscriber(result)
            except Exception as error:  # noqa: BLE001 - what a subscriber does is no harm to the run
                text = f"a subscriber failed on image set {result.set_id}: {error!r}"
                self._tally.warn(text)
                self._log.write("warning", text, detail=traceback.format_exc())

    def _hear(self, event: SourceEvent) -> None:
        self._tally.source(event.kind, event.message)
        self._event(event.kind, event.message)

    def _event(self, kind: str, message: str) -> None:
        if kind in {"warning", "degraded"}:
            self._tally.warn(message)
        self._committer.send(Event(kind, message))

    def _fail(self, error: DipstreamError) -> None:
        self._error = self._error or error
        self._capture.stop()
        if self._committer.failed.is_set():
            # Nothing can be written any more: let every thread end instead of waiting for it.
            self._turns.abort()
            self._queue.clear()
            self._queue.close()

    def _balance(self) -> Accounting:
        """Count the book and hold it against what was received."""
        return closing(
            self._writer.state_counts(),
            self._tally.accounting(),
            self._admission.sequences,
            received=self._first_frame_id + self._admission.received,
            # What could not be written, or was not taken again, is for `resume`.
            due=None if self._committer.failed.is_set() else len(self._admission.expected),
        )
