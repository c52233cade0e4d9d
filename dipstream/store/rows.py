"""From frames and image sets to rows: the only place that knows both."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from dipstream.frame import FrameInfo, Segment, SetKey
from dipstream.steps.objects import TrackEvent
from dipstream.table import RowBatch, Schema

__all__ = ["FrameOutcome", "SetRow", "arrow_table", "frame_row", "object_rows", "segment_row"]

_ARROW = {"int64": pa.int64(), "float64": pa.float64(), "text": pa.string(), "blob": pa.binary()}


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
class SetRow:
    """The row of an image set, and the track events that go with it."""

    key: SetKey
    state: str
    partial: bool
    n_frames: int
    committed_ns: int
    n_objects: int = 0
    reason: str | None = None
    estimates: Mapping[str, float] | None = None
    events: Sequence[tuple[str, TrackEvent]] = ()

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
            "n_frames": self.n_frames,
            "n_objects": self.n_objects,
            "estimates": json.dumps(_finite(self.estimates or {}), sort_keys=True),
            "committed_ns": self.committed_ns,
        }


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


def arrow_table(schema: Schema, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Return rows as an Arrow table with every column of the schema; what is absent is NULL."""
    return pa.table(
        {
            column.name: pa.array([row.get(column.name) for row in rows], _ARROW[column.dtype])
            for column in schema
        }
    )


def object_rows(schema: Schema, set_id: int, rows: RowBatch, track_ids: Any) -> pa.Table:
    """Return the rows of one type of object in one set, with their keys and tracks."""
    n = len(rows)
    columns: dict[str, pa.Array] = {}
    for column in schema:
        kind = _ARROW[column.dtype]
        if column.name == "set_id":
            columns[column.name] = pa.array(np.full(n, set_id), kind)
        elif column.name == "track_id":
            columns[column.name] = (
                pa.nulls(n, kind) if track_ids is None else pa.array(track_ids, kind)
            )
        elif column.name in rows.values:
            # NaN becomes NULL here, in one place, as SQLite would make of it anyway.
            columns[column.name] = pa.array(rows.values[column.name], kind, from_pandas=True)
        else:
            columns[column.name] = pa.nulls(n, kind)
    return pa.table(columns)


def _joined(values: Sequence[float] | None) -> str | None:
    return None if values is None else ",".join(str(value) for value in values)
