"""The log of a run: whole lines, always the same fields, and never an exception."""

import json
import math
import threading
from pathlib import Path
from typing import Any

import pytest

from dipstream.errors import StoreError
from dipstream.run.log import RunLog


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]


def test_every_line_says_when_what_which_run_and_who(tmp_path: Path) -> None:
    path = tmp_path / "run-7" / "log.jsonl"
    path.parent.mkdir()
    with RunLog(path) as log:
        log.write("started", "the run begins", set_id=0, detail="", path=None)
        log.write("dropped", "the queue was full", frame_ids=[1, 2])
        log.write("odd", None, "error", level="x", run_id="y", nan=math.nan, path=Path("/a"))
    first, second, third = lines(path)
    assert first.pop("time_ns") > 1_600_000_000 * 10**9
    assert first == {
        "level": "info",
        "kind": "started",
        "message": "the run begins",
        "run_id": "run-7",
        "thread": threading.current_thread().name,
        "set_id": 0,
    }
    assert (second["level"], second["frame_ids"]) == ("warning", [1, 2])
    assert (third["level"], third["run_id"], third["message"]) == ("error", "run-7", "")
    assert (third["nan"], third["path"]) == ("nan", "/a")
    assert log.problem == ""


@pytest.mark.parametrize(
    ("kind", "level"),
    [("failed", "error"), ("quarantined", "warning"), ("gap", "warning"), ("finished", "info")],
)
def test_the_kind_decides_the_level(tmp_path: Path, kind: str, level: str) -> None:
    with RunLog(tmp_path / "log.jsonl") as log:
        log.write(kind, "text")
    assert lines(tmp_path / "log.jsonl")[0]["level"] == level


def test_a_torn_line_of_a_killed_session_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"kind": "whole"}\n{"kind": "to')
    with RunLog(path) as log:
        log.write("started", "again")
    rows = path.read_text().splitlines()
    assert rows[1] == '{"kind": "to'
    assert json.loads(rows[2])["message"] == "again"


def test_it_never_raises(tmp_path: Path) -> None:
    log = RunLog(tmp_path / "log.jsonl")
    circle: list[Any] = []
    circle.append(circle)
    log.write("circle", "text", circle=circle)
    assert "cannot be written" in log.problem
    log.write("surrogate", "\udcff")
    with log:
        pass
    log.write("closed", "already")
    assert "is closed" in log.problem
    assert [line["kind"] for line in lines(tmp_path / "log.jsonl")] == ["surrogate"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_is_a_problem_and_no_exception() -> None:
    told: list[StoreError] = []
    with RunLog(Path("/dev/full"), failed=told.append) as log:
        log.write("started", "text")
        log.write("failed", "text")
    assert "the log /dev/full cannot be written: No space left" in log.problem
    assert [str(error) for error in told] == [log.problem], "once is enough"


def test_threads_do_not_mix_their_lines(tmp_path: Path) -> None:
    with RunLog(tmp_path / "log.jsonl") as log:
        threads = [
            threading.Thread(target=lambda: [log.write("x", "y" * 5000) for _ in range(50)])
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(lines(tmp_path / "log.jsonl")) == 200
