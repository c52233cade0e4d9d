"""A run that is killed anywhere and resumed is the run that nobody disturbed, tracks included."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

CAMPAIGN = bool(os.environ.get("DIPSTREAM_CAMPAIGN"))
ROOT = Path(__file__).parents[2]
PIPELINE = """\
dipstream: 1
correct: [{align: {}}]
objects:
  spots:
    steps: [{threshold: {method: manual, value: 60}}, {split: {method: none}}]
measure: [{shape: {}}, {intensity: {}}]
track: {spots: {lap: {max_distance_px: 12}}}
"""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="forks")


def picture(t: int, seed: int = 0) -> Any:
    """Spots that move, one that comes and goes, on noise that drifts."""
    rng = np.random.default_rng((seed, t))
    pixels = rng.integers(8, 12, (48, 64)).astype("uint16")
    for k, (y, x) in enumerate([(6, 4), (20, 30), (36, 12)]):
        if k == 2 and t % 5 == 3:
            continue
        pixels[y + t % 3 : y + 5 + t % 3, x + t : x + 5 + t] = 100 + 10 * k
    return pixels


def write_files(folder: Path, n: int, *, broken: int | None = None) -> None:
    for number in range(n):
        for position in ("a", "b"):
            (folder / position).mkdir(parents=True, exist_ok=True)
            path = folder / position / f"t{number:03d}.tif"
            tifffile.imwrite(path, picture(number, len(position)))
            if number == broken:
                path.write_bytes(path.read_bytes()[:200])
            os.utime(path, ns=(10**18 + number * 10**9, 10**18 + number * 10**9))


def play(tmp_path: Path, kills: list[list[str]], **task: Any) -> dict[str, Any]:
    pipeline = tmp_path / "p.yaml"
    pipeline.write_text(PIPELINE)
    settings = {"workers": 2, "durability": "normal", **task.pop("settings", {})}
    whole = {
        "pipeline": str(pipeline),
        "out": str(tmp_path),
        "kills": kills,
        "channels": ["DAPI"],
        "settings": settings,
        **task,
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.resume_child", json.dumps(whole)],
        cwd=ROOT,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        encoding="utf-8",
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    answer["stderr"] = done.stderr
    return answer


def check(answer: dict[str, Any]) -> None:
    for name, run in answer["runs"].items():
        assert run.get("code") == 0, (name, run, answer["stderr"][-3000:])
        assert run["golden"] == answer["golden"], (name, run)


def kills(last: int, *few: str) -> list[list[str]]:
    """Every transaction, before, inside and after it; without a campaign, a few of them."""
    if not CAMPAIGN:
        return [point.split("+") for point in few]
    single = [
        [f"{where}:{number}"] for number in range(1, last) for where in ("begin", "inside", "after")
    ]
    return [*single, ["start:0"], ["after:2", "inside:3"], ["inside:4", "start:0", "after:3"]]


def test_files(tmp_path: Path) -> None:
    write_files(tmp_path / "in", 8, broken=5)
    check(
        play(
            tmp_path,
            kills(18, "inside:4", "after:9", "after:2+inside:3"),
            source=str(tmp_path / "in"),
        )
    )


def test_a_stack_in_one_file(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "stack.tif", np.stack([picture(t) for t in range(12)]))
    check(play(tmp_path, kills(14, "after:5"), source=str(tmp_path / "stack.tif")))


def test_a_watched_folder(tmp_path: Path) -> None:
    write_files(tmp_path / "in", 6)
    options = {"poll_s": 0.05, "broken_after_s": 1.0}
    check(
        play(
            tmp_path,
            kills(12, "inside:3", "after:4+start:0"),
            source=str(tmp_path / "in"),
            driver="watch",
            options=options,
            until=12,
        )
    )


def test_a_simulated_camera_with_gaps(tmp_path: Path) -> None:
    source = (
        "sim:?fps=0&width=96&height=64&n=4&frames=24&channels=DAPI&faults=drop@5-7,drop@13,shape@9"
    )
    points = kills(12, "inside:3", "after:6")
    check(play(tmp_path, points, source=source, settings={"on_change": "segment"}))


def test_a_simulated_camera_of_two_channels_that_stops_in_time(tmp_path: Path) -> None:
    source = "sim:?fps=0&width=96&height=64&n=4&channels=DAPI,GFP&faults=shape@9"
    points = kills(12, "after:4", "start:0+inside:4")
    check(play(tmp_path, points, source=source, frames=21, channels=["DAPI", "GFP"]))
