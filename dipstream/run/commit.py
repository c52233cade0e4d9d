"""The committer: the one thread that writes. Orders results, tracks, commits, then publishes."""

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from dipstream.frame import ImageSet
from dipstream.pipeline import Analysis, StateCell
from dipstream.run.balance import Balance
from dipstream.run.frame_rows import FrameRows
from dipstream.run.linking import Linker
from dipstream.run.log import RunLog
from dipstream.run.messages import (
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
from dipstream.run.result import Result
from dipstream.run.set_rows import SetRows
from dipstream.run.tally import Tally
from dipstream.store import RunFolder, RunWriter

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
        self._frames = FrameRows(writer, retried, tally, log)
        self._sets = SetRows(
            folder,
            writer,
            Linker(states, writer.live_tracks, writer.tracked_until(), next_track_id),
            first_set_id=first_set_id,
            retried=retried,
            save_label_images=save_label_images,
            tally=tally,
            log=log,
        )
        self._balance = Balance(writer.state_counts)
        self._epoch_checked = time.monotonic()
        self._tally = tally
        self._log = log
        self._publish = publish
        self._settled = settled
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
                self._frames.tell(message)

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
                results = [self._sets.write(done, in_turn) for done, in_turn in ready]
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
                    self._frames.tell(Event("warning", f"the book does not add up: {problem}"))

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
        for message in messages:
            if isinstance(message, NewSegment):
                self._writer.add_segment(message.number, message.segment)
            elif isinstance(message, Ready):
                self._sets.pipeline = message.pipeline
                for kind, schema in message.pipeline.schemas.items():
                    self._writer.add_objects_table(kind, schema)
                self._folder.update(channels=message.pipeline.channels)
            elif isinstance(message, Event):
                self._frames.tell(message)
        frames = [message for message in messages if isinstance(message, NewFrame)]
        self._balance.rows += self._frames.add(frames)
        self._frames.end([message for message in messages if isinstance(message, Outcome)])


def _lags_ms(image_set: ImageSet) -> list[float]:
    now, utc = time.monotonic_ns(), time.time_ns()
    # A driver may tell the time of day alone, which can jump.
    return [
        (now - info.received_monotonic_ns if info.received_monotonic_ns else utc - info.received_ns)
        / 1e6
        for info in (frame.info for frame in image_set.frames)
    ]
