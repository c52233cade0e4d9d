"""The tables of a run: their columns, and the SQL that makes them."""

from collections.abc import Iterable

from dipstream.store.connection import quoted
from dipstream.table import Column, Schema

__all__ = [
    "COLUMNS",
    "COMMITS",
    "EPOCHS",
    "EVENTS",
    "FRAMES",
    "IMAGE_SETS",
    "ORDERED_STATE",
    "SCHEMA_VERSION",
    "SEGMENTS",
    "TABLES",
    "TRACKS",
    "TRACK_EVENTS",
    "create_fixed",
    "create_objects",
    "describe",
    "objects_table",
]

SCHEMA_VERSION = 2

_C = Column
_EVENT_KINDS = "started, finished, stopped, failed, gap, warning, degraded, recovered or info"

SEGMENTS = Schema(
    (
        _C("segment", "int64", "", "number of the segment in the run"),
        _C("camera", "text", "", "camera, or kind of file"),
        _C("height_px", "int64", "px", "rows of every frame"),
        _C("width_px", "int64", "px", "columns of every frame"),
        _C("dtype", "text", "", "container of a pixel, as numpy names it"),
        _C("roi", "text", "px", "region of interest y,x,height,width on the sensor"),
        _C("binning", "int64", "", "camera pixels per side summed into one"),
        _C("pixel_um", "float64", "µm", "side of a pixel in the object"),
        _C("bit_depth", "int64", "bit", "bits of the ADC, not of the container"),
        _C("offset_dn", "float64", "DN", "camera offset"),
        _C("gain_e_per_dn", "float64", "e⁻/DN", "conversion"),
        _C("em_gain", "float64", "", "electron multiplication"),
        _C("camera_to_stage", "text", "", "affine xx,xy,x0,yx,yy,y0 from image to stage, in µm"),
    )
)

FRAMES = Schema(
    (
        _C("frame_id", "int64", "", "number of the frame in the run, in order of arrival"),
        _C("segment", "int64", "", "see segments; NULL if the frame could not be read"),
        _C("seq", "int64", "", "the device's own counter, unwrapped; NULL if it has none"),
        _C("position", "text", "", "name of the position"),
        _C("t", "int64", "", "time point"),
        _C("z", "int64", "", "plane"),
        _C("channel", "text", "", "name of the channel"),
        _C("version", "int64", "", "1, and one more each time the file was rewritten"),
        _C("state", "text", "", "pending, analysed, dropped, quarantined or late"),
        _C("reason", "text", "", "why it was dropped or quarantined"),
        _C("detail", "text", "", "traceback, where there was one"),
        _C("set_id", "int64", "", "its image set"),
        _C("flags", "text", "", "black, saturated, out_of_focus; empty if all is well"),
        _C("focus_score", "float64", "", "sharpness, comparable within a channel and position"),
        _C("saturated_fraction", "float64", "", "share of all pixels at the limit of the ADC"),
        _C("background_dn", "float64", "DN", "sigma-clipped mean"),
        _C("snr", "float64", "", "(99th percentile − background) / clipped standard deviation"),
        _C("exposed_ns", "int64", "ns", "start of the exposure, UTC since the epoch"),
        _C("time_source", "text", "", "who says exposed_ns: device, host, file or unknown"),
        _C("received_ns", "int64", "ns", "arrival, UTC since the epoch"),
        _C("segmented_ns", "int64", "ns", "objects found, UTC since the epoch"),
        _C("committed_ns", "int64", "ns", "row written, UTC since the epoch"),
        _C("exposure_ms", "float64", "ms", "exposure time"),
        _C("stage_x_um", "float64", "µm", "stage"),
        _C("stage_y_um", "float64", "µm", "stage"),
        _C("stage_z_um", "float64", "µm", "stage"),
        _C("path", "text", "", "file it was read from"),
        _C("plane", "int64", "", "plane of that file"),
        _C("file_planes", "int64", "", "frames that file makes; 0 if that is not known"),
        _C("file_size", "int64", "B", "size of that file when it was read"),
        _C("file_mtime_ns", "int64", "ns", "modification time of that file"),
        _C("file_inode", "int64", "", "number of that file on its disk"),
        _C("file_hash", "text", "", "XXH3-64 of the file's bytes"),
        _C("content_hash", "text", "", "XXH3-64 of the frame's pixels"),
    )
)

IMAGE_SETS = Schema(
    (
        _C("set_id", "int64", "", "number of the image set in the run"),
        _C("segment", "int64", "", "see segments"),
        _C("position", "text", "", "name of the position"),
        _C("t", "int64", "", "time point"),
        _C("z", "int64", "", "plane; NULL where a set spans the stack"),
        _C("state", "text", "", "analysed, quarantined or dropped"),
        _C("reason", "text", "", "why it was not analysed"),
        _C("partial", "int64", "", "1 if a channel or plane is missing"),
        _C("content_version", "int64", "", "1, and one more each time a file was rewritten"),
        _C("content_hash", "text", "", "XXH3-64 over its frames: place and pixels; NULL if unread"),
        _C("n_frames", "int64", "", "frames in the set"),
        _C("n_objects", "int64", "", "objects of all types"),
        _C("estimates", "text", "", "JSON: threshold, drift and whatever else the steps found"),
        _C("committed_ns", "int64", "ns", "rows written, UTC since the epoch"),
    )
)

TRACK_EVENTS = Schema(
    (
        _C("event_id", "int64", "", "number of the event in the run"),
        _C("object_type", "text", "", "which objects"),
        _C("set_id", "int64", "", "image set in which it happened"),
        _C("content_version", "int64", "", "of the image set; older ones speak of other objects"),
        _C("kind", "text", "", "start, link, gap, division or end"),
        _C("track_id", "int64", "", "the track"),
        _C("label", "int64", "", "the object; NULL for end"),
        _C("parent_id", "int64", "", "for a division, the track it came from"),
        _C("gap", "int64", "", "image sets it was missing for"),
        _C("distance_px", "float64", "px", "way since it was last seen"),
    )
)

TRACKS = Schema(
    (
        _C("object_type", "text", "", "which objects"),
        _C("track_id", "int64", "", "the track"),
        _C("position", "text", "", "name of the position"),
        _C("first_t", "int64", "", "time point of its first object"),
        _C("last_t", "int64", "", "time point of its last object"),
        _C("n_objects", "int64", "", "objects in the track"),
        _C("parent_id", "int64", "", "the track it divided from"),
        _C("ended", "int64", "", "1 if the tracker has given it up"),
        _C("length_px", "float64", "px", "way along the track"),
    )
)

EVENTS = Schema(
    (
        _C("event_id", "int64", "", "number of the event in the run"),
        _C("time_ns", "int64", "ns", "UTC since the epoch"),
        _C("kind", "text", "", _EVENT_KINDS),
        _C("message", "text", "", "what happened"),
        _C("segment", "int64", "", "for a gap: the segment"),
        _C("first_seq", "int64", "", "for a gap: the first missing number"),
        _C("n", "int64", "", "for a gap: how many are missing"),
    )
)

ORDERED_STATE = Schema(
    (
        _C("step", "text", "", "where the ordered step stands in the pipeline"),
        _C("place", "text", "", "position, and plane where there are several"),
        _C("segment", "int64", "", "the segment it is good for"),
        _C("set_id", "int64", "", "the last image set in it"),
        _C("state", "blob", "", "its arrays, as npz"),
    )
)

EPOCHS = Schema(
    (
        _C("epoch", "int64", "", "number of the writer; the highest one is the only one that may"),
        _C("holder", "text", "", "who writes: process, computer and time"),
        _C("begun_ns", "int64", "ns", "when it opened the run, UTC since the epoch"),
    )
)

COMMITS = Schema(
    (
        _C("commit_number", "int64", "", "1, 2, … in the order of commits, without gaps"),
        _C("set_id", "int64", "", "the image set that was written; NULL for a frame by itself"),
        _C("content_version", "int64", "", "of the image set"),
        _C("frame_id", "int64", "", "the frame that ended without an image set of its own"),
        _C("content_hash", "text", "", "of the image set"),
        _C("epoch", "int64", "", "who wrote it: see epochs"),
        _C("committed_ns", "int64", "ns", "row written, UTC since the epoch"),
    )
)

COLUMNS = Schema(
    (
        _C("table_name", "text", "", "table or view"),
        _C("ordinal", "int64", "", "place in the table"),
        _C("name", "text", "", "name of the column"),
        _C("dtype", "text", "", "int64, float64 or text: cast by it, NaN is stored as NULL"),
        _C("unit", "text", "", "unit of the values"),
        _C("definition", "text", "", "what the number means"),
        _C("step", "text", "", "step that computes it"),
    )
)

TABLES = {
    "segments": SEGMENTS,
    "frames": FRAMES,
    "image_sets": IMAGE_SETS,
    "track_events": TRACK_EVENTS,
    "events": EVENTS,
    "ordered_state": ORDERED_STATE,
    "epochs": EPOCHS,
    "commits": COMMITS,
    "columns": COLUMNS,
}

_KEYS = {
    "segments": '"segment" INTEGER PRIMARY KEY',
    "frames": '"frame_id" INTEGER PRIMARY KEY',
    "image_sets": '"set_id" INTEGER PRIMARY KEY',
    "track_events": '"event_id" INTEGER PRIMARY KEY',
    "events": '"event_id" INTEGER PRIMARY KEY',
    "epochs": '"epoch" INTEGER PRIMARY KEY',
    "commits": '"commit_number" INTEGER PRIMARY KEY',
}

_EXTRA = (
    # z is NULL where a set spans the stack, and NULLs would all be different to a UNIQUE index.
    "CREATE UNIQUE INDEX image_sets_key ON image_sets (segment, position, t, coalesce(z, -1))",
    "CREATE INDEX frames_state ON frames (state)",
    "CREATE INDEX frames_path ON frames (path) WHERE path IS NOT NULL",
    "CREATE INDEX frames_set ON frames (set_id)",
    "CREATE INDEX track_events_set ON track_events (set_id)",
    # Where tracks begin and end: which of them live, a run that goes on must know at once.
    (
        "CREATE INDEX track_events_lives ON track_events (object_type, track_id, kind, set_id) "
        "WHERE kind IN ('start', 'division', 'end')"
    ),
    "CREATE UNIQUE INDEX ordered_state_key ON ordered_state (step, place)",
    "CREATE UNIQUE INDEX columns_key ON columns (table_name, name)",
    """CREATE VIEW tracks AS
    SELECT object_type, track_id, min(position) AS position,
        min(CASE WHEN valid THEN t END) AS first_t, max(CASE WHEN valid THEN t END) AS last_t,
        sum(valid) AS n_objects, max(parent_id) AS parent_id, max(kind = 'end') AS ended,
        total(distance_px) AS length_px
    FROM (
        SELECT e.*, s.position, s.t,
            e.label IS NOT NULL AND e.content_version = s.content_version AS valid
        FROM track_events e JOIN image_sets s USING (set_id)
    )
    GROUP BY object_type, track_id""",
)

_SQL_TYPES = {"int64": "INTEGER", "float64": "REAL", "text": "TEXT", "blob": "BLOB"}


def objects_table(kind: str) -> str:
    """Return the name of the table of a type of object."""
    return f"objects_{kind}"


def create_fixed() -> list[str]:
    """Return the statements that make the tables every run has."""
    statements = [f"PRAGMA user_version = {SCHEMA_VERSION}"]
    for name, schema in TABLES.items():
        key = _KEYS.get(name)
        columns = [_declare(column) for column in schema]
        if key is not None:
            columns[0] = key
        statements.append(f"CREATE TABLE {quoted(name)} ({', '.join(columns)})")
    return [*statements, *_EXTRA]


def create_objects(kind: str, schema: Schema) -> list[str]:
    """Return the statements that make the table of a type of object, and its view.

    The view, named as the type, adds position, t and z of the image set.
    """
    table, view = quoted(objects_table(kind)), quoted(kind)
    columns = ", ".join(_declare(column) for column in schema)
    joined = f"{table} o JOIN image_sets s USING (set_id)"
    return [
        f"CREATE TABLE {table} ({columns}, PRIMARY KEY (set_id, label)) WITHOUT ROWID",
        f"CREATE VIEW {view} AS SELECT {_view_columns(schema)} FROM {joined}",
    ]


def _view_columns(schema: Schema) -> str:
    own = [f"o.{quoted(column.name)} AS {quoted(column.name)}" for column in schema]
    return ", ".join([own[0], "s.position AS position", "s.t AS t", "s.z AS z", *own[1:]])


def _declare(column: Column) -> str:
    return f"{quoted(column.name)} {_SQL_TYPES[column.dtype]}"


def describe(
    table: str, schema: Iterable[Column]
) -> list[tuple[str, int, str, str, str, str, str]]:
    """Return the rows of the `columns` table for one table."""
    return [(table, i, c.name, c.dtype, c.unit, c.definition, c.step) for i, c in enumerate(schema)]
