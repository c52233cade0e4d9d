"""What the other threads tell the committer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from dipstream.frame import ImageSet, Segment
from dipstream.pipeline import Analysis, Pipeline
from dipstream.run.admit import Gap

__all__ = [
    "LATE",
    "RESTORED",
    "Done",
    "Dropped",
    "Event",
    "Message",
    "NewFrame",
    "NewSegment",
    "Outcome",
    "Ready",
]

RESTORED = "restored"
"""Not a state: the frame goes back to the one it had before it was tried again."""
LATE = "it came after its image set had been closed"


@dataclass(frozen=True, slots=True)
class NewSegment:
    """A segment has opened."""

    number: int
    segment: Segment


@dataclass(frozen=True, slots=True, eq=False)
class NewFrame:
    """A frame was admitted; its row.

    Attributes
    ----------
    again
        The row is in the book since an earlier session, and is replaced.
    gap
        What the frame told of the device's counter: written with the row, so that after a crash
        the book has both or neither.
    """

    row: Mapping[str, Any]
    again: bool = False
    gap: "Event | None" = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """A frame ends without having been in an image set; `RESTORED`: as its row says it had."""

    frame_id: int
    state: str
    reason: str


@dataclass(frozen=True, slots=True)
class Event:
    """Something to remember in the table and the log."""

    kind: str
    message: str
    gap: Gap | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Ready:
    """The pipeline is compiled: tables of objects can be made."""

    pipeline: Pipeline


@dataclass(frozen=True, slots=True, eq=False)
class Dropped:
    """An image set that will not be analysed."""

    image_set: ImageSet
    reason: str


Done: TypeAlias = Analysis | Dropped
Message: TypeAlias = NewSegment | NewFrame | Outcome | Event | Ready | Dropped | Analysis
