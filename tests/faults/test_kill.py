"""kill -9 in the middle of a watch, and the same command again."""

import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from dipstream.service import open_run

FILES = 24


def fill(folder: Path, files: range) -> None:
    for k in files:
        pixels = np.full((256, 256), 10, "uint16")
        pixels[40:60, 40 + k : 60 + k] = 200
        pixels[150:180, 100:130] = 300
        part = folder / f"img_{k:03d}.part"
        tifffile.imwrite(part, pixels)
        part.rename(folder / f"img_{k:03d}.tif")


def analysed() -> int:
    try:
        return open_run().accounting().get("analysed", 0)
    except Exception:  # noqa: BLE001 - there is no run yet
        return 0


def wait_for(n: int, process: Any) -> None:
    end = time.monotonic() + 40
    while analysed() < n:
        assert time.monotonic() < end, process.communicate(timeout=1)
        time.sleep(0.01)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_killed_and_started_again(tmp_path: Path, cli: Any) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (tmp_path / "p.yaml").write_text(
        "dipstream: 1\nobjects: {spots: {steps: [{threshold: {method: manual, value: 50}}, "
        "{split: {}}]}}\nmeasure: [{shape: {}}]\ntrack: {spots: {lap: {}}}\n"
    )
    command = ("watch", folder, "--pipeline", tmp_path / "p.yaml", "--json")
    fill(folder, range(FILES))
    first = cli.fresh.start(*command)
    wait_for(2, first)
    first.kill()
    first.communicate(timeout=20)
    assert first.returncode == -signal.SIGKILL
    before = open_run()
    assert before.record.state == "running", "nobody could write how it ended"
    done = before.frames(where="state = 'analysed'")["path"].tolist()
    fill(folder, range(FILES, FILES + 3))

    second = cli.fresh.start(*command)
    wait_for(FILES + 3, second)
    second.send_signal(signal.SIGINT)
    _, errors = second.communicate(timeout=20)
    assert second.returncode == 0, errors
    after = open_run()
    assert after.folder == before.folder, "the same run goes on"
    frames = after.frames()
    finished = frames.query("state == 'analysed'")
    assert not finished["path"].duplicated().any(), "no file twice"
    assert set(finished["path"]) == {str(path) for path in folder.glob("*.tif")}
    assert set(done) <= set(finished["path"])
    rest = frames.query("state != 'analysed'")
    assert rest["state"].eq("dropped").all()
    assert rest["reason"].str.startswith("crash").all()
    objects = after.objects()
    assert len(objects) == 2 * (FILES + 3)
    assert not objects.duplicated(["set_id", "label"]).any()
    assert set(objects["set_id"]) == set(finished["set_id"])
