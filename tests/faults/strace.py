"""Counts the system calls of one thread on one file, and kills or fails the n-th of them."""

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.children import CAMPAIGN, Child, Ended, Nursery

__all__ = ["WRITES", "New", "Target", "inject", "record", "require_strace", "survey", "traced"]

WRITES = (
    "write", "writev", "pwrite64", "pwritev", "pwritev2", "fsync", "fdatasync", "sync_file_range",
    "ftruncate", "fallocate", "rename", "renameat", "renameat2", "unlink", "unlinkat",
)  # fmt: skip
"""All that changes a file or brings it to the disk."""

New = Callable[[], AbstractContextManager[tuple[list[str], Path]]]
"""Gives the command line of a run, and where its folder is."""

_CALL = re.compile(r"^(?:(\d+) +)?(\w+)\((.*)$", re.MULTILINE)
_PATH = re.compile(r'(?<!AT_FDCWD)<(/[^>]*)>|"(/[^"]*)"')


@dataclass(frozen=True, order=True)
class Target:
    """One kind of system call of one thread on one file of the run.

    In the name of a file, the number of the process is PID.
    """

    thread: str
    file: str
    call: str

    def __str__(self) -> str:
        return f"{self.call} of {self.file} in {self.thread}"


def require_strace() -> None:
    """Skip the test where system calls cannot be traced; fail where they must be."""
    reason = _no_strace()
    if reason and os.environ.get("DIPSTREAM_REQUIRE_FAULTS"):
        pytest.fail(f"{reason}, and DIPSTREAM_REQUIRE_FAULTS is set")
    if reason:
        pytest.skip(reason)


def _no_strace() -> str:
    if sys.platform != "linux":
        return "strace is Linux's"
    if shutil.which("strace") is None:
        return "strace is not installed"
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as idle:
        tried = subprocess.run(
            ["timeout", "1", "strace", "-e", "trace=none", "-p", str(idle.pid)],
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        idle.stdin.close()  # type: ignore[union-attr]
    attached = "attached" in tried.stderr
    return "" if attached else f"processes may not be traced here: {tried.stderr.strip()}"


def survey(nursery: Nursery, new: New) -> list[Counter[Target]]:
    """Return how often each thread does what to each file of a run, counted twice in a campaign.

    One thread is traced at a time, as it will be when a fault is injected: what is traced is slow,
    and what is slow commits in other batches.
    """
    threads = {target.thread for target in _count(nursery, new, "main", "-f")}
    alone = [
        [_count(nursery, new, thread) for thread in sorted(threads)] for _ in range(1 + CAMPAIGN)
    ]
    return [sum(each, Counter()) for each in alone]


def _count(nursery: Nursery, new: New, thread: str, *options: str) -> Counter[Target]:
    with new() as (argv, run):
        log = run.with_name("calls")
        ended = record(nursery, argv, log, "-s", "0", *options, thread=thread)
        return Counter(_targets(log, ended, run, thread))


def record(
    nursery: Nursery, argv: list[str], log: Path, *options: str, thread: str = "main"
) -> Ended:
    """Run to the end, with the writes of one thread traced into a log; of all with ``-f``."""
    child = nursery.start(argv, gate=thread)
    names = ",".join(f"?{name}" for name in (*WRITES, "openat"))
    with _traced(child, log, "-y", *options, "-e", f"trace={names}"):
        ended = child.wait()
    assert ended.code == 0, ended
    return ended


def _targets(log: Path, ended: Ended, run: Path, thread: str) -> Iterator[Target]:
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    for tid, name, arguments in _CALL.findall(text):
        paths = [a or b for a, b in _PATH.findall(arguments)]
        for path in paths[:1]:  # of a rename, the name it had: strace looks at no other
            if name in WRITES and Path(path).is_relative_to(run):
                file = str(Path(path).relative_to(run)).replace(str(ended.pid), "PID")
                yield Target(ended.threads[int(tid)] if tid else thread, file, name)


def inject(
    nursery: Nursery, argv: list[str], run: Path, target: Target, fault: str
) -> tuple[Ended, bool]:
    """Run with a fault in a target's calls; return how it ended, and whether the fault fired.

    Parameters
    ----------
    fault
        As strace has it: ``signal=SIGKILL:when=3``, ``error=ENOSPC:when=3+``.
    """
    child = nursery.start(argv, gate=target.thread)
    with traced(child, run, target, fault) as log:
        ended = child.wait()
    if "SIGKILL" in fault:
        return ended, ended.code == -9
    return ended, log.exists() and "(INJECTED)" in log.read_text()


@contextmanager
def traced(child: Child, run: Path, target: Target, fault: str) -> Iterator[Path]:
    """Let a child through the gate at a target's thread, with a fault in the target's calls."""
    log = run.with_name("calls")
    file = target.file.replace("PID", str(child.pid))
    options = ["-P", str(run / file), "-e", f"trace={target.call}"]
    with _traced(child, log, *options, "-e", f"inject={target.call}:{fault}"):
        yield log


@contextmanager
def _traced(child: Child, log: Path, *options: str) -> Iterator[None]:
    """Trace the thread at the child's gate; without ``-f``, that one alone."""
    stopped = child.at_gate()
    if stopped is None:
        yield
        return
    tid, opener = stopped
    log.parent.mkdir(parents=True, exist_ok=True)
    command = ["strace", *options, "-o", str(log), "-p", str(tid)]
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE, encoding="utf-8")
    try:
        assert tracer.stderr is not None
        said = tracer.stderr.readline()
        assert "attached" in said, f"{said}{tracer.stderr.read()}"
        with opener:
            opener.sendall(b".")
            yield
        tracer.wait(10)
    finally:
        opener.close()
        tracer.kill()
        tracer.wait()
        tracer.stderr.close()  # type: ignore[union-attr]
