"""What a tracker gets and gives: the objects of one image set, and their links."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, Self, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

__all__ = ["EVENT_KINDS", "Links", "Objects", "TrackEvent", "TrackEventKind", "TrackEvents"]

TrackEventKind: TypeAlias = Literal["start", "link", "gap", "division", "end"]

EVENT_KINDS: tuple[TrackEventKind, ...] = get_args(TrackEventKind)
"""What `TrackEvents.kind` counts through."""

_NONE = -1


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
class TrackEvents:
    """What happened to tracks in one image set, in order, as columns of equal length.

    A tracker that thinks in single events makes them with `TrackEvents.of`.

    Attributes
    ----------
    kind
        Index into `EVENT_KINDS`, int8.
    track_id
        int64.
    label, parent_id, gap
        As in `TrackEvent`, int64; −1 for None.
    distance_px
        float64; NaN for None.
    """

    kind: npt.NDArray[np.int8]
    track_id: npt.NDArray[np.int64]
    label: npt.NDArray[np.int64]
    parent_id: npt.NDArray[np.int64]
    gap: npt.NDArray[np.int64]
    distance_px: npt.NDArray[np.float64]

    def __post_init__(self) -> None:
        lengths = {len(getattr(self, column.name)) for column in fields(self)}
        if len(lengths) > 1:
            raise ValueError(f"columns of unequal length: {sorted(lengths)}")
        for column in fields(self):
            values = getattr(self, column.name)
            wanted = np.floating if column.name == "distance_px" else np.integer
            if values.ndim != 1 or not np.issubdtype(values.dtype, wanted):
                raise ValueError(
                    f"column {column.name} is {values.dtype} of {values.ndim} axes; "
                    f"give one axis of {wanted.__name__}"
                )
        if len(self) and not 0 <= self.kind.min() <= self.kind.max() < len(EVENT_KINDS):
            raise ValueError(f"column kind goes beyond 0 to {len(EVENT_KINDS) - 1}")

    @classmethod
    def of(cls, events: Iterable[TrackEvent]) -> Self:
        """Return single events as columns."""
        given = list(events)

        def number(name: str) -> npt.NDArray[np.int64]:
            values = [getattr(one, name) for one in given]
            return np.array([_NONE if value is None else value for value in values], np.int64)

        distances = [np.nan if one.distance_px is None else one.distance_px for one in given]
        return cls(
            kind=np.array([EVENT_KINDS.index(one.kind) for one in given], np.int8),
            track_id=number("track_id"),
            label=number("label"),
            parent_id=number("parent_id"),
            gap=number("gap"),
            distance_px=np.array(distances, np.float64),
        )

    @classmethod
    def ends(cls, track_ids: npt.NDArray[np.int64]) -> Self:
        """Return the end of each of these tracks."""
        none = np.full(len(track_ids), _NONE, np.int64)
        kind = np.full(len(track_ids), EVENT_KINDS.index("end"), np.int8)
        return cls(kind, track_ids, none, none, none, np.full(len(track_ids), np.nan))

    @classmethod
    def joined(cls, *parts: "TrackEvents") -> Self:
        """Return the events of all parts, one part after the other."""
        names = [column.name for column in fields(cls)]
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    @property
    def ended(self) -> npt.NDArray[np.bool_]:
        """Which of the events are ends."""
        ended: npt.NDArray[np.bool_] = self.kind == EVENT_KINDS.index("end")
        return ended

    def __len__(self) -> int:
        return len(self.kind)

    def __iter__(self) -> Iterator[TrackEvent]:
        columns = (getattr(self, column.name).tolist() for column in fields(self))
        for kind, track_id, label, parent_id, gap, distance_px in zip(*columns, strict=True):
            yield TrackEvent(
                EVENT_KINDS[kind],
                track_id,
                None if label == _NONE else label,
                None if parent_id == _NONE else parent_id,
                None if gap == _NONE else gap,
                None if np.isnan(distance_px) else distance_px,
            )


@dataclass(frozen=True, slots=True, eq=False)
class Links:
    """A tracker's answer: one track id per object, in the order of labels, and the events."""

    track_ids: npt.NDArray[np.int64]
    events: TrackEvents
