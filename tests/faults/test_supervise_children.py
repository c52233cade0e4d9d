"""Child processes: their limits, how they end, and that nothing of them is left behind."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from dipstream.supervise import (
    Breaker,
    Child,
    ChildDiedError,
    ChildTask,
    Limits,
    Pool,
    RemoteError,
    Supervisor,
)
from dipstream.supervise.wire import Message, WireError, unpack

HANDLER = """\
import os, signal, sys, time
import numpy as np
from dipstream.errors import ReadError
from dipstream.supervise import allow

class Works:
    def __call__(self, request, arrays):
        return getattr(self, request["do"])(request, arrays)

    def double(self, request, arrays):
        print("what a step prints harms nobody", flush=True)
        return {"sum": [float(a.sum()) for a in arrays]}, [a * 2 for a in arrays]

    def die(self, request, arrays):
        print("last words", file=sys.stderr, flush=True)
        os.kill(os.getpid(), request["signal"])
        time.sleep(60)

    def once(self, request, arrays):
        if not os.path.exists(request["mark"]):
            os.mkdir(request["mark"])
            os._exit(3)
        return {"pid": os.getpid()}, []

    def hang(self, request, arrays):
        time.sleep(60)

    def burn(self, request, arrays):
        while True:
            pass

    def memory(self, request, arrays):
        if "declared" in request:
            allow(request["declared"])
        return {"n": int(np.ones(request["n"], np.uint8).sum())}, []

    def write(self, request, arrays):
        with open(request["path"], "wb") as file:
            file.write(b"x")
        return {}, []

    def refuse(self, request, arrays):
        raise ReadError("that is no image")

    def chatter(self, request, arrays):
        for _ in range(3000):
            os.write(2, b"y" * 100) if request["said"] else None
        return {}, []

    def nonsense(self, request, arrays):
        return {"arrays": object()}, []

    def shrink(self, request, arrays):
        fd = int(__import__("json").loads(sys.argv[1])["memory"])
        os.ftruncate(fd, 0)
        return {}, []

    def core(self, request, arrays):
        import resource
        return {"core": resource.getrlimit(resource.RLIMIT_CORE)[0]}, []
"""
MB = 2**20
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="limits are a job object's there")


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Child]]:
    """Starts children of a handler that does what it is asked to."""
    (tmp_path / "works_for_tests.py").write_text(HANDLER, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    children: list[Child] = []

    def make(**limits: Any) -> Child:
        child = Child(ChildTask("works_for_tests:Works", Limits(**limits)))
        children.append(child)
        return child

    yield make
    for child in children:
        child.close()


def test_arrays_go_and_come(made: Callable[..., Child]) -> None:
    child = made()
    large = np.arange(3 * MB, dtype=np.uint16).reshape(3, -1)
    given = [large, np.array(2.5), np.zeros((0, 4)), large[:, ::7], np.array([True])]
    for _ in range(3):
        answer, found = child.call({"do": "double"}, given)
        assert answer["sum"][1] == 2.5
        for before, after in zip(given, found, strict=True):
            np.testing.assert_array_equal(before * 2, after)
            assert (before * 2).dtype == after.dtype


@POSIX
@pytest.mark.parametrize(
    ("how", "words"),
    [(signal.SIGSEGV, "SIGSEGV"), (signal.SIGKILL, "SIGKILL, perhaps"), (signal.SIGABRT, "ABRT")],
)
def test_a_child_that_dies_says_how(made: Callable[..., Child], how: int, words: str) -> None:
    child = made()
    with pytest.raises(ChildDiedError, match=words) as died:
        child.call({"do": "die", "signal": int(how)})
    assert "last words" in "".join(died.value.__notes__)
    assert not child.alive


def test_a_child_that_hangs_is_killed(made: Callable[..., Child]) -> None:
    child = made()
    child.call({"do": "double"})
    began = time.monotonic()
    with pytest.raises(ChildDiedError, match=r"longer than 0\.3 s"):
        child.call({"do": "hang"}, wall_s=0.3)
    assert time.monotonic() - began < 3
    assert not child.alive


@POSIX
def test_processor_time_is_counted_for_each_request(made: Callable[..., Child]) -> None:
    child = made(cpu_s=1.0)
    with pytest.raises(ChildDiedError, match="more than 1 s of processor time"):
        child.call({"do": "burn"}, wall_s=30)


@POSIX
def test_memory_is_limited_but_for_what_a_header_declares(made: Callable[..., Child]) -> None:
    child = made(memory=100 * MB)
    assert child.call({"do": "memory", "n": 50 * MB})[0]["n"] == 50 * MB
    with pytest.raises(RemoteError) as refused:
        child.call({"do": "memory", "n": 300 * MB})
    assert refused.value.kind == "MemoryError"
    declared = {"do": "memory", "n": 300 * MB, "declared": 100 * MB}
    assert child.call(declared)[0]["n"] == 300 * MB
    with pytest.raises(RemoteError):
        child.call({"do": "memory", "n": 300 * MB})
    assert child.alive


@POSIX
def test_no_files_and_no_core(made: Callable[..., Child], tmp_path: Path) -> None:
    request = {"do": "write", "path": str(tmp_path / "new")}
    with pytest.raises(RemoteError, match="File too large"):
        made().call(request)
    made(files=True).call(request)
    assert (tmp_path / "new").read_bytes() == b"x"
    assert made().call({"do": "core"})[0]["core"] == 0


@pytest.mark.skipif(sys.platform != "linux", reason="memory files can be sealed on Linux only")
def test_a_child_cannot_take_the_memory_away(made: Callable[..., Child]) -> None:
    with pytest.raises(RemoteError, match="not permitted"):
        made().call({"do": "shrink"})


def test_errors_and_nonsense_come_back(made: Callable[..., Child]) -> None:
    child = made()
    with pytest.raises(RemoteError, match="no image") as refused:
        child.call({"do": "refuse"})
    assert refused.value.kind == "ReadError"
    assert "in refuse" in refused.value.trace
    with pytest.raises(RemoteError):
        child.call({"do": "nonsense"})
    child.call({"do": "chatter", "said": True}, wall_s=20)  # more than a pipe holds
    assert child.alive


def test_a_handler_that_cannot_be_loaded() -> None:
    child = Child(ChildTask("no_such_module_at_all:Nothing"))
    with pytest.raises(ChildDiedError) as died:
        child.call({})
    assert "no_such_module_at_all" in "".join(died.value.__notes__)


@pytest.mark.parametrize(
    "about",
    [
        b"[",
        b"[]",
        b"[" * 100_000,
        b'{"header": 1, "arrays": []}',
        b'{"header": {}, "arrays": [["O", [1], 0]]}',
        b'{"header": {}, "arrays": [["<u2", [-1], 0]]}',
        b'{"header": {}, "arrays": [["<u2", [9999999999, 9999999999], 0]]}',
        b'{"header": {}, "arrays": [["<u2", [4], -2]]}',
        b'{"header": {}, "arrays": [["<u2", [4], 99999999]]}',
        b'{"header": {}, "arrays": [["<M8", [1], 0]]}',
        b'{"header": {}, "arrays": [["<u2"]]}',
        b'{"header": {}, "arrays": [["<u2", [1,1,1,1,1,1,1,1,1], 0]]}',
        b"\xff\xfe",
        b"1" * 5000,
    ],
)
def test_what_makes_no_sense_is_refused(about: bytes) -> None:
    import mmap  # noqa: PLC0415

    memory = mmap.mmap(-1, MB)
    memory[: len(about)] = about
    with pytest.raises(WireError):
        unpack(memory, len(about), MB)
    with pytest.raises(WireError):
        unpack(memory, MB + 1, MB)
    memory.close()


def test_objects_are_never_sent() -> None:
    with pytest.raises(WireError, match="numbers only"):
        Message({}, [np.array([{}], dtype=object)])


def test_what_killed_a_child_once_is_tried_again(
    made: Callable[..., Child], tmp_path: Path
) -> None:
    task = made().task
    pool, waits = Pool(), list[float]()
    supervisor = Supervisor("tests", task, pool=pool, breaker=Breaker(sleep=waits.append))
    try:
        request = {"do": "once", "mark": str(tmp_path / "mark")}
        answer, _ = supervisor.run(lambda child: child.call(request))
        assert answer["pid"] != os.getpid()
        assert len(waits) == 1
        with pytest.raises(ChildDiedError):
            supervisor.run(lambda child: child.call({"do": "die", "signal": 9}))
        assert supervisor.run(lambda child: child.call({"do": "double"}))[0] == {"sum": []}
    finally:
        pool.close()


def test_a_crash_loop_is_told_and_slows_down() -> None:
    now, waits, told, pool = [0.0], list[float](), list[str](), Pool()

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        now[0] += seconds

    breaker = Breaker(deaths=4, window_s=60, clock=lambda: now[0], sleep=sleep, chance=lambda: 0.0)
    tried: list[int] = []

    def die(_: Child) -> None:
        tried.append(1)
        raise ChildDiedError("it crashed")

    supervisor = Supervisor(
        "tests",
        ChildTask("no_such_module_at_all:Nothing"),
        pool=pool,
        breaker=breaker,
        report=lambda kind, _: told.append(kind),
    )
    for _ in range(8):
        with pytest.raises(ChildDiedError):
            supervisor.run(die)
    assert told == ["degraded"]
    assert len(tried) == 2 + 2 + 6, "tried twice, in a crash loop once"
    assert waits == [0.05 * 2**n for n in range(7)] + [5.0, 5.0]
    supervisor.run(lambda _: None)
    assert breaker.pause_s == 0
    now[0] += 61
    supervisor.run(lambda _: None)
    assert told == ["degraded", "recovered"]
    pool.close()


def test_a_pause_is_at_most_halved_by_chance() -> None:
    chances = iter([0.0, 0.5, 1.0])
    breaker = Breaker(chance=lambda: next(chances))
    breaker.died()
    assert [breaker.pause_s for _ in range(3)] == pytest.approx([0.05, 0.0375, 0.025])


def test_children_are_lent_and_taken_back(made: Callable[..., Child]) -> None:
    task, pool = made().task, Pool(most_idle=1)
    try:
        with pool.lease(task) as one, pool.lease(task) as other:
            assert one.pid != other.pid
        with pool.lease(task) as again:
            assert again.pid == other.pid, "the other one was given back first"
        assert not one.alive, "one is kept"
        os.kill(again.pid, signal.SIGKILL)
        while again.alive:
            time.sleep(0.01)
        with pool.lease(task) as fresh:
            assert fresh.pid != again.pid
    finally:
        pool.close()
    assert not fresh.alive


PARENT = """\
import sys, threading, time
from dipstream.supervise import Child, ChildTask, Limits
sys.path.insert(0, sys.argv[1])
child = Child(ChildTask("works_for_tests:Works", Limits(memory=None)))
child.call({"do": "double"})
threading.Thread(target=lambda: child.call({"do": "burn"}), daemon=True).start()
time.sleep(0.2)
print(child.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_children_end_with_their_parent(
    made: Callable[..., Child], tmp_path: Path, how: signal.Signals
) -> None:
    made()
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        parent.send_signal(how)
        parent.wait(5)
    gone, _ = psutil.wait_procs([child], timeout=5)
    assert gone or child.status() == psutil.STATUS_ZOMBIE
    assert not list(Path("/dev/shm").glob("dipstream*")), "where Linux keeps what has a name"


def test_a_child_outlives_the_thread_that_asked_for_it(made: Callable[..., Child]) -> None:
    children: list[Child] = []
    thread = threading.Thread(target=lambda: children.append(made()))
    thread.start()
    thread.join()
    time.sleep(0.1)
    assert children[0].call({"do": "double"})[0] == {"sum": []}
