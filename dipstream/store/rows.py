"""From frames and image sets to rows: the only place that knows both."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

from dipstream.frame import FrameInfo, Segment, SetKey
from dipstream.steps.objects import EVENT_KINDS, TrackEvents
from dipstream.store.arrow import arrow_type, column, numbers
from dipstream.store.schema import FRAMES, TRACK_EVENTS
from dipstream.table import ColumnType, RowBatch, Schema

__all__ = [
    "OUTCOME_COLUMNS",
    "FrameOutcome",
    "PendingFrame",
    "SetRow",
    "arrow_batch",
    "event_rows",
    "frame_row",
    "object_rows",
    "outcome_rows",
    "segment_row",
    "set_hash",
]


@dataclass(frozen=True, slots=True)
class FrameOutcome:
    """What became of a frame; overwrites these columns of its pending row."""

    frame_id: int
    state: str
    set_id: int | None
    committed_ns: int
    reason: str | None = None
    detail: str | None = None
    flags: str | None = None
    focus_score: float | None = None
    saturated_fraction: float | None = None
    background_dn: float | None = None
    snr: float | None = None
    segmented_ns: int | None = None
    content_hash: str | None = None


@dataclass(frozen=True, slots=True)
class PendingFrame:
    """The row of a frame whose analysis is still due, as an earlier session has left it.

    Attributes
    ----------
    retried
        1 if the frame was in the quarantine, and is tried again.
    """

    frame_id: int
    segment: int | None
    seq: int | None
    position: str
    t: int
    z: int
    channel: str
    version: int
    path: str | None
    plane: int | None
    file_size: int | None
    file_mtime_ns: int | None
    file_hash: str | None
    retried: int = 0


@dataclass(frozen=True, slots=True)
class SetRow:
    """The row of an image set, and the track events that go with it."""

    key: SetKey
    state: str
    partial: bool
    n_frames: int
    committed_ns: int
    n_objects: int = 0
    reason: str | None = None
    content_hash: str | None = None
    estimates: Mapping[str, float] | None = None
    events: Mapping[str, TrackEvents] = field(default_factory=dict)

    def values(self, set_id: int, version: int) -> dict[str, Any]:
        """Return the columns of the row."""
        return {
            "set_id": set_id,
            "segment": self.key.segment,
            "position": self.key.position,
            "t": self.key.t,
            "z": self.key.z,
            "state": self.state,
            "reason": self.reason,
            "partial": int(self.partial),
            "content_version": version,
            "content_hash": self.content_hash,
            "n_frames": self.n_frames,
            "n_objects": self.n_objects,
            "estimates": json.dumps(_finite(self.estimates or {}), sort_keys=True),
            "committed_ns": self.committed_ns,
        }


def set_hash(frames: Sequence[FrameInfo], content_hashes: Sequence[str]) -> str | None:
    """Return the XXH3-64 over channel, plane and content of each frame; None if not all are known.

    Parameters
    ----------
    frames, content_hashes
        In the same order.
    """
    if not content_hashes or len(content_hashes) != len(frames):
        return None
    parts = [
        f"{info.channel}\0{info.z}\0{content}\0"
        for info, content in zip(frames, content_hashes, strict=True)
    ]
    return xxhash.xxh3_64_hexdigest("".join(parts).encode())


def _finite(estimates: Mapping[str, float]) -> dict[str, float | None]:
    return {k: float(v) if np.isfinite(v) else None for k, v in estimates.items()}


def segment_row(number: int, segment: Segment) -> dict[str, Any]:
    """Return the row of a segment."""
    return {
        "segment": number,
        "camera": segment.camera,
        "height_px": segment.shape[0],
        "width_px": segment.shape[1],
        "dtype": segment.dtype,
        "roi": _joined(segment.roi),
        "binning": segment.binning,
        "pixel_um": segment.pixel_um,
        "bit_depth": segment.bit_depth,
        "offset_dn": segment.offset_dn,
        "gain_e_per_dn": segment.gain_e_per_dn,
        "em_gain": segment.em_gain,
        "camera_to_stage": _joined(segment.camera_to_stage),
    }


def frame_row(
    frame_id: int, segment: int | None, info: FrameInfo, state: str, reason: str, detail: str
) -> dict[str, Any]:
    """Return the row of a frame as it is admitted."""
    stage = info.stage_um or (None, None, None)
    row: dict[str, Any] = {
        "frame_id": frame_id,
        "segment": segment,
        "seq": info.seq,
        "position": info.position,
        "t": info.t,
        "z": info.z,
        "channel": info.channel,
        "version": info.version,
        "state": state,
        "reason": reason or None,
        "detail": detail or None,
        "exposed_ns": info.exposed_ns,
        "time_source": info.time_source,
        "received_ns": info.received_ns,
        "exposure_ms": info.exposure_ms,
        "stage_x_um": stage[0],
        "stage_y_um": stage[1],
        "stage_z_um": stage[2],
    }
    if info.origin is not None:
        row |= {
            "path": info.origin.path,
            "plane": info.origin.plane,
            "file_planes": info.origin.planes,
            "file_size": info.origin.size,
            "file_mtime_ns": info.origin.mtime_ns,
            "file_inode": info.origin.inode,
            "file_hash": info.origin.content_hash or None,
        }
    return row


def arrow_batch(schema: Schema, rows: Sequence[Mapping[str, Any]]) -> pa.RecordBatch:
    """Return rows with every column of the schema; what is absent is NULL."""
    return pa.RecordBatch.from_arrays(
        [column([row.get(one.name) for row in rows], one.dtype) for one in schema],
        names=list(schema.names),
    )


def outcome_rows(outcomes: Sequence[FrameOutcome]) -> pa.RecordBatch:
    """Return what became of frames, the number of the frame as the last column."""
    names = [*OUTCOME_COLUMNS, "frame_id"]
    return pa.RecordBatch.from_arrays(
        [column([getattr(one, n) for one in outcomes], _outcome_types()[n]) for n in names],
        names=names,
    )


OUTCOME_COLUMNS = tuple(f.name for f in fields(FrameOutcome) if f.name != "frame_id")
"""The columns of a frame that its outcome overwrites."""


@cache
def _outcome_types() -> dict[str, ColumnType]:
    return {one.name: one.dtype for one in FRAMES}


def event_rows(
    kind: str, events: TrackEvents, set_id: int, version: int, first_event_id: int
) -> pa.RecordBatch:
    """Return the track events of one type of object in one set."""
    n = len(events)
    columns = {
        "event_id": numbers(np.arange(first_event_id, first_event_id + n), "int64"),
        "object_type": column([kind] * n, "text"),
        "set_id": numbers(np.full(n, set_id), "int64"),
        "content_version": numbers(np.full(n, version), "int64"),
        "kind": column([EVENT_KINDS[number] for number in events.kind.tolist()], "text"),
        "track_id": numbers(events.track_id, "int64"),
        "label": _positive(events.label),
        "parent_id": _positive(events.parent_id),
        "gap": _positive(events.gap),
        "distance_px": numbers(events.distance_px, "float64"),
    }
    return pa.RecordBatch.from_arrays(
        [columns[name] for name in TRACK_EVENTS.names], names=list(TRACK_EVENTS.names)
    )


def _positive(values: npt.NDArray[np.int64]) -> pa.Array:
    return numbers(values, "int64", there=values >= 0)


def object_rows(schema: Schema, set_id: int, rows: RowBatch, track_ids: Any) -> pa.RecordBatch:
    """Return the rows of one type of object in one set, with their keys and tracks."""
    n = len(rows)
    given = dict(rows.values) | {"set_id": np.full(n, set_id)}
    if track_ids is not None:
        given["track_id"] = track_ids
    columns = [
        _measured(given[one.name], one.dtype)
        if one.name in given
        else pa.nulls(n, arrow_type(one.dtype))
        for one in schema
    ]
    return pa.RecordBatch.from_arrays(columns, names=list(schema.names))


def _measured(values: npt.NDArray[Any], dtype: ColumnType) -> pa.Array:
    # NaN becomes NULL here, in one place, as SQLite would make of it anyway.
    if dtype in {"int64", "float64"}:
        return numbers(values, dtype)
    return column(values.tolist(), dtype, nan_is_null=True)


def _joined(values: Sequence[float] | None) -> str | None:
    return None if values is None else ",".join(str(value) for value in values)
