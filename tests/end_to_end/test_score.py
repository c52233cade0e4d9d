"""`dipstream score`: a run against the truth, while it goes on and after."""

import json
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tifffile

import dipstream as ds
from dipstream.errors import ConfigError, ReadError, StoreError
from dipstream.score import RunScore, truth_of
from dipstream.service import LiveRun

SMALL = "sim:?n=12&width=160&height=128&fps=0&seed=3"


@pytest.fixture
def ran(home: Path) -> LiveRun:
    with ds.start(
        SMALL, frames=12, save_labels=True, truth="full", durability="normal", workers=1
    ) as run:
        run.wait()
    return run


def test_a_run_of_the_simulator_is_scored(ran: LiveRun, cli: Any) -> None:
    answer = cli("score", ran.run_id, "--json")
    assert answer.code == 0, answer.stderr
    score = answer.json
    assert (score["run_id"], score["type"]) == (ran.run_id, "nuclei")
    assert (score["image_sets"], score["iou_image_sets"]) == (6, 6)
    assert score["image_sets_without_truth"] == 0
    assert score["count_error_percent"] < 5
    assert min(score["f1"], score["f1_iou50"], score["link_recall"]) > 0.95
    assert 0 < score["centroid_error_median_um"] < 0.3
    segment = ran.reader.table("segments").iloc[0]
    for channel in ("DAPI", "GFP"):
        fit = score["intensity"][channel]
        assert fit["correlation"] > 0.99
        assert fit["offset_per_px"] == pytest.approx(segment["offset_dn"], rel=0.5)
        assert fit["slope_per_e"] == pytest.approx(1 / segment["gain_e_per_dn"], rel=0.2)


def test_people_get_a_report(ran: LiveRun, cli: Any) -> None:
    answer = cli("score")
    assert answer.code == 0
    named = [line.split()[0] for line in answer.stdout.splitlines()]
    assert named == [
        *("run", "compared", "count", "detection", "outlines", "centroids", "links"),
        *("intensity", "intensity"),
    ]


def worse(
    ran: LiveRun, *, drop_every: int = 0, move_px: float = 0.0, break_track: bool = False
) -> Path:
    """The truth of a run, changed: what the run found is then wrong by so much."""
    folder = ran.folder / "truth"
    table = pd.read_csv(folder / "objects.csv", dtype={"position": str})
    if drop_every:
        table = table[table["label"] % drop_every != 0]
    if move_px:
        table["x_um"] += move_px * 0.325
    if break_track:
        late = table["t"] >= 3
        table.loc[late, "track_id"] = 1000 + table.loc[late, "track_id"]
    table.to_csv(folder / "objects.csv", index=False)
    for path in (folder / "01_GT" / "TRA").glob("*.tif"):
        path.unlink()
    for path in (ran.folder / "labels").glob("*.tif"):
        path.unlink()
    return folder


def test_what_is_missing_in_the_truth_is_found_too_much(ran: LiveRun) -> None:
    score = RunScore(ran.reader, worse(ran, drop_every=3)).update(last=True)
    assert score.precision == pytest.approx(8 / 12, abs=0.03)
    assert score.recall > 0.97
    assert score.count_error_percent == pytest.approx(50, abs=3)
    assert score.f1_iou50 is None


def test_centroids_that_are_off_are_measured(ran: LiveRun) -> None:
    score = RunScore(ran.reader, worse(ran, move_px=4)).update(last=True)
    assert score.centroid_error_median_um == pytest.approx(4 * 0.325, abs=0.15)
    assert score.f1 > 0.95


def test_links_that_are_wrong_are_counted(ran: LiveRun) -> None:
    score = RunScore(ran.reader, worse(ran, break_track=True)).update(last=True)
    links = score.links
    assert links.n_truth_links == 4 * 12
    assert links.recall > 0.95
    assert links.n_links == pytest.approx(5 * 12, abs=2)
    assert links.precision == pytest.approx(4 / 5, abs=0.03)


def test_outlines_are_compared_pixel_by_pixel(ran: LiveRun) -> None:
    for path in sorted((ran.folder / "labels").glob("*.tif"))[:3]:
        labels = tifffile.imread(path)
        tifffile.imwrite(path, np.where(labels <= 6, labels, 0))
    score = RunScore(ran.reader, ran.folder).update(last=True)
    assert score.f1 > 0.95, "the table is as it was"
    found = 3 * 6 + 3 * 12
    assert score.f1_iou50 == pytest.approx(2 * found / (found + 6 * 12), abs=0.03)


def test_a_run_that_reads_images_needs_to_be_told(cli: Any, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.full((30, 30), 7, "uint16"))
    with ds.start(tmp_path / "a.tif", durability="normal") as run:
        run.wait()
    answer = cli("score", "--json")
    assert answer.code == 2
    assert "--truth FOLDER" in answer.json["error"]
    with pytest.raises(ReadError, match="there is no truth in"):
        RunScore(run.reader, tmp_path)


def test_a_run_without_truth_says_how_to_get_one(home: Path) -> None:
    with ds.start(SMALL, frames=2, truth="none", durability="normal") as run:
        run.wait()
    with pytest.raises(ReadError, match="--truth none"):
        truth_of(run.reader)


def test_the_truth_of_other_images(ran: LiveRun, tmp_path: Path) -> None:
    for name in ("objects.csv", "frames.csv"):
        path = ran.folder / "truth" / name
        table = pd.read_csv(path, dtype={"position": str})
        table.assign(position="elsewhere").to_csv(path, index=False)
    with pytest.raises(ReadError, match=r"positions 0, the truth elsewhere"):
        RunScore(ran.reader, ran.folder).update(last=True)


def test_a_part_of_the_truth(ran: LiveRun) -> None:
    path = ran.folder / "truth" / "frames.csv"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:9]))
    comparison = RunScore(ran.reader, ran.folder)
    assert comparison.update().image_sets == 4
    assert comparison.pending == 2
    assert comparison.update(last=True).image_sets == 4
    assert comparison.without_truth == 2


def test_nothing_overtakes_a_set_whose_truth_is_late(ran: LiveRun) -> None:
    whole = RunScore(ran.reader, ran.folder).update(last=True)
    path = ran.folder / "truth" / "frames.csv"
    lines = path.read_text().splitlines(keepends=True)
    late = [line for line in lines if ",2,0," in line]
    assert len(late) == 2
    path.write_text("".join(line for line in lines if line not in late))
    comparison = RunScore(ran.reader, ran.folder)
    assert comparison.update().image_sets == 2
    with path.open("a") as file:
        file.writelines(late)
    assert comparison.update(last=True) == whole


def test_a_type_that_is_not_there(ran: LiveRun) -> None:
    with pytest.raises(ConfigError, match="did you mean nuclei"):
        RunScore(ran.reader, ran.folder, "nucle").update()


def test_the_score_of_a_stack_is_that_of_its_middle_plane(home: Path, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(
        "dipstream: 1\nassemble: {z: stack}\ncorrect: [{project: {}}]\n"
        "objects: {nuclei: {steps: [{gaussian: {sigma_px: 1}}, {threshold: {}}, {split: {}}]}}\n"
        "measure: [{shape: {}}]\ntrack: {nuclei: {lap: {max_distance_px: 20}}}\n"
    )
    with ds.start(f"{SMALL}&z=3", tmp_path / "p.yaml", frames=12, durability="normal") as run:
        run.wait()
    assert run.reader.image_sets()["z"].isna().all()
    score = RunScore(run.reader, run.folder).update(last=True)
    assert score.image_sets == 2
    assert score.f1 > 0.9


def wait_for_objects() -> None:
    """Until the table of the run has its first: before, there is nothing to score."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        with suppress(StoreError):
            if len(ds.open_run().objects()):
                return
        time.sleep(0.05)
    raise AssertionError("the run has written no objects")


def test_it_follows_a_run_to_its_end(cli: Any) -> None:
    source = SMALL.replace("fps=0", "fps=8")
    process = cli.start("run", source, "--frames", 24, "--save-labels", "--json")
    assert process.stderr is not None
    process.stderr.readline()
    wait_for_objects()
    scoring = cli.start("score", "--json")
    stdout, stderr = scoring.communicate(timeout=120)
    assert scoring.returncode == 0, stderr
    process.communicate(timeout=60)
    assert json.loads(stdout)["image_sets"] == 12
    assert "image sets: count error" in stderr, "it said how it stood meanwhile"


def test_ctrl_c_ends_the_following_but_not_the_run(cli: Any) -> None:
    process = cli.start("run", SMALL.replace("fps=0", "fps=5"), "--json")
    assert process.stderr is not None
    process.stderr.readline()
    wait_for_objects()
    once = cli("score", "--once", "--json")
    assert once.code == 0
    assert once.json["image_sets"] >= 1
    scoring = cli.start("score", "--json")
    assert scoring.stderr is not None
    scoring.stderr.readline()
    scoring.send_signal(signal.SIGINT)
    stdout, stderr = scoring.communicate(timeout=60)
    assert scoring.returncode == 0, stderr
    assert json.loads(stdout)["image_sets"] >= once.json["image_sets"]
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)


def test_a_run_shows_its_score_as_it_goes(cli: Any) -> None:
    ran = cli("run", SMALL.replace("fps=0", "fps=8"), "--frames", 32)
    assert "truth: count_error=" in ran.stderr
    (line,) = [line for line in ran.stdout.splitlines() if line.startswith("truth ")]
    assert "F1 at IoU 0.5" in line
    assert "links" in line
