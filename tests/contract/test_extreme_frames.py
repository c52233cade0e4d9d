"""Frames that nobody plans for: a hundred thousand objects, one object, none; bounded memory."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import dipstream as ds
from dipstream.pipeline import Plan, open_plan

PIPELINE = """dipstream: 1
objects:
  nuclei:
    steps:
      - threshold: {method: manual, value: 50}
      - fill_holes: {}
      - clean: {min_area_px: 1}
      - split: {h_px: 2}
measure: [{shape: {}}, {intensity: {}}]
track: {nuclei: {lap: {max_distance_px: 3}}}
"""
SIDE, PITCH = 320, 6
LIMIT_MB = 900.0


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    path = tmp_path / "extreme.yaml"
    path.write_text(PIPELINE)
    return open_plan(path)


def hundred_thousand() -> np.ndarray:
    """320 × 320 squares of 3 px, one in seven of 4; each with a brightness of its own."""
    frame = np.zeros((SIDE * PITCH, SIDE * PITCH), np.uint16)
    numbers = np.arange(SIDE**2).reshape(SIDE, SIDE)
    for k in range(4):
        for j in range(4):
            wide = (numbers % 7 == 0) if 3 in (k, j) else np.ones_like(numbers, bool)
            frame[1 + k :: PITCH, 1 + j :: PITCH] = np.where(wide, 100 + numbers % 1000, 0)
    return frame


def test_a_hundred_thousand_objects(plan: Plan) -> None:
    frame = hundred_thousand()
    labels, table = ds.analyze(frame, plan)
    numbers = np.arange(SIDE**2)
    wide = numbers % 7 == 0
    assert len(table) == SIDE**2 > 100_000
    np.testing.assert_array_equal(labels > 0, frame > 0)
    np.testing.assert_array_equal(table["area"], np.where(wide, 16, 9))
    np.testing.assert_array_equal(table["intensity_mean_ch0"], 100 + numbers % 1000)
    np.testing.assert_allclose(table["y_px"], numbers // SIDE * PITCH + np.where(wide, 2.5, 2))
    np.testing.assert_allclose(table["x_px"], numbers % SIDE * PITCH + np.where(wide, 2.5, 2))
    np.testing.assert_array_equal(table["solidity"], 1)
    np.testing.assert_array_equal(table["perimeter"], np.where(wide, 12, 8))


def whole(size: int) -> np.ndarray:
    return np.full((size, size), 100, np.uint16)


def disc(size: int) -> np.ndarray:
    y, x = np.ogrid[:size, :size]
    half = size / 2
    return np.where((y - half) ** 2 + (x - half) ** 2 <= half**2, 100, 0).astype(np.uint16)


def comb(size: int) -> np.ndarray:
    """One object with a thousand arms: nothing but border."""
    frame = np.zeros((size, size), np.uint16)
    frame[:, ::2] = 100
    frame[0] = 100
    return frame


def spiral(size: int) -> np.ndarray:
    """One object that is a single line, rolled up: 1 px wide, 3 px from turn to turn."""
    frame = np.zeros((size, size), np.uint16)
    y = x = 0
    for k, way in enumerate(spiral_ways(size)):
        dy, dx = ((0, 1), (1, 0), (0, -1), (-1, 0))[k % 4]
        ends = sorted((y, y + dy * way)), sorted((x, x + dx * way))
        frame[tuple(slice(a, b + 1) for a, b in ends)] = 100
        y, x = y + dy * way, x + dx * way
    return frame


def spiral_ways(size: int) -> list[int]:
    return [size - 1, *(way for way in range(size - 1, 8, -4) for _ in range(2))]


@pytest.mark.parametrize("draw", [whole, disc, comb, spiral])
def test_one_object(draw: object, plan: Plan) -> None:
    frame = draw(1024)  # type: ignore[operator]
    labels, table = ds.analyze(frame, plan)
    filled = int((labels > 0).sum())
    assert filled >= (frame > 0).sum()
    assert table["area"].sum() == filled
    assert len(table) == 1
    assert table["bbox_y1"].tolist() == [1024]


def test_nothing(plan: Plan) -> None:
    labels, table = ds.analyze(np.zeros((512, 512), np.uint16), plan)
    assert not labels.any()
    assert len(table) == 0


CHILD = """
import sys
import psutil
sys.path.insert(0, {folder!r})
import dipstream as ds
import test_extreme_frames as frames
from dipstream.pipeline import open_plan
plan = open_plan({plan!r})
ds.analyze(frames.disc(256), plan)
for _ in range(2):
    ds.analyze(frames.{draw}, plan)
print(psutil.Process().memory_info().rss / 1e6)
"""


@pytest.mark.parametrize("draw", ["hundred_thousand()", "disc(2048)", "whole(2048)"])
def test_memory_is_bounded(draw: str, plan: Plan, tmp_path: Path) -> None:
    del plan
    code = CHILD.format(
        folder=str(Path(__file__).parent), plan=str(tmp_path / "extreme.yaml"), draw=draw
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        encoding="utf-8",
        check=False,
        env={**os.environ},
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < LIMIT_MB
