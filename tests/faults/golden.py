"""What must be equal after a crash and a resume: the sorted tables, but for times and epochs."""

import hashlib
import io
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from dipstream.store import RunFolder
from dipstream.store.connection import Connection, quoted

__all__ = ["content", "golden"]

LEFT_OUT = {"events", "epochs"}
# A commit's number depends on what was written in one breath, a file's on where it lies.
UNCERTAIN = {"commit_number", "epoch", "file_mtime_ns", "file_inode"}


def golden(run_folder: Path) -> str:
    """Return a hash of all tables of a run."""
    text = "\n".join(
        f"{table}: {row}" for table, rows in content(run_folder).items() for row in rows
    )
    return hashlib.sha256(text.encode()).hexdigest()


def content(run_folder: Path) -> dict[str, list[str]]:
    """Return what the hash is made of: the rows of each table as text, sorted."""
    with Connection(RunFolder(run_folder).table, read_only=True) as connection:
        names = [
            str(name)
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        return {name: _rows(connection, name) for name in sorted(names) if name not in LEFT_OUT}


def _rows(connection: Connection, table: str) -> list[str]:
    columns = [str(row[1]) for row in connection.execute(f"PRAGMA table_info({quoted(table)})")]
    kept = [one for one in columns if one not in UNCERTAIN and not one.endswith("_ns")]
    chosen = ", ".join(map(quoted, kept))
    rows = connection.execute(f"SELECT {chosen} FROM {quoted(table)}")
    if table == "commits":
        numbers = [n for (n,) in connection.execute("SELECT commit_number FROM commits ORDER BY 1")]
        assert numbers == list(range(1, len(numbers) + 1)), "commits are numbered without gaps"
    return sorted(
        repr(tuple(_told(name, value) for name, value in zip(kept, row, strict=True)))
        for row in rows
    )


def _told(name: str, value: Any) -> Any:
    if name == "path" and value is not None:
        return PurePath(value).name
    if isinstance(value, bytes):
        return _array(value) if value[:2] == b"PK" else value.hex()
    return value


def _array(blob: bytes) -> str:
    with np.load(io.BytesIO(blob), allow_pickle=False) as arrays:
        return repr({name: (arrays[name].shape, arrays[name].tobytes().hex()) for name in arrays})
