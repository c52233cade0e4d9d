"""A child process, from its parent's side: started, asked, and killed if it does not answer."""

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from dipstream.supervise.limits import Limits
from dipstream.supervise.shared import Region
from dipstream.supervise.windows import Job
from dipstream.supervise.wire import RECORD, Array, Message, WireError, unpack

__all__ = ["Child", "ChildDiedError", "ChildTask", "RemoteError", "forget_starter"]

_START_S = 120.0
_TAIL = 4000
_MOST_REPLY = 32 * 2**30


class ChildDiedError(Exception):
    """A child crashed, hung or made no sense; the text says which, for a person."""


class RemoteError(Exception):
    """What the work in the child raised.

    Attributes
    ----------
    kind
        Name of the exception's class.
    trace
        The traceback in the child.
    """

    def __init__(self, kind: str, text: str, trace: str) -> None:
        super().__init__(text)
        self.kind = kind
        self.trace = trace


@dataclass(frozen=True)
class ChildTask:
    """What a child does and what it may use.

    Attributes
    ----------
    handler
        ``module:name`` of something that, called without arguments, makes a
        `dipstream.supervise.child.Handler`.
    environment
        Variables that the child gets besides those of its parent.
    owner
        Children are not shared between owners.
    """

    handler: str
    limits: Limits = field(default_factory=Limits)
    environment: Mapping[str, str] = field(default_factory=dict, hash=False)
    owner: str = ""


class Child:
    """One process that does one task; used by one thread at a time.

    Starting returns at once: the child imports what it needs while the parent goes on.
    """

    def __init__(self, task: ChildTask) -> None:
        self.task = task
        self._region = Region()
        self._ready = False
        self._said = b""
        self._job: Job | None = None
        try:
            # A child gets its death signal when the *thread* that started it ends.
            self._process = _starter().submit(_start, task, self._region).result()
        except BaseException:
            self._region.close()
            raise
        if sys.platform == "win32":
            handle: Any = self._process
            self._job = Job(int(handle._handle), task.limits)  # noqa: SLF001 - no other way

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def call(
        self, header: Mapping[str, Any], arrays: Sequence[Array] = (), wall_s: float | None = None
    ) -> tuple[dict[str, Any], list[Array]]:
        """Let the child work on a request and return its answer.

        Raises
        ------
        RemoteError
            If the work raised something.
        ChildDiedError
            If the child crashed, or was killed because it took too long.
        """
        message = Message(header, arrays)
        try:
            reply, found = self._exchange(message, wall_s)
        except (OSError, WireError) as error:
            raise self._dead(f"its answer made no sense ({error})") from error
        finally:
            self._region.tidy()
        if "error" in reply:
            texts = (str(reply.get(name, "")) for name in ("error", "text", "trace"))
            raise RemoteError(*texts)
        return reply, found

    def _exchange(
        self, message: Message, wall_s: float | None
    ) -> tuple[dict[str, Any], list[Array]]:
        region = self._region
        if not self._ready:
            self._receive(time.monotonic() + _START_S, _START_S)
            self._ready = True
        wall_s = self.task.limits.wall_s if wall_s is None else wall_s
        until = time.monotonic() + wall_s
        message.write(region.ensure(message.nbytes))
        self._send(b"CALL", len(message.text))
        kind, length = self._receive(until, wall_s)
        if kind == b"GROW":
            if length > _MOST_REPLY:
                raise WireError(f"it wants to answer with {length} bytes")
            region.ensure(length)
            self._send(b"GROW", 0)
            kind, length = self._receive(until, wall_s)
        if kind != b"OKAY":
            raise WireError(f"a record of kind {kind!r}")
        return unpack(region.ensure(0), length, region.size)

    def _send(self, kind: bytes, length: int) -> None:
        pipe = self._process.stdin
        try:
            if pipe is not None:
                pipe.write(RECORD.pack(kind, length, self._region.size))
        except BrokenPipeError as error:
            raise self._dead() from error

    def _receive(self, until: float, wall_s: float) -> tuple[bytes, int]:
        record = self._read(until)
        if record is None:
            raise self._dead(f"it took longer than {wall_s:g} s")
        self._listen()
        if len(record) < RECORD.size:
            raise self._dead()
        kind, length, _ = RECORD.unpack(record)
        return kind, length

    def _read(self, until: float) -> bytes | None:
        """Wait for a record; empty at the end of the pipe, None if it takes too long."""
        answers, prints = self._process.stdout, self._process.stderr
        if answers is None:
            return b""
        if sys.platform == "win32":
            return _read_on_windows(self._process, until)
        poll = select.poll()
        for pipe in (answers, prints):
            if pipe is not None:
                poll.register(pipe.fileno(), select.POLLIN)
        while ready := dict(poll.poll(max(until - time.monotonic(), 0) * 1000)):
            if answers.fileno() in ready:
                return answers.read(RECORD.size) or b""
            if not self._listen():
                poll.unregister(next(iter(ready)))
        return None

    def _listen(self) -> bool:
        """Keep the last that the child printed, so that its pipe never fills; False at its end."""
        pipe = self._process.stderr
        if pipe is None or pipe.closed:
            return False
        while text := pipe.read(65536):
            self._said = (self._said + text)[-_TAIL:]
        return text is None

    def _dead(self, why: str = "") -> ChildDiedError:
        """Kill what is left of the child and return the error that says how it ended."""
        ended: int | None = None
        if not why:
            try:
                ended = self._process.wait(5)
            except subprocess.TimeoutExpired:
                why = "it closed its pipe"
        self._listen()
        said = self._said.decode("utf-8", "replace").strip()
        self.close()
        error = ChildDiedError(why or _ending(ended, self.task.limits))
        if said:
            error.add_note(f"It printed: {said}")
        return error

    def close(self) -> None:
        """Kill the child and let go of what is shared with it; may be called twice."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()
        if self._job is not None:
            self._job.close()
        self._region.close()


@cache
def _starter() -> ThreadPoolExecutor:
    """Return the one thread that starts children; it lives as long as the interpreter."""
    return ThreadPoolExecutor(1, thread_name_prefix="children")


def forget_starter() -> None:
    """After a fork: the thread is one of the other process."""
    _starter.cache_clear()


def _start(task: ChildTask, region: Region) -> "subprocess.Popen[bytes]":
    about = {
        "parent": os.getpid(),
        "memory": region.handle,
        "handler": task.handler,
        "limits": task.limits.as_dict(),
    }
    # The child finds what its parent finds; -P keeps the working folder out.
    environment = {**os.environ, **task.environment, "PYTHONPATH": os.pathsep.join(_path())}
    command = [sys.executable, "-P", "-m", "dipstream.supervise.child", json.dumps(about)]
    posix: dict[str, Any] = {}
    if sys.platform != "win32":
        # A group of its own: Ctrl-C is for the parent, which ends its children itself.
        posix = {"pass_fds": (region.fd,), "process_group": 0}
    process = subprocess.Popen(  # noqa: S603 - our own module
        command,
        bufsize=0,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL if sys.platform == "win32" else subprocess.PIPE,
        **posix,
    )
    if process.stderr is not None:
        os.set_blocking(process.stderr.fileno(), False)
    return process


def _path() -> list[str]:
    return [os.path.abspath(one) for one in sys.path if one]  # noqa: PTH100 - no Path needed


def _read_on_windows(process: "subprocess.Popen[bytes]", until: float) -> bytes | None:
    """Wait for a record; pipes cannot be waited for there, so reading ends with the child."""
    timer = threading.Timer(max(until - time.monotonic(), 0), process.kill)
    timer.daemon = True
    timer.start()
    record = process.stdout.read(RECORD.size) if process.stdout is not None else b""
    timer.cancel()
    return None if not record and time.monotonic() >= until else record


def _ending(code: int | None, limits: Limits) -> str:
    """Say in words how a process ended."""
    if code is None or code >= 0:
        return f"it ended with exit code {code}"
    if hasattr(signal, "SIGXCPU") and -code == signal.SIGXCPU:
        return f"it used more than {limits.cpu_s:g} s of processor time"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    hint = ", perhaps by the system because memory ran out" if name == "SIGKILL" else ""
    return f"it was killed by {name}{hint}"
