"""A file that is rewritten while its folder is watched: its image set is measured anew."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tifffile

import dipstream as ds
from dipstream.errors import StoreError


def _write(path: Path, spots: int) -> None:
    y, x = np.mgrid[:96, :160]
    pixels = np.random.default_rng(spots).normal(100, 4, y.shape)
    for i in range(spots):
        pixels += 800 * np.exp(-((y - 48) ** 2 + (x - 20 - 30 * i) ** 2) / 40)
    fresh = path.with_suffix(".part")
    tifffile.imwrite(fresh, pixels.astype(np.uint16))
    fresh.replace(path)


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        try:
            if condition():
                return
        except StoreError:
            pass  # the run has not begun
        time.sleep(0.1)
    raise AssertionError("it did not happen")


def test_a_rewritten_channel_supersedes_its_image_set(cli, tmp_path: Path) -> None:
    for t in range(3):
        _write(tmp_path / f"t{t}-DAPI.tif", spots=2)
        _write(tmp_path / f"t{t}-GFP.tif", spots=2)
    process = cli.start(
        *("watch", tmp_path, "--pattern", "t{t}-{channel}.tif", "--channels", "DAPI,GFP"),
        *("--json", "--poll-s", 0.1, "--frames", 8),
    )
    try:
        _wait_for(lambda: ds.open_run("latest").accounting().get("analysed") == 6)
        before = ds.open_run("latest").objects()
        _write(tmp_path / "t1-DAPI.tif", spots=4)
        _, stderr = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0, stderr
    assert "Traceback" not in stderr

    run = ds.open_run("latest")
    sets = run.image_sets()
    assert sets["content_version"].tolist() == [1, 2, 1]
    assert sets["partial"].tolist() == [0, 0, 0]
    objects = run.objects()
    assert objects.groupby("t").size().tolist() == [2, 4, 2]
    untouched = before[before["t"] != 1].reset_index(drop=True)
    kept = objects[objects["t"] != 1].reset_index(drop=True)
    assert untouched.drop(columns="track_id").equals(kept.drop(columns="track_id"))
    frames = run.frames()
    assert (len(frames), (frames["state"] == "analysed").sum()) == (8, 8)
    assert frames[frames["t"] == 1]["version"].tolist() == [1, 1, 2, 2]
