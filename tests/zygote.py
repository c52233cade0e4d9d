"""Commands that start at once: forked from one process that has imported dipstream already.

Importing numpy, numba, pandas and the rest and loading the compiled kernels costs a second and more
of each command that is started, and the tests start hundreds. A *zygote* does it once. For each
command it forks, and the child goes on as ``python -m dipstream`` would have begun: with the
command's streams, folder, environment and arguments, in a process of its own with a number of its
own, which can be killed, interrupted and looked at. The product knows nothing of it.

- It forks before any thread exists, and refuses to begin otherwise.
- A child may be told to import a module of the tests first (`IMPORTED_FIRST`), which changes it.
- Only Linux has it. Elsewhere, where a variable differs that libraries may have read when they were
  imported, and for a test that asks for it (`cli.fresh`), a plain process is started. Each command
  has such a test: those of the README, or else one that says `fresh`.
"""

import contextlib
import gc
import importlib
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

__all__ = ["IMPORTED_FIRST", "Forked", "Zygote"]

IMPORTED_FIRST = "PYTEST_IMPORTED_FIRST"
"""The variable of a child's environment that names this module."""

_MOST_BYTES = 1 << 17
# Else libraries for linear algebra, and Arrow's allocator, start theirs when they are imported.
_NO_THREADS = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
}


class Forked:
    """A command that runs: what the tests need of `subprocess.Popen`, without being its parent."""

    def __init__(self, pid: int, stdout: int, stderr: int, report: socket.socket) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.stdout = open(stdout, encoding="utf-8")  # noqa: SIM115 - as Popen has it
        self.stderr = open(stderr, encoding="utf-8")  # noqa: SIM115
        self._report = report

    def poll(self) -> int | None:
        """Return how it ended, or None."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Return how it ended: the exit code, or minus the signal's number."""
        if self.returncode is None:
            if not select.select([self._report], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("dipstream", timeout or 0)
            said = self._report.recv(64)
            assert said, "the zygote died"
            self._report.close()
            self.returncode = os.waitstatus_to_exitcode(int(said))
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Return what it still says, once it has ended."""
        said = {}

        def read(name: str) -> None:
            said[name] = getattr(self, name).read()

        names = ("stdout", "stderr")
        readers = [threading.Thread(target=read, args=[name], daemon=True) for name in names]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join(timeout)
            if reader.is_alive():
                raise subprocess.TimeoutExpired("dipstream", timeout or 0)
        self.wait(timeout)
        self.stdout.close()
        self.stderr.close()
        return said["stdout"], said["stderr"]

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)


class Zygote:
    """The parent of commands, in a process of its own."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._fixed = _fixed(environment)
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno())],
                env={**environment, **_NO_THREADS},
                pass_fds=[theirs.fileno()],
            )

    def suits(self, environment: Mapping[str, str]) -> bool:
        """Whether a command in this environment may be forked."""
        return _fixed(environment) == self._fixed

    def start(
        self, arguments: Sequence[str], cwd: Path | None, environment: Mapping[str, str]
    ) -> Forked:
        """Start a command and return at once."""
        request = {
            "arguments": list(arguments),
            "cwd": str(Path.cwd() if cwd is None else cwd),
            "environment": dict(environment),
        }
        stdout, its_stdout = os.pipe()
        stderr, its_stderr = os.pipe()
        report, its_report = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sent = [0, its_stdout, its_stderr, its_report.fileno()]
        try:
            socket.send_fds(self._control, [json.dumps(request).encode()], sent)
        finally:
            for one in (its_stdout, its_stderr, its_report.detach()):
                os.close(one)
        pid = report.recv(64)
        assert pid, "the zygote died; see what it said"
        return Forked(int(pid), stdout, stderr, report)

    def close(self) -> None:
        """End it; commands that still run go on."""
        self._control.close()
        self._process.wait(20)


def _fixed(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that may have been read on import: all but our own and pytest's."""
    ours = ("DIPSTREAM_", "PYTEST_")
    return {name: value for name, value in environment.items() if not name.startswith(ours)}


def _prepare() -> None:
    """Import all that commands import, and load the kernels."""
    import dipstream  # noqa: PLC0415 - only the zygote itself has it

    for module in pkgutil.walk_packages(dipstream.__path__, "dipstream."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for group in ("drivers", "readers", "correct", "segment", "measure", "track"):
        for entry in entry_points(group=f"dipstream.{group}"):
            entry.load()
    from dipstream import warmup  # noqa: PLC0415

    if warmup.was_warmed_up():
        for preset in ("nuclei", "cells", "spots"):
            for dtype in ("uint8", "uint16"):
                line = warmup.open_plan(preset).compile(warmup._CHANNELS)
                warmup._analyse(line, warmup._scene(dtype))
        warmup._simulate()


def _serve(control: socket.socket) -> dict[str, Any]:
    """Fork for every request. Return the request in the child, and never in the zygote."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in pytest; pytest ends us itself
    signal.signal(signal.SIGCHLD, lambda *_: None)
    woken, waker = socket.socketpair()
    woken.setblocking(False)
    waker.setblocking(False)
    signal.set_wakeup_fd(waker.fileno())
    reports: dict[int, socket.socket] = {}
    while True:
        ready, _, _ = select.select([control, woken], [], [])
        if woken in ready:
            woken.recv(4096)
            _reap(reports)
        if control not in ready:
            continue
        text, streams, _, _ = socket.recv_fds(control, _MOST_BYTES, 4)
        if not text:
            os._exit(0)
        pid = os.fork()
        if not pid:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            for number, stream in enumerate(streams[:3]):
                os.dup2(stream, number)
            for one in (control, woken, waker, *reports.values()):
                one.close()
            for stream in streams:
                os.close(stream)
            request: dict[str, Any] = json.loads(text)
            return request
        for stream in streams[:3]:
            os.close(stream)
        reports[pid] = socket.socket(fileno=streams[3])
        reports[pid].send(str(pid).encode())


def _reap(reports: dict[int, socket.socket]) -> None:
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            with reports.pop(pid) as report, contextlib.suppress(OSError):
                report.send(str(status).encode())


def _main() -> None:
    control = socket.socket(fileno=int(sys.argv[1]))
    control.set_inheritable(False)
    _prepare()
    threads = len(list(Path("/proc/self/task").iterdir()))
    assert threads == 1, f"{threads} threads exist before the first fork"
    gc.collect()
    gc.freeze()  # else the first collection of each child copies every page
    request = _serve(control)
    # From here on as the interpreter does it for `python -m dipstream`.
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.path[0] = request["cwd"]
    sys.argv = ["dipstream", *request["arguments"]]
    if first := os.environ.pop(IMPORTED_FIRST, ""):
        importlib.import_module(first)
    runpy.run_module("dipstream", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _main()
