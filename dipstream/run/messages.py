"""What the other threads tell the committer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from dipstream.frame import ImageSet, Segment
from dipstream.pipeline import Analysis, Pipeline
from dipstream.run.admit import Gap

__all__ = [
    "LATE",
    "Done",
    "Dropped",
    "Event",
    "Message",
    "NewFrame",
    "NewSegment",
    "Outcome",
    "Ready",
]

LATE = "it came after its image set had been closed"


@dataclass(frozen=True, slots=True)
class NewSegment:
    """A segment has opened."""

    number: int
    segment: Segment


@dataclass(frozen=True, slots=True, eq=False)
class NewFrame:
    """A frame was admitted; its row."""

    row: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A frame ends without having been in an image set."""

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
