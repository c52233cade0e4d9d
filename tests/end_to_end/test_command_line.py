"""The face of the command line: help in no time, stable keys, tables, copies, Ctrl-C."""

import json
import re
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

import dipstream as ds

PAGE = Path(__file__).parents[2] / "docs" / "command-line.md"
SMALL = "sim:?n=8&width=128&height=128&fps=0"


@pytest.mark.parametrize(
    ("command", "without"),
    [
        ("--help", {"numba", "numpy", "pandas", "pyarrow", "scipy", "skimage"}),
        ("runs", {"numba", "scipy", "skimage"}),
        ("pipeline show", {"numba", "pandas", "pyarrow"}),
        ("steps", {"numba", "pandas", "pyarrow"}),
        ("drivers", {"pandas", "pyarrow", "skimage"}),
    ],
)
def test_a_command_imports_nothing_heavy_that_it_does_not_need(
    cli, command: str, without: set[str]
) -> None:
    code = (
        "import sys; from dipstream.cli import main\n"
        f"sys.argv = ['dipstream', *{command.split()}]\n"
        "try: main()\nexcept SystemExit: pass\n"
        f"heavy = {without} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=cli.environment(), capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["pipeline", "schema"],
        ["pipeline", "show", "none.yaml"],
        ["runs", "--json"],
        ["runs", "snapshot", "latest", "copy.db"],
        ["table", "--none"],
        ["watch", "nowhere", "--json"],
    ],
)
def test_a_forked_command_answers_as_one_that_begins_at_the_beginning(
    cli, arguments: list[str], tmp_path: Path
) -> None:
    assert cli(*arguments, cwd=tmp_path) == cli.fresh(*arguments, cwd=tmp_path)


def test_the_warm_up_finds_everything_compiled(cli) -> None:
    answer = cli.fresh("warmup", "--json")
    assert answer.code == 0, answer.stderr
    assert answer.json["seconds"] > 0


def test_the_keys_of_the_summary_are_those_documented(cli) -> None:
    rows = re.findall(r"^\| (`[^|]+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    documented = {key for row in rows for key in re.findall(r"`([a-z_0-9]+)`", row)}
    summary = cli("run", SMALL, "--frames", 4, "--json").json
    assert set(summary) <= documented
    quiet = cli("run", SMALL, "--frames", 4, "--truth", "none", "--json").json
    assert set(summary) - set(quiet) == {
        "truth_image_sets",
        "truth_objects_mean",
        "found_objects_mean",
        "count_error_percent",
        "f1_iou50",
        "link_recall",
    }
    assert set(cli("demo", "--frames", 4, "--json").json) == set(summary)


@pytest.mark.parametrize("arguments", [["run", "nowhere"], ["run", SMALL, "--workers", 99]])
def test_a_refusal_is_json_too(cli, arguments: list[object]) -> None:
    answer = cli(*arguments, "--json")
    assert answer.code == 2
    assert set(answer.json) == {"error", "kind"}


def test_tables_are_shown_and_exported(cli, tmp_path: Path) -> None:
    summary = cli("run", SMALL, "--frames", 8, "--json").json
    shown = cli("table", "latest", "--columns", "t,label,area", "--where", "t = 2")
    assert shown.stdout.split()[:3] == ["t", "label", "area"]
    whole = ds.open_run(summary["run_id"]).objects()
    for name in ("x.csv", "x.parquet"):
        path = tmp_path / name
        assert cli("table", summary["folder"], "--export", path).code == 0
        csv = path.suffix == ".csv"
        read = pd.read_csv(path, dtype={"position": str}) if csv else pd.read_parquet(path)
        pd.testing.assert_frame_equal(
            read, whole, check_dtype=False, check_exact=path.suffix == ".parquet"
        )
    events = cli("table", "--type", "events", "--columns", "kind,message").stdout.splitlines()
    assert [line.split()[0] for line in events] == ["kind", "started", "finished", "2"]
    listed = json.loads(cli("runs", "--json").stdout)
    assert listed[0]["frames"] == 8
    assert [one["run_id"] for one in listed] == [summary["run_id"]]
    assert listed[0]["state"] == "finished"


def test_ctrl_c_finishes_what_was_admitted(cli, tmp_path: Path) -> None:
    process = cli.start("run", "sim:?n=8&width=128&height=128&fps=20", "--json")
    assert process.stderr is not None
    process.stderr.readline()
    end = time.monotonic() + 30
    while not ds.open_run().accounting().get("analysed") and time.monotonic() < end:
        time.sleep(0.05)
    copy = tmp_path / "copy.db"
    assert cli("runs", "snapshot", "latest", copy).code == 0
    connection = sqlite3.connect(copy)
    (states,) = zip(*connection.execute("SELECT DISTINCT state FROM frames"), strict=True)
    connection.close()
    assert "analysed" in states
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    summary = json.loads(stdout)
    assert summary["state"] == "stopped"
    assert summary["pending"] == summary["dropped"] == 0
    assert summary["received"] == summary["analysed"] > 0
    assert summary["balanced"]


@pytest.mark.parametrize("name", ["nuclei", "cells", "spots"])
def test_presets_are_shown_and_are_what_they_show(cli, tmp_path: Path, name: str) -> None:
    shown = cli("pipeline", "show", name)
    (tmp_path / "copy.yaml").write_text(shown.stdout, encoding="utf-8")
    assert cli("pipeline", "diff", name, tmp_path / "copy.yaml").code == 0
    other = "cells" if name == "nuclei" else "nuclei"
    different = cli("pipeline", "diff", name, other)
    assert different.code == 1
    assert "+++" in different.stdout


def test_the_schema_describes_every_step(cli) -> None:
    schema = json.loads(cli("pipeline", "schema").stdout)
    steps = json.loads(cli("steps", "--json").stdout)
    assert {f"{one['group']}_{one['name']}" for one in steps} <= set(schema["$defs"])


def test_the_doctor_finds_a_healthy_installation(cli) -> None:
    answer = cli("doctor", "--json")
    assert answer.code == 0, answer.stdout
    subjects = {one["subject"] for one in answer.json["findings"]}
    assert {"SQLite (ADBC's)", "driver sim:", "reader tiff", "preset nuclei"} <= subjects


def test_a_place_that_cannot_be_written_is_a_sentence(cli, tmp_path: Path) -> None:
    summary = cli("run", SMALL, "--frames", 2, "--json").json
    out = tmp_path / "file"
    out.write_text("in the way", encoding="utf-8")
    for arguments in (
        ["table", summary["run_id"], "--export", out / "x.csv"],
        ["table", summary["run_id"], "--export", out / "x.parquet"],
        ["runs", "snapshot", summary["run_id"], out / "x.db"],
        ["run", SMALL, "--home", out],
    ):
        answer = cli(*arguments)  # the fixture refuses a traceback
        assert answer.code == 2, arguments
        assert str(out) in answer.stderr
