"""kill -9 while both kinds of mirrors are shipped to, and `dipstream resume`."""

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from dipstream.service import open_run
from tests.faults.database import PASSWORD, Server
from tests.faults.mirroring import compared

FILES = 60
AFTER = (1, 3, 10, 25, 40) if os.environ.get("DIPSTREAM_CAMPAIGN") else (10,)
"""Image sets in the table when it is killed."""


def analysed() -> int:
    try:
        return open_run().accounting().get("analysed", 0)
    except Exception:  # noqa: BLE001 - there is no run yet
        return 0


def fill(folder: Path) -> None:
    folder.mkdir()
    for k in range(FILES):
        pixels = np.full((256, 256), 10, "uint16")
        pixels[40:60, 40 + k : 60 + k] = 200
        pixels[150:180, 100:130] = 300
        tifffile.imwrite(folder / f"img_{k:03d}.tif", pixels)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
@pytest.mark.parametrize("after", AFTER)
def test_killed_and_resumed(
    tmp_path: Path, cli: Any, server: Server, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    fill(tmp_path / "in")
    (tmp_path / "p.yaml").write_text(
        "dipstream: 1\nobjects: {spots: {steps: [{threshold: {method: manual, value: 50}}, "
        "{split: {}}]}}\nmeasure: [{shape: {}}]\ntrack: {spots: {lap: {}}}\n"
    )
    url, lake = f"postgresql://dip@127.0.0.1:{server.port}/postgres", tmp_path / "lake"
    # Nothing but libpq's own variable knows the password: run.json must not need it.
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    monkeypatch.setenv("DIPSTREAM_MIRROR_EVERY_S", "0.1")
    first = cli.start(
        "run", tmp_path / "in", "--pipeline", tmp_path / "p.yaml",
        "--mirror", url, "--mirror", lake, "--json",
    )  # fmt: skip
    end = time.monotonic() + 40
    while analysed() < after:
        assert time.monotonic() < end, first.communicate(timeout=1)
        time.sleep(0.005)
    first.kill()
    first.communicate(timeout=20)
    assert first.returncode == -signal.SIGKILL
    run = open_run()
    assert run.record.state == "running", "it was killed before its end"
    second = cli("resume", run.record.run_id, "--json")
    assert second.code == 0, second.stderr
    assert second.json["analysed"] == FILES
    assert [one["complete"] for one in second.json["mirrors"]] == [True, True]
    for address in (url, str(lake)):
        found = compared(run.folder, address)
        assert found.differences == []
        assert found.behind == 0
        assert found.rows["image_sets"] == FILES
