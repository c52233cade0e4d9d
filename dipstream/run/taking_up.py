"""Going on where an earlier session of a run has ended: what is due and what is lost."""

import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from dipstream.assemble import REMEMBERED
from dipstream.frame import FrameInfo, SetKey
from dipstream.run.admit import SequenceCount
from dipstream.run.expected import CRASH, Expected, lost_reason
from dipstream.source import ResumableSource, Source
from dipstream.spill import Spill, Spilled
from dipstream.store import PendingFrame, RunWriter, frame_row

__all__ = ["TakenUp", "comes_again", "take_up", "waiting_sets"]


@dataclass(frozen=True, slots=True)
class TakenUp:
    """What an earlier session has left.

    Attributes
    ----------
    resumed
        There was one.
    expected
        Frames that come again; None if the source cannot go on where it was.
    retried
        The numbers of frames that were in the quarantine.
    places, counter
        As `Admission` takes them.
    closed
        The image sets that were closed last, as `Assembler` takes them.
    """

    resumed: bool
    expected: Expected | None
    retried: frozenset[int]
    places: dict[str, int] = field(default_factory=dict)
    counter: SequenceCount | None = None
    closed: dict[SetKey, int] = field(default_factory=dict)


def comes_again(source: Source) -> bool:
    """Whether a source delivers again what a crash has cost."""
    return source.info.replayable and isinstance(source, ResumableSource)


def waiting_sets(
    writer: RunWriter, spill: Spill, source: Source, next_set_id: int
) -> tuple[list[Spilled], list[int]]:
    """Return what waits on the disk since a crash, and the numbers of sets that are gone.

    What a source can deliver again it delivers in its place among the others. Of what it cannot,
    frames that came so shortly before the crash that they are on the disk but not in the book are
    booked now.
    """
    found = list(spill.left_over())
    if not comes_again(source):
        _book_unwritten(writer, found)
    pending = writer.pending_frames() if found else {}
    if found and comes_again(source):
        # Only those whose files are gone.
        unfinished = writer.unfinished_frames()
        gone = {row.frame_id for row in unfinished if lost_reason(row) and not row.retried}
        pending = {frame_id: ns for frame_id, ns in pending.items() if frame_id in gone}
    left_over = [
        spilled
        for spilled, infos in found
        if [pending.get(frame_id) for frame_id in spilled.frame_ids]
        == [info.received_ns for info in infos]
    ]
    left_over.sort(key=lambda one: one.set_id)
    spill.adopt(left_over)
    waiting = {one.set_id for one in left_over}
    numbers = range(min([*waiting, next_set_id]), max([*waiting, next_set_id - 1]) + 1)
    return left_over, [number for number in numbers if number not in waiting]


def _book_unwritten(
    writer: RunWriter, found: Iterable[tuple[Spilled, tuple[FrameInfo, ...]]]
) -> None:
    """Write the rows of frames on the disk that follow on the newest one of the book.

    Where one is missing the rest cannot be told from what a still earlier crash has left.
    """
    newest_ns = writer.newest_arrival()
    unwritten = {
        frame_id: (one.key.segment, info)
        for one, infos in found
        for frame_id, info in zip(one.frame_ids, infos, strict=True)
        if info.received_ns >= newest_ns
    }
    number, segments = writer.next_numbers()[0], writer.segments()
    if number not in unwritten:
        return
    newest = max(segments, default=-1)
    known = writer.sequence(newest)
    last = None if known is None else known[1]
    with writer.transaction():
        while number in unwritten:
            segment, info = unwritten[number]
            if segment not in segments:
                if segment != newest + 1:
                    return
                newest, last, segments[segment] = segment, None, info.segment
                writer.add_segment(segment, info.segment)
            writer.add_frames([frame_row(number, segment, info, "pending", "", "")])
            _note_gap(writer, segment, info.seq, last)
            last, number = info.seq, number + 1


def _note_gap(writer: RunWriter, segment: int, seq: int | None, last: int | None) -> None:
    if seq is not None and last is not None and seq > last + 1:
        first, n = last + 1, seq - last - 1
        text = f"the camera's counter skipped {n} from {first}"
        writer.add_event(time.time_ns(), "gap", text, segment=segment, first_seq=first, n=n)


def take_up(writer: RunWriter, source: Source, waiting: Collection[Spilled]) -> TakenUp:
    """Sort what is pending: what comes again, what waits on the disk, what is lost.

    Parameters
    ----------
    writer
        Of the run; rows of frames that are lost are written at once.
    source
        Told what it must not deliver, and what it must.
    waiting
        The image sets that wait on the disk.
    """
    spilled = {frame_id for one in waiting for frame_id in one.frame_ids}
    again = comes_again(source)
    pending = writer.unfinished_frames()
    lost = {
        row.frame_id: (lost_reason(row) or CRASH)
        for row in pending
        if row.frame_id not in spilled and not (again and not lost_reason(row))
    }
    tried = {row.frame_id for row in pending if row.retried and row.frame_id in lost}
    if lost:
        with writer.transaction():
            writer.restore_frames(tried)
            writer.drop_frames({i: reason for i, reason in lost.items() if i not in tried})
    kept = [row for row in pending if row.frame_id not in lost]
    due = [row for row in kept if row.frame_id not in spilled]
    refused = writer.refused_frames() if again else []
    retried = frozenset(row.frame_id for row in due if row.retried)
    if isinstance(source, ResumableSource):
        source.resume(writer.seen_frames({row.frame_id for row in due}))
    return TakenUp(
        resumed=writer.next_numbers()[0] > 0,
        expected=Expected(due, refused) if again else None,
        retried=retried,
        places=_places(writer, kept),
        counter=_counter(writer) if again else None,
        # Frames that are tried again are of sets that were closed without them.
        closed={} if retried else _closed(writer, waiting),
    )


def _places(writer: RunWriter, pending: list[PendingFrame]) -> dict[str, int]:
    """Return the segment of each position: of its newest image set, or of a frame since then."""
    waiting = {
        row.position: row.segment
        for row in pending
        if row.segment is not None and row.seq is None and not row.retried
    }
    return {**writer.places(), **waiting}


def _closed(writer: RunWriter, waiting: Collection[Spilled]) -> dict[SetKey, int]:
    return {**writer.newest_sets(REMEMBERED), **{one.key: one.version for one in waiting}}


def _counter(writer: RunWriter) -> SequenceCount | None:
    segment = max(writer.segments(), default=None)
    known = None if segment is None else writer.sequence(segment)
    if known is None:
        return None
    first, last, received = known
    return SequenceCount(first, last, received, last - first + 1 - received)
