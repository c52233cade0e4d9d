"""500 real images arrive slowly, in pieces, by rename and in subfolders; two are broken."""

import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import dipstream as ds
from dipstream.errors import StoreError

N = 500
BROKEN = {101, 377}

READER = """
import sqlite3, sys, time
import pandas as pd
path, deadline, grown = sys.argv[1], time.monotonic() + 200, []
while time.monotonic() < deadline:
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    states = pd.read_sql("SELECT state FROM frames", connection)["state"]
    rows = pd.read_sql("SELECT count(*) AS n FROM nuclei", connection)["n"][0]
    connection.close()
    done = int(((states == "analysed") | (states == "quarantined")).sum())
    grown.append((len(states), int(rows)))
    if done >= int(sys.argv[2]):
        break
    time.sleep(0.3)
print(len({n for n, _ in grown}), len({n for _, n in grown}), grown[-1][0])
"""


class Microscope(threading.Thread):
    """Writes images as microscopes do: slowly, under a temporary name, into subfolders."""

    def __init__(self, images: list[Path], folder: Path) -> None:
        super().__init__(daemon=True)
        self._images = images
        self._folder = folder

    def run(self) -> None:
        for i in range(N):
            source = self._images[i % len(self._images)].read_bytes()
            if i in BROKEN:
                source = source[: len(source) * 2 // 3]
            folder = self._folder / f"well{i // 100}" if i % 2 else self._folder
            folder.mkdir(exist_ok=True)
            self._write(folder / f"image{i:03d}.tif", source, way=i % 3)

    def _write(self, path: Path, content: bytes, way: int) -> None:
        target = path.with_suffix(".part") if way == 0 else path
        with target.open("wb") as file:
            third = len(content) // 3 + 1
            for start in range(0, len(content), third):
                file.write(content[start : start + third])
                file.flush()
                time.sleep(0.003 if way < 2 else 0.02)
        if target != path:
            target.rename(path)


@pytest.mark.timeout(240)
def test_a_folder_is_watched_to_the_last_image_and_again(data: Path, cli, tmp_path: Path) -> None:
    images = sorted((data / "tracks" / "mitocheck" / "01").glob("*.tif"))
    folder = tmp_path / "incoming"
    folder.mkdir()
    before = {path: path.stat().st_mtime_ns for path in images}
    command = ("watch", folder, "--pipeline", "nuclei", "--json", "--broken-after-s", 2)
    process = cli.start(*command, "--poll-s", 0.2)
    microscope = Microscope(images, folder)
    microscope.start()
    try:
        reader = _read_along(_wait_for_table(Path(cli.environment()["DIPSTREAM_HOME"])))
        microscope.join()
        seen = reader.communicate(timeout=200)[0]
    finally:
        first = _interrupt(process)
    assert reader.returncode == 0, seen
    frame_counts, row_counts, last = map(int, seen.split())
    assert last == N
    assert frame_counts > 3, "pandas saw the book grow"
    assert row_counts > 3, "pandas saw the objects grow"

    assert (first["received"], first["analysed"], first["quarantined"]) == (N, N - 2, 2)
    frames = ds.open_run(first["folder"]).frames()
    assert frames["path"].is_unique
    broken = frames[frames["state"] == "quarantined"]
    assert {Path(path).name for path in broken["path"]} == {f"image{i:03d}.tif" for i in BROKEN}
    assert broken["reason"].str.contains("truncated").all()

    again = cli.start(*command)
    _wait_until_listening(again)
    second = _interrupt(again)
    assert second["run_id"] == first["run_id"]
    for name in ("received", "analysed", "quarantined", "image_sets", "objects"):
        assert second[name] == first[name], name

    assert len(list(folder.rglob("*.tif"))) == N, "the inputs are still there"
    assert before == {path: path.stat().st_mtime_ns for path in images}


def _wait_for_table(home: Path) -> Path:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for table in (home / "runs").glob("*/table.db"):
            try:
                ds.open_run(table.parent).objects()
            except StoreError:
                continue
            return table
        time.sleep(0.1)
    raise AssertionError("the watch has written no objects")


def _read_along(table: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", READER, str(table), str(N)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )


def _wait_until_listening(process: "subprocess.Popen[str]") -> None:
    assert process.stderr is not None
    assert process.stderr.readline().startswith("run ")
    time.sleep(2)


def _interrupt(process: "subprocess.Popen[str]") -> dict[str, object]:
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    found: dict[str, object] = json.loads(stdout.splitlines()[-1])
    return found


def test_an_empty_folder_is_waited_for(cli, data: Path, tmp_path: Path) -> None:
    process = cli.start("watch", tmp_path, "--json", "--frames", 1, "--poll-s", 0.1)
    _wait_until_listening(process)
    assert process.poll() is None
    shutil.copy(data / "tracks" / "mitocheck" / "01" / "t000.tif", tmp_path / "a.tif")
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    assert '"analysed": 1' in stdout


def test_a_missing_folder_is_refused(cli, tmp_path: Path) -> None:
    answer = cli("watch", tmp_path / "nowhere")
    assert answer.code == 2
    assert "nowhere" in answer.stderr
