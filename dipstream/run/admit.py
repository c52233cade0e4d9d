"""Admission: every frame gets a number, its segment and a verdict before anything else happens."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Literal

from dipstream.errors import StepError
from dipstream.frame import BadFrame, Frame, FrameInfo, Segment
from dipstream.run.expected import Expected, refused_info
from dipstream.steps.quality import check_finite
from dipstream.store import PendingFrame

__all__ = ["Admission", "Admitted", "Gap", "SequenceCount"]

_IN_WORDS = {"pixel_um": "pixel size (µm)", "bit_depth": "bit depth", "shape": "shape (y, x)"}


@dataclass(frozen=True, slots=True)
class Gap:
    """Numbers the device's counter skipped."""

    segment: int
    first_seq: int
    n: int


@dataclass(slots=True)
class SequenceCount:
    """One segment's device counter: what was seen of it and what is missing."""

    first: int
    last: int
    received: int = 1
    gap: int = 0

    @property
    def balanced(self) -> bool:
        """Whether last − first + 1 = received + gap."""
        return self.last - self.first + 1 == self.received + self.gap


@dataclass(frozen=True, slots=True, eq=False)
class Admitted:
    """A frame with its number; `reason` is set if it goes to the quarantine at once.

    Attributes
    ----------
    row
        ``new``: it gets one; ``kept``: it has one, since before a crash; ``replaced``: that one is
        to be written anew.
    missing
        Segments and frames that were refused before it, and of which the assembler of this session
        has not heard.
    """

    frame_id: int
    item: Frame | BadFrame
    segment: int | None
    reason: str = ""
    opened: Segment | None = None
    gap: Gap | None = None
    row: Literal["new", "kept", "replaced"] = "new"
    missing: tuple[tuple[int, FrameInfo], ...] = ()


class Admission:
    """Numbers frames, opens segments, notices gaps. Used by the capture thread alone.

    Parameters
    ----------
    on_change
        What to do with a frame that differs from its segment; see `RunSettings.on_change`.
    first_frame_id
        Number of the first frame.
    segments
        The segments that the run has already.
    places
        The segment of each position so far. Files of another folder may come from another camera:
        each position has a segment to be compared with. A device's counter knows but one.
    expected
        Frames that have a row already, since before a crash, and come again.
    counter
        What the device's counter has told in the newest segment, if it goes on counting: its source
        is replayed. None if nobody can know.
    """

    def __init__(
        self,
        on_change: Literal["quarantine", "segment"],
        *,
        first_frame_id: int = 0,
        segments: Mapping[int, Segment] | None = None,
        places: Mapping[str, int] | None = None,
        expected: Expected | None = None,
        counter: SequenceCount | None = None,
    ) -> None:
        self._on_change = on_change
        self._next_frame_id = first_frame_id
        self._segments = dict(segments or {})
        self._places = dict(places or {})
        self._current = max(self._segments, default=-1)
        self._fresh_counter = expected is None
        self.received = 0
        self.expected = expected or Expected()
        self.sequences: dict[int, SequenceCount] = {}
        if counter is not None:
            self.sequences[self._current] = counter

    def segment_at(self, position: str) -> int:
        """Return the segment that frames of a position belong to now; 0 before the first."""
        return self._places.get(position, max(self._current, 0))

    def admit(self, item: Frame | BadFrame) -> Admitted:
        """Return the frame's number, segment and verdict."""
        row = self.expected.claim(item)
        if row is not None:
            return self._admit_again(item, row)
        frame_id = self._next_frame_id
        self._next_frame_id += 1
        self.received += 1
        missing = self._missing_before(frame_id)
        reason = item.reason if isinstance(item, BadFrame) else _not_finite(item)
        if isinstance(item, BadFrame) or reason:
            # It must not decide what the frames after it are compared with.
            gap = self._count(item.info.seq) if self._current in self.sequences else None
            return Admitted(frame_id, item, None, reason, gap=gap, missing=missing)
        opened = self._segment_for(item)
        self._fresh_counter = False
        gap = self._count(item.info.seq)
        reason = self._problem(item, self._current)
        return Admitted(frame_id, item, self._current, reason, opened, gap, missing=missing)

    def _admit_again(self, item: Frame | BadFrame, row: PendingFrame) -> Admitted:
        """Let a frame go on in its row; the device's counter has counted it before."""
        missing = self._missing_before(row.frame_id)
        reason = item.reason if isinstance(item, BadFrame) else _not_finite(item)
        if isinstance(item, BadFrame) or reason:
            return Admitted(row.frame_id, item, None, reason, row="replaced", missing=missing)
        opened, segment = None, row.segment
        if segment is None:
            opened = self._segment_again(item)
            segment = self._current
        return Admitted(
            row.frame_id,
            item,
            segment,
            self._problem(item, segment),
            opened,
            row="replaced" if row.retried else "kept",
            missing=missing,
        )

    def _segment_again(self, frame: Frame) -> Segment | None:
        """Find the segment of a frame that was refused when it came first; return it if it is new.

        Its counter is one of those passed: a smaller number does not mean that the device began
        anew.
        """
        if frame.info.seq is None:
            return self._segment_of_file(frame.info.position, frame.info.segment)
        return None if self._segments else self._open(frame.info.segment)

    def _missing_before(self, frame_id: int) -> tuple[tuple[int, FrameInfo], ...]:
        return tuple(
            (self.segment_at(row.position), refused_info(row))
            for row in self.expected.refused_before(frame_id)
        )

    def _segment_for(self, frame: Frame) -> Segment | None:
        """Make the frame's segment the current one; return it if it is new."""
        info, wanted = frame.info, frame.info.segment
        if info.seq is None:
            return self._segment_of_file(info.position, wanted)
        if self._current < 0 or self._restarted(info.seq):
            return self._open(wanted)
        if wanted != self._segments[self._current] and self._on_change == "segment":
            return self._open(wanted)
        return None

    def _segment_of_file(self, position: str, wanted: Segment) -> Segment | None:
        opened = None
        self._current = self._places.get(position, -1)
        known = self._segments.get(self._current)
        if known is None or (known != wanted and self._on_change == "segment"):
            equal = [number for number, one in self._segments.items() if one == wanted]
            if equal:
                self._current = equal[0]
            else:
                opened = self._open(wanted)
        self._places[position] = self._current
        return opened

    def _open(self, segment: Segment) -> Segment:
        self._current = max(self._segments, default=-1) + 1
        self._segments[self._current] = segment
        return segment

    def _restarted(self, seq: int | None) -> bool:
        count = self.sequences.get(self._current)
        if seq is None:
            return False
        if count is None:
            # The run goes on after a pause: whether the device counted on cannot be known.
            return self._fresh_counter
        return seq <= count.last

    def _count(self, seq: int | None) -> Gap | None:
        if seq is None:
            return None
        count = self.sequences.get(self._current)
        if count is None:
            self.sequences[self._current] = SequenceCount(first=seq, last=seq)
            return None
        if seq <= count.last:
            # A refused frame restarts the counter: the next good one opens a segment.
            return None
        missing = seq - count.last - 1
        count.received += 1
        count.gap += missing
        count.last = seq
        return Gap(self._current, seq - missing, missing) if missing else None

    def _problem(self, frame: Frame, segment: int) -> str:
        wanted, found = self._segments[segment], frame.info.segment
        if found != wanted:
            changes = [
                f"{_IN_WORDS.get(f.name, f.name)} {getattr(found, f.name)} instead of "
                f"{getattr(wanted, f.name)}"
                for f in fields(Segment)
                if getattr(found, f.name) != getattr(wanted, f.name)
            ]
            return (
                f"the frame differs from those before it: {', '.join(changes)}; choose "
                "`--on-change segment` to analyse such frames as a segment of their own"
            )
        if frame.data.shape != found.shape or str(frame.data.dtype) != found.dtype:
            return (
                f"the source announced {found.shape} {found.dtype} but delivered "
                f"{frame.data.shape} {frame.data.dtype}; update the driver"
            )
        return ""


def _not_finite(frame: Frame) -> str:
    try:
        check_finite(frame.data)
    except StepError as error:
        return str(error)
    return ""
