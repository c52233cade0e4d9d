"""The run's folder and its SQLite table: one writer, any number of readers."""

from dipstream.store.checkpoint import Checkpointer
from dipstream.store.connection import check_sqlite, sqlite_version
from dipstream.store.export import check_export, export_table, snapshot_table
from dipstream.store.folder import RunFolder, RunRecord, RunState, find_run, list_runs, new_run
from dipstream.store.lock import RunLock
from dipstream.store.reader import RunReader
from dipstream.store.rows import FrameOutcome, SetRow, frame_row
from dipstream.store.writer import KnownSet, RunWriter

__all__ = [
    "Checkpointer",
    "FrameOutcome",
    "KnownSet",
    "RunFolder",
    "RunLock",
    "RunReader",
    "RunRecord",
    "RunState",
    "RunWriter",
    "SetRow",
    "check_export",
    "check_sqlite",
    "export_table",
    "find_run",
    "frame_row",
    "list_runs",
    "new_run",
    "snapshot_table",
    "sqlite_version",
]
