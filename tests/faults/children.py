"""Runs of tiny frames in children that can be killed: the test's end of `null_run.py`."""

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from zygote import IMPORTED_FIRST, Zygote

from tests.faults.null_run import CONDITIONS

__all__ = ["CAMPAIGN", "N_SETS", "Child", "Ended", "Nursery", "make_input", "scratch"]

CAMPAIGN = bool(os.environ.get("DIPSTREAM_CAMPAIGN"))

REPOSITORY = Path(__file__).parents[2]
N_SETS = 50
PIPELINE = """\
dipstream: 1
correct: [{align: {}}]
objects:
  nuclei:
    channel: DAPI
    steps: [{threshold: {method: manual, value: 50}}, {split: {method: none}}]
measure: [{intensity: {}}]
track: {nuclei: {lap: {max_distance_px: 10}}}
"""
PATIENCE_S = 60.0


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder for many small runs: in memory where that is possible.

    What a killed process leaves behind is the same there, and the disk of others is left in peace.
    """
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and os.access(memory, os.W_OK)
    if roomy:
        roomy = shutil.disk_usage(memory).free > 1 << 28
    # Short, for a socket's name is to fit.
    folder = Path(tempfile.mkdtemp(prefix="dip-", dir=memory if roomy else None))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def make_input(folder: Path, n: int = N_SETS) -> list[str]:
    """Write n tiny frames and a pipeline; return the command line that analyses them."""
    frames = folder / "frames"
    frames.mkdir(parents=True)
    for t in range(n):
        pixels = np.full((24, 30), 10, "uint16")
        # They move, one comes and goes, and one is new half-way: tracks start, miss and end.
        squares = [(3, 2 + t % 5), (14, 12 + t % 7)]
        squares += [(3, 22)] if t % 9 < 6 else []
        squares += [(14, 2)] if t >= n // 2 else []
        for y, x in squares:
            pixels[y : y + 5, x : x + 5] = 100 + t % 100
        tifffile.imwrite(frames / f"t{t:03d}.tif", pixels)
    (folder / "null.yaml").write_text(PIPELINE, encoding="utf-8")
    return [
        "run", str(frames), "--pipeline", str(folder / "null.yaml"), "--channels", "DAPI",
        "--reference", "--workers", "2", "--json",
    ]  # fmt: skip


@dataclass(slots=True)
class Ended:
    """How a child ended.

    Attributes
    ----------
    pid
        Its number.
    code
        Its exit code; negative, the signal it died of.
    published
        What it told of every image set after its commit, in order.
    threads
        The names of its threads by their numbers.
    """

    pid: int
    code: int
    stdout: str
    stderr: str
    published: list[dict[str, Any]] = field(default_factory=list)
    threads: dict[int, str] = field(default_factory=dict)


class Nursery:
    """Starts children; safe to use from several threads.

    Parameters
    ----------
    zygote
        What they are forked from.
    folder
        Where they keep what they report.
    environment
        Of the children.
    """

    def __init__(self, zygote: Zygote, folder: Path, environment: dict[str, str]) -> None:
        self._zygote = zygote
        self._folder = folder
        self._environment = environment
        self._numbers = count()

    def start(self, argv: list[str], gate: str = "") -> "Child":
        """Start `dipstream` with these arguments; see `Child.at_gate`."""
        folder = self._folder / f"c{next(self._numbers)}"
        folder.mkdir()
        return Child(self._zygote, folder, argv, gate, self._environment)

    def run(self, argv: list[str]) -> Ended:
        """Run `dipstream` to its end."""
        return self.start(argv).wait()


class Child:
    """A run in a process of its own."""

    def __init__(
        self,
        zygote: Zygote,
        folder: Path,
        argv: list[str],
        gate: str,
        environment: dict[str, str],
    ) -> None:
        self._folder = folder
        self._report = folder / "report"
        self._gate = socket.socket(socket.AF_UNIX)
        address = str(folder / "gate")
        self._gate.bind(address)
        self._gate.listen(1)
        told = {"gate": gate, "socket": address, "report": str(self._report)}
        changed = {IMPORTED_FIRST: "tests.faults.null_run", CONDITIONS: json.dumps(told)}
        self._process = zygote.start(argv, folder, {**environment, **changed})
        self.pid = self._process.pid

    def at_gate(self) -> tuple[int, socket.socket] | None:
        """Wait for the child to come to its gate; return the thread's number, and what opens it.

        None if it ends without having come there.
        """
        self._gate.settimeout(0.5)
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            with suppress(TimeoutError):
                opener, _ = self._gate.accept()
                return int(opener.recv(32).decode()), opener
            if not self.running:
                return None
        self.send(signal.SIGKILL)
        raise TimeoutError("the child came neither to its gate nor to its end")

    def reported(self) -> int:
        """Return how many image sets the child has published so far."""
        return self._told().count('"set"')

    def wait_for(self, n_sets: int) -> None:
        """Wait until the child has published so many sets, or has ended."""
        end = time.monotonic() + PATIENCE_S
        while self.running and self.reported() < n_sets:
            assert time.monotonic() < end, "the child hangs"
            time.sleep(0.002)

    def send(self, number: int) -> None:
        """Send the child a signal, unless it has ended."""
        with suppress(ProcessLookupError):
            self._process.send_signal(number)

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def wait(self) -> Ended:
        """Wait for the child's end; one that hangs is killed, and the test fails."""
        try:
            stdout, stderr = self._process.communicate(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.send(signal.SIGKILL)
            raise
        finally:
            self._gate.close()
        assert self._process.returncode is not None
        ended = Ended(self.pid, self._process.returncode, stdout, stderr)
        for told in map(json.loads, self._told().splitlines()):
            if "thread" in told:
                ended.threads[told["tid"]] = told["thread"]
            else:
                ended.published.append(told)
        shutil.rmtree(self._folder)
        return ended

    def _told(self) -> str:
        try:
            return self._report.read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""  # it was killed before it could say anything
