"""What a tracker gets and gives: the objects of one image set, and their links."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["Links", "Objects", "TrackEvent", "TrackEventKind"]

TrackEventKind: TypeAlias = Literal["start", "link", "gap", "division", "end"]


@dataclass(frozen=True, slots=True, eq=False)
class Objects:
    """The objects of one type in one image set, in the order of their labels 1…n.

    Attributes
    ----------
    set_id, t
        The image set and its time point.
    y_px, x_px
        Centroids in px (drift-corrected pixels, if the pipeline aligns).
    features
        Every measured column, by name.
    pixel_um
        Side of a pixel in µm, or None.
    next_track_id
        The first track number that is free in this run; new tracks count up from it.
    """

    set_id: int
    t: int
    y_px: npt.NDArray[np.float64]
    x_px: npt.NDArray[np.float64]
    features: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    pixel_um: float | None = None
    next_track_id: int = 1

    def __len__(self) -> int:
        return len(self.y_px)


@dataclass(frozen=True, slots=True)
class TrackEvent:
    """One thing that happened to a track; events are appended, never changed.

    Attributes
    ----------
    kind
        ``start``; ``link`` (seen in the set before); ``gap`` (seen again after `gap` sets
        without it); ``division`` (a start with `parent_id`); ``end``.
    label
        The object in this set; None for ``end``.
    distance_px
        How far it moved since it was last seen, in px.
    """

    kind: TrackEventKind
    track_id: int
    label: int | None = None
    parent_id: int | None = None
    gap: int | None = None
    distance_px: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Links:
    """A tracker's answer: one track id per object, in the order of labels, and the events."""

    track_ids: npt.NDArray[np.int64]
    events: tuple[TrackEvent, ...]
