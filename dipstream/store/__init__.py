"""The run's folder and its SQLite table: one writer, any number of readers."""

from dipstream.store.checkpoint import Checkpointer
from dipstream.store.connection import check_sqlite, sqlite_version
from dipstream.store.export import check_export, export_table, snapshot_table
from dipstream.store.findings import Counter, Finding, Verification
from dipstream.store.folder import RunFolder, RunRecord, RunState, find_run, list_runs, new_run
from dipstream.store.lock import RunLock
from dipstream.store.quarantine import (
    Quarantined,
    QuarantineWriter,
    frames_to_retry,
    quarantined_frames,
)
from dipstream.store.reader import RunReader
from dipstream.store.reserve import Reserve
from dipstream.store.rows import FrameOutcome, PendingFrame, SetRow, frame_row, set_hash
from dipstream.store.verify import verify_run
from dipstream.store.writer import KnownSet, RunWriter

__all__ = [
    "Checkpointer",
    "Counter",
    "Finding",
    "FrameOutcome",
    "KnownSet",
    "PendingFrame",
    "QuarantineWriter",
    "Quarantined",
    "Reserve",
    "RunFolder",
    "RunLock",
    "RunReader",
    "RunRecord",
    "RunState",
    "RunWriter",
    "SetRow",
    "Verification",
    "check_export",
    "check_sqlite",
    "export_table",
    "find_run",
    "frame_row",
    "frames_to_retry",
    "list_runs",
    "new_run",
    "quarantined_frames",
    "set_hash",
    "snapshot_table",
    "sqlite_version",
    "verify_run",
]
