"""The run's log: one JSON object a line."""

import json
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

__all__ = ["RunLog"]


class RunLog:
    """Appends to `log.jsonl`; safe to use from several threads.

    Writing never raises: the table is what counts, and a full disk must not keep the run from
    saying so. What went wrong is kept in `problem`.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8")
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
                self.problem = f"the log cannot be written: {error}"

    def write(self, kind: str, message: str | None, **fields: Any) -> None:
        """Write one line; fields that are None or empty are left out."""
        line = {"time_ns": time.time_ns(), "kind": kind, "message": message or ""}
        line |= {name: value for name, value in fields.items() if value}
        with self._lock:
            try:
                self._file.write(json.dumps(line, ensure_ascii=False, default=str) + "\n")
                self._file.flush()
            except (OSError, ValueError) as error:  # ValueError: closed already
                self.problem = f"the log cannot be written: {error}"
