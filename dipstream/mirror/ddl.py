"""The SQL that makes a run's tables in PostgreSQL: types, keys, comments, views."""

import xxhash

from dipstream.mirror.tail import unique_key
from dipstream.store.connection import quoted
from dipstream.store.schema import objects_table
from dipstream.table import Column, Schema

__all__ = ["PROGRESS", "create_progress", "create_table", "create_views", "literal", "short"]

PROGRESS = "dipstream_mirror"
"""The table that says how far the mirror is; one row."""

_LONGEST = 63
_TYPES = {"int64": "int8", "float64": "float8", "text": "text", "blob": "bytea"}
_INDEXED = ("frames", "track_events")


def short(name: str) -> str:
    """Return a name as PostgreSQL can keep it: it would cut one of more than 63 bytes."""
    raw = name.encode()
    if len(raw) <= _LONGEST:
        return name
    mark = xxhash.xxh3_64_hexdigest(raw)[:8]
    return raw[: _LONGEST - 9].decode(errors="ignore") + "_" + mark


def literal(text: str) -> str:
    """Return a text as SQL takes it."""
    # A backslash is itself in a plain literal (standard_conforming_strings).
    return "'" + text.replace("\0", "�").replace("'", "''") + "'"


def create_progress(schema: str) -> str:
    """Return the statement that makes the table of how far the mirror is."""
    return (
        f"CREATE TABLE IF NOT EXISTS {quoted(schema)}.{quoted(PROGRESS)} ("
        "one int8 PRIMARY KEY CHECK (one = 1), run_id text NOT NULL, created_ns int8 NOT NULL, "
        "commit_number int8 NOT NULL, event_id int8 NOT NULL, epoch int8 NOT NULL, "
        "shipped_at timestamptz NOT NULL)"
    )


def create_table(schema: str, table: str, columns: Schema) -> list[str]:
    """Return the statements that make a table, with its key and what its columns mean."""
    full = f"{quoted(schema)}.{quoted(short(table))}"
    declared = [f"{quoted(short(column.name))} {_TYPES[column.dtype]}" for column in columns]
    key = ", ".join(quoted(short(name)) for name in unique_key(table))
    statements = [f"CREATE TABLE IF NOT EXISTS {full} ({', '.join(declared)}, PRIMARY KEY ({key}))"]
    if table in _INDEXED:
        index = quoted(f"{table}_set")
        statements.append(f"CREATE INDEX IF NOT EXISTS {index} ON {full} (set_id)")
    comments = [
        f"COMMENT ON COLUMN {full}.{quoted(short(c.name))} IS {literal(_meaning(c))}"
        for c in columns
        if _meaning(c)
    ]
    return [*statements, _together(comments)] if comments else statements


def create_views(schema: str, kinds: list[str]) -> list[str]:
    """Return the statements that make the views of a run: each type of object, and the tracks."""
    where = quoted(schema)
    views = [
        f"CREATE OR REPLACE VIEW {where}.{quoted(short(kind))} AS SELECT o.*, s.position, s.t, s.z "
        f"FROM {where}.{quoted(short(objects_table(kind)))} o "
        f"JOIN {where}.image_sets s USING (set_id)"
        for kind in kinds
    ]
    valid = "e.label IS NOT NULL AND e.content_version = s.content_version"
    tracks = (
        f"CREATE OR REPLACE VIEW {where}.tracks AS SELECT object_type, track_id, "
        f"min(s.position) AS position, min(t) FILTER (WHERE {valid}) AS first_t, "
        f"max(t) FILTER (WHERE {valid}) AS last_t, count(*) FILTER (WHERE {valid}) AS n_objects, "
        "max(parent_id) AS parent_id, bool_or(kind = 'end')::int::int8 AS ended, "
        "coalesce(sum(distance_px), 0) AS length_px "
        f"FROM {where}.track_events e JOIN {where}.image_sets s USING (set_id) "
        "GROUP BY object_type, track_id"
    )
    return [*views, tracks]


def _meaning(column: Column) -> str:
    """Return definition, unit and step in a line, and the name where it had to be cut."""
    unit = f" [{column.unit}]" if column.unit else ""
    step = f" ({column.step})" if column.step else ""
    name = f"{column.name}: " if short(column.name) != column.name else ""
    return f"{name}{column.definition}{unit}{step}".strip()


def _together(statements: list[str]) -> str:
    """Return statements as one: each would be a way to the server and back."""
    body = "; ".join(statements)
    tag = "dipstream"
    while f"${tag}$" in body:
        tag += "_"
    return f"DO ${tag}$ BEGIN {body}; END ${tag}$"
