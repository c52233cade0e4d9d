"""Makes a command that is forked from the tests' zygote one that can be watched and killed.

Such a child is told by a variable of its environment, JSON, where to report and what its gate is.

- It writes a line into its report for every image set it has published.
- At the gate, the start of a thread chosen by its name, it waits until it is let through: whoever
  wants to trace that thread, and count from its first system call, has the time to.
- Its log is folded into the table often, so that a short run meets checkpoints too.
- It decodes its files itself: a process for that would be a quarter of what such a short run
  costs, and writes nothing.
- Its run is named `run`: whoever wants to trace a file knows its path before it is there.
"""

import ctypes
import json
import os
import socket
import threading
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["CONDITIONS"]

CONDITIONS = "PYTEST_NULL_RUN"
"""The variable."""

_CHECKPOINT_S = 0.05
_SET_PTRACER, _ANYBODY = 0x59616D61, ctypes.c_ulong(-1)


def arrange(report: int) -> None:
    """Report every image set after its commit; name the run; fold the log often; read alone."""
    from dipstream import service  # noqa: PLC0415
    from dipstream.run.engine import Engine  # noqa: PLC0415
    from dipstream.store import Checkpointer, RunFolder  # noqa: PLC0415
    from dipstream_drivers.replay import open_replay  # noqa: PLC0415

    publish = Engine._publish

    def published(self: Engine, result: Any) -> None:
        line = {
            "set": result.set_id,
            "t": result.t,
            "failure": result.failure,
            "objects": {
                kind: [
                    rows.column("label").tolist(),
                    np.asarray(result.track_ids[kind]).tolist(),
                ]
                for kind, rows in result.tables.items()
                if kind in result.track_ids
            },
        }
        os.write(report, (json.dumps(line) + "\n").encode())
        publish(self, result)

    def named(home: Path, pipeline_name: str) -> RunFolder:
        path = home / "runs" / "run"
        path.mkdir(parents=True)
        return RunFolder(path)

    Engine._publish = published  # type: ignore[method-assign]
    open_replay.__kwdefaults__["isolate"] = False
    Checkpointer.__init__.__kwdefaults__["every_s"] = _CHECKPOINT_S
    assert callable(service.new_run)
    service.new_run = named


class Gate:
    """Reports the number of every thread; stops the one of this name until it is let through."""

    def __init__(self, name: str, address: str, report: int) -> None:
        self.name = name
        self.address = address
        self.report = report

    def install(self) -> None:
        """Watch the main thread from now on, and the others from their first line on."""
        run = threading.Thread.run

        def gated(thread: threading.Thread) -> None:
            self.pass_through(thread.name)
            run(thread)

        threading.Thread.run = gated  # type: ignore[method-assign]
        self.pass_through("main")

    def pass_through(self, name: str) -> None:
        """Report a thread that begins; wait if it is the one."""
        tid = threading.get_native_id()
        os.write(self.report, (json.dumps({"thread": name, "tid": tid}) + "\n").encode())
        if name == self.name:
            self.name = ""
            with socket.socket(socket.AF_UNIX) as to:
                to.connect(self.address)
                to.sendall(f"{tid}\n".encode())
                to.recv(1)


if CONDITIONS in os.environ:
    conditions = json.loads(os.environ.pop(CONDITIONS))
    ctypes.CDLL(None).prctl(_SET_PTRACER, _ANYBODY)
    to_report = os.open(conditions["report"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    arrange(to_report)
    Gate(conditions["gate"], conditions["socket"], to_report).install()
