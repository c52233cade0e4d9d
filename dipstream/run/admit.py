"""Admission: every frame gets a number, its segment and a verdict before anything else happens."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Literal

from dipstream.errors import StepError
from dipstream.frame import BadFrame, Frame, Segment
from dipstream.steps.quality import check_finite

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
    """A frame with its number; `reason` is set if it goes to the quarantine at once."""

    frame_id: int
    item: Frame | BadFrame
    segment: int | None
    reason: str = ""
    opened: Segment | None = None
    gap: Gap | None = None


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
    """

    def __init__(
        self,
        on_change: Literal["quarantine", "segment"],
        *,
        first_frame_id: int = 0,
        segments: Mapping[int, Segment] | None = None,
        places: Mapping[str, int] | None = None,
    ) -> None:
        self._on_change = on_change
        self._next_frame_id = first_frame_id
        self._segments = dict(segments or {})
        self._places = dict(places or {})
        self._current = max(self._segments, default=-1)
        self._fresh_counter = True
        self.received = 0
        self.sequences: dict[int, SequenceCount] = {}

    def segment_at(self, position: str) -> int:
        """Return the segment that frames of a position belong to now; 0 before the first."""
        return self._places.get(position, max(self._current, 0))

    def admit(self, item: Frame | BadFrame) -> Admitted:
        """Return the frame's number, segment and verdict."""
        frame_id = self._next_frame_id
        self._next_frame_id += 1
        self.received += 1
        reason = item.reason if isinstance(item, BadFrame) else _not_finite(item)
        if isinstance(item, BadFrame) or reason:
            # It must not decide what the frames after it are compared with.
            gap = self._count(item.info.seq) if self._current in self.sequences else None
            return Admitted(frame_id, item, None, reason=reason, gap=gap)
        opened = self._segment_for(item)
        self._fresh_counter = False
        gap = self._count(item.info.seq)
        return Admitted(frame_id, item, self._current, self._problem(item), opened, gap)

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

    def _problem(self, frame: Frame) -> str:
        wanted, found = self._segments[self._current], frame.info.segment
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
