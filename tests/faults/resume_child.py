"""Runs that are killed at chosen points and resumed, each in a fork: `python resume_child.py TASK`.

Prints a JSON object: the golden hash of the run that nobody disturbed, and of each that was killed.
"""

import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from dipstream.frame import Frame, FrameInfo, ImageSet, Segment, SetKey
from dipstream.pipeline import Plan, open_plan
from dipstream.run import Engine
from dipstream.service import LiveRun, resume, start
from dipstream.store import RunWriter
from tests.faults.golden import content, golden

__all__: list[str] = []

KILLED = 9


def main() -> None:
    """Do one task; see `tests/faults/test_resume.py`."""
    task = json.loads(sys.argv[1])
    for module in ("dipstream.pipeline.compiled", "dipstream.one_image", "dipstream_drivers.watch"):
        __import__(module)
    plan = open_plan(task["pipeline"])
    load_kernels(plan, task["channels"])
    answer: dict[str, Any] = {"runs": {}}
    answer["golden"], answer["commits"] = undisturbed(task, plan)
    for kills in task["kills"]:
        name = "+".join(map(str, kills))
        answer["runs"][name] = disturbed(task, plan, kills)
    print(json.dumps(answer))


def load_kernels(plan: Plan, channels: list[str]) -> None:
    """Analyse two blank image sets, so that no fork has to load the kernels anew."""
    pipeline = plan.compile(channels)
    segment = Segment(shape=(48, 64), dtype="uint16")
    state = None
    for t in range(2):
        pixels = np.full(segment.shape, 10, segment.dtype)
        pixels[10:20, 10:20] = 200
        frames = tuple(Frame(pixels, FrameInfo(segment, name, t=t)) for name in channels)
        image_set = ImageSet(t, SetKey(0, "0", t, 0), frames, tuple(range(2)), tuple(channels))
        done = pipeline.analyse(image_set)
        for kind in pipeline.track:
            state, _ = pipeline.link(kind, state, done.tables[kind], image_set, 1)


def undisturbed(task: dict[str, Any], plan: Any) -> tuple[str, int]:
    home = Path(task["out"]) / "whole"
    assert in_fork(lambda: run_to_end(begin(task, plan, home), task)) == 0
    folder = only_run(home)
    (Path(task["out"]) / "golden.txt").write_text(as_text(folder))
    return golden(folder), int((folder / "transactions").read_text())


def disturbed(task: dict[str, Any], plan: Any, kills: list[Any]) -> dict[str, Any]:
    """Kill a run at each of some points, one session after the other, then let it end."""
    home = Path(task["out"]) / "-".join(map(str, kills)).replace(":", "_")
    for session, kill in enumerate(kills):

        def killed(session: int = session, kill: str = kill) -> None:
            kill_at(kill)
            run = resumed(home) if session else begin(task, plan, home)
            run_to_end(run, task)

        code = in_fork(killed)
        if code == 0:
            break  # it came to its end before the point
        if code != KILLED:
            return {"code": code, "session": session}
        if not list((home / "runs").glob("*/run.json")):
            return {"golden": "", "nothing": True}
    else:
        code = in_fork(lambda: run_to_end(resumed(home), task))
    folder = only_run(home)
    if code == 0 and golden(folder) != golden(only_run(Path(task["out"]) / "whole")):
        (home / "content.txt").write_text(as_text(folder))
    return {"golden": golden(folder), "code": code, "folder": str(folder)}


def begin(task: dict[str, Any], plan: Any, home: Path) -> LiveRun:
    return start(
        task["source"],
        plan,
        driver=task.get("driver"),
        options=task.get("options"),
        frames=task.get("frames"),
        home=home,
        mailbox=False,
        truth="none",
        **task.get("settings", {}),
    )


def resumed(home: Path) -> LiveRun:
    return resume(only_run(home), mailbox=False)


def run_to_end(run: LiveRun, task: dict[str, Any]) -> None:
    """A watch has no end of its own: it ends when all its files are in the book."""
    deadline = time.monotonic() + 40
    while not run.poll(0.01):
        if time.monotonic() > deadline:
            raise TimeoutError("the run hangs")
        wanted = task.get("until")
        book = run.reader.accounting() if wanted else {}
        if wanted and sum(book.values()) - book.get("pending", 0) >= wanted:
            run.stop()
    accounting = run.wait()
    if run.error is not None:
        raise run.error
    if not accounting.balanced or accounting.pending:
        raise AssertionError(accounting)
    (run.folder / "transactions").write_text(str(COUNT["transactions"]))


COUNT = {"transactions": 0, "with_sets": 0, "sets": 0}


def count_transactions(at: int, where: str) -> None:
    """Count transactions from now on, and leave at once at a place in the n-th one.

    Inside and after count only those with image sets: before the first there is little to lose.
    """
    real, real_add = RunWriter.transaction, RunWriter.add_set

    def added(self: RunWriter, *given: Any) -> None:
        COUNT["sets"] += 1
        real_add(self, *given)

    RunWriter.add_set = added  # type: ignore[method-assign]

    @contextmanager
    def counted(self: RunWriter) -> Iterator[None]:
        COUNT["transactions"] += 1
        if where == "begin" and COUNT["transactions"] == at:
            os._exit(KILLED)
        before = COUNT["sets"]
        with real(self):
            yield
            COUNT["with_sets"] += COUNT["sets"] > before
            this = COUNT["sets"] > before and COUNT["with_sets"] == at
            if where == "inside" and this:
                os._exit(KILLED)
        if where == "after" and this:
            os._exit(KILLED)

    RunWriter.transaction = counted  # type: ignore[method-assign]


def kill_at(point: str) -> None:
    where, number = point.split(":")
    if where == "start":
        real_start = Engine.start

        def started(self: Engine) -> None:
            real_start(self)
            os._exit(KILLED)

        Engine.start = started  # type: ignore[method-assign]
    elif where == "timer":
        threading.Timer(int(number) / 1000, os._exit, [KILLED]).start()
    else:
        count_transactions(int(number), where)


def in_fork(work: Any) -> int:
    """Do something in a fork; return its exit code."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            if COUNT["transactions"] == 0 and RunWriter.transaction.__module__ != __name__:
                count_transactions(0, "")
            work()
            code = 0
        except BaseException:  # noqa: BLE001
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


def only_run(home: Path) -> Path:
    (found,) = (home / "runs").glob("*/run.json")
    return found.parent


def as_text(folder: Path) -> str:
    return "\n".join(f"{table}: {row}" for table, rows in content(folder).items() for row in rows)


if __name__ == "__main__":
    main()
