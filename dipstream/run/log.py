"""The run's log: one JSON object a line."""

import json
import math
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias

from dipstream.errors import StoreError

__all__ = ["Level", "RunLog"]

Level: TypeAlias = Literal["info", "warning", "error"]

_LEVELS: dict[str, Level] = {
    "failed": "error",
    **dict.fromkeys(
        ("warning", "degraded", "gap", "dropped", "late", "quarantined", "slow_commit", "policy"),
        "warning",
    ),
}


class RunLog:
    """Appends to `log.jsonl`; safe to use from several threads.

    Each line has ``time_ns``, ``level``, ``kind``, ``message``, ``run_id`` and ``thread``, and
    whatever else was told. A line is one write: a process that is killed leaves whole lines, and at
    most the last one torn, which the next session begins behind.

    Writing never raises: the table is what counts, and a full disk must not keep the run from
    saying so. What went wrong is kept in `problem`, and told once.

    Parameters
    ----------
    path
        The file; it is made if it is not there.
    run_id
        Name of the run; that of its folder by default.
    failed
        Called with the first write that fails, from whichever thread wrote.
    """

    def __init__(
        self,
        path: Path,
        run_id: str = "",
        *,
        failed: Callable[[StoreError], None] = lambda _: None,
    ) -> None:
        self._path = path
        self._run_id = run_id or path.parent.name
        self._failed = failed
        self._told = self._disk_failed = False
        self._torn = _ends_torn(path)
        self._file = path.open("ab", buffering=0)
        self._lock = threading.Lock()
        self.problem = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._lock:
            try:
                self._file.close()
            except OSError as error:
                self.problem = f"the log {self._path} cannot be written: {error.strerror}"

    def write(
        self, kind: str, message: str | None, level: Level | None = None, /, **fields: Any
    ) -> None:
        """Write one line; fields that are None or empty are left out.

        Parameters
        ----------
        kind
            What happened, in one word; it decides the level, if that is not given.
        message
            What happened, in a sentence.
        level
            ``info``, ``warning`` or ``error``.
        fields
            Anything else that is known; what JSON does not have is written as text.
        """
        line = {
            "time_ns": time.time_ns(),
            "level": level or _LEVELS.get(kind, "info"),
            "kind": kind,
            "message": message or "",
            "run_id": self._run_id,
            "thread": threading.current_thread().name,
        }
        line |= {
            name: _as_json(value)
            for name, value in fields.items()
            if name not in line and value is not None and value != ""
        }
        with self._lock:
            self._append(line)
            first = self._disk_failed and not self._told
            self._told |= first
        if first:  # outside the lock: who is told may write
            self._failed(StoreError(self.problem))

    def _append(self, line: dict[str, Any]) -> None:
        try:
            text = json.dumps(line, ensure_ascii=False, default=str).encode(errors="replace")
        except (ValueError, TypeError, RecursionError) as error:  # a value that holds itself
            self.problem = f"a line of the log cannot be written: {error}"
            return
        text = (b"\n" if self._torn else b"") + text + b"\n"
        try:
            self._torn = self._file.write(text) != len(text)
            reason = "the disk took only part of a line" if self._torn else ""
        except ValueError:  # closed already
            self.problem = f"the log {self._path} is closed"
            return
        except OSError as error:
            self._torn, reason = True, error.strerror or str(error)
        if reason:
            self._disk_failed = True
            self.problem = f"the log {self._path} cannot be written: {reason}"


def _as_json(value: Any) -> Any:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _ends_torn(path: Path) -> bool:
    """Return whether an earlier session was cut off in the middle of a line."""
    try:
        with path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) != b"\n"
    except OSError:  # there is none yet, or it is empty
        return False
