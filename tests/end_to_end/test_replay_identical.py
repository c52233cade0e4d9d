"""The same input twice, with one and with two workers: the same table."""

from pathlib import Path

import pandas as pd
import pytest

import dipstream as ds

KEYS = {
    "nuclei": ["set_id", "label"],
    "frames": ["frame_id"],
    "image_sets": ["set_id"],
    "tracks": ["object_type", "track_id"],
    "track_events": ["event_id"],
}
DRIFT = """
dipstream: 1
correct:
  - align: {to: previous}
objects:
  nuclei:
    steps:
      - gaussian: {sigma_px: 1}
      - threshold: {method: otsu}
      - split: {}
measure:
  - shape: {}
  - intensity: {}
track:
  nuclei: {lap: {}}
"""


def _tables(cli, source: object, pipeline: object, workers: int, *more: object) -> dict:
    answer = cli("run", source, "-p", pipeline, "--workers", workers, "--json", *more)
    assert answer.code == 0, answer.stderr
    run = ds.open_run(answer.json["folder"])
    tables = {}
    for name, key in KEYS.items():
        rows = run.table(name)
        times = [column for column in rows.columns if column.endswith("_ns")]
        tables[name] = rows.drop(columns=times).sort_values(key, ignore_index=True)
    return tables


@pytest.mark.parametrize("pipeline", ["nuclei", "drift.yaml"])
@pytest.mark.parametrize("source", ["files", "simulated"])
def test_replays_are_identical(cli, data: Path, tmp_path: Path, source: str, pipeline: str) -> None:
    if pipeline.endswith(".yaml"):
        (tmp_path / pipeline).write_text(DRIFT, encoding="utf-8")
        pipeline = str(tmp_path / pipeline)
    taken = (
        (data / "tracks" / "mitocheck" / "01",)
        if source == "files"
        else ("sim:?n=12&width=160&height=160&fps=0", "--frames", 24)
    )
    first = _tables(cli, taken[0], pipeline, 1, *taken[1:])
    second = _tables(cli, taken[0], pipeline, 2, *taken[1:])
    assert len(first["nuclei"]) > 100
    for name, rows in first.items():
        pd.testing.assert_frame_equal(rows, second[name], check_exact=True, obj=name)
