"""A run held against a truth that is not, or not wholly, its own."""

import re
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import tifffile

import dipstream as ds
from dipstream.errors import ReadError
from dipstream.score import RunScore, run_score, truth_of
from dipstream.service import LiveRun
from dipstream.simulate import simulate

SMALL = "sim:?n=12&width=160&height=128&fps=0&seed=3"


def run_of(source: str | Path, frames: int = 12, **more: Any) -> LiveRun:
    with ds.start(source, frames=frames, durability="normal", workers=1, **more) as run:
        run.wait()
    return run


@pytest.fixture
def ran(home: Path) -> LiveRun:
    return run_of(SMALL, save_labels=True)


def score_of(run: LiveRun, truth: Path | None = None) -> RunScore:
    return RunScore(run.reader, run.folder if truth is None else truth)


# Whose truth it is.


def test_its_own_truth_raises_no_doubt(ran: LiveRun) -> None:
    assert score_of(ran).warnings == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("seed=4", ["is of sim:?n=12&seed=4"]),
        ("channels=DAPI,RFP", ["is of sim:", "channels DAPI, GFP, the truth DAPI, RFP"]),
        ("camera_pixel_um=10", ["is of sim:", "0.325 µm, of the truth 0.5 µm"]),
    ],
)
def test_the_truth_of_another_source_is_doubted(
    ran: LiveRun, change: str, words: list[str], cli: Any, tmp_path: Path
) -> None:
    name = change.split("=", maxsplit=1)[0]
    source = re.sub(rf"&{name}=[^&]*", "", SMALL) + f"&{change}"
    simulate(tmp_path / "other", source, frames=12)
    answer = cli("score", ran.run_id, "--truth", tmp_path / "other", "--json")
    assert answer.code == 0, answer.stderr
    said = answer.json["warnings"]
    assert [word in text for word, text in zip(words, said, strict=True)] == [True] * len(words)
    shown = cli("score", ran.run_id, "--truth", tmp_path / "other").stdout
    assert shown.count("warning ") == len(words)


def test_the_truth_of_the_same_source_is_not_doubted(ran: LiveRun, tmp_path: Path) -> None:
    other = run_of(SMALL)
    assert score_of(ran, other.folder).warnings == []
    simulate(tmp_path / "out", SMALL, frames=4)
    images = run_of(tmp_path / "out")
    assert score_of(images, tmp_path / "out").warnings == []
    assert truth_of(images.reader) == tmp_path / "out" / "truth"
    assert "has read" in score_of(images, other.folder).warnings[0]


def test_the_folder_one_is_in_has_nothing_to_do_with_it(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulate(tmp_path / "out", SMALL, frames=2)
    run = run_of(SMALL, 2, truth="none")
    monkeypatch.chdir(tmp_path / "out")
    with pytest.raises(ReadError, match="--truth none"):
        truth_of(run.reader)


# Image sets that cannot be compared.


def cut_out(run: LiveRun, t: int) -> list[str]:
    """Take a time point out of the truth, and return its lines."""
    path = run.folder / "truth" / "frames.csv"
    lines = path.read_text().splitlines(keepends=True)
    out = [line for line in lines if f",{t},0," in line]
    path.write_text("".join(line for line in lines if line not in out))
    return out


def test_a_set_that_the_truth_lacks_hides_no_later_one(ran: LiveRun) -> None:
    cut_out(ran, 2)
    comparison = score_of(ran)
    assert comparison.update(last=True).image_sets == 5
    assert comparison.without_truth == 1


def test_the_truth_that_went_on_is_followed(ran: LiveRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_score, "_PATIENCE", 2)
    late = cut_out(ran, 2)
    comparison = score_of(ran)
    comparison.update()
    assert comparison.update().image_sets == 5
    assert comparison.pending == 1
    with (ran.folder / "truth" / "frames.csv").open("a") as file:
        file.writelines(late)
    score = comparison.update()
    assert (score.image_sets, comparison.pending) == (6, 0)
    assert score.links.n_truth_links == 4 * 12, "links go on across it"


def test_what_waits_is_not_read(ran: LiveRun, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [line for t in range(6) for line in cut_out(ran, t)]
    comparison = score_of(ran)
    shutil.move(ran.folder / "labels", ran.folder / "away")
    assert comparison.update().image_sets == 0
    assert comparison.pending == 6
    shutil.move(ran.folder / "away", ran.folder / "labels")
    with (ran.folder / "truth" / "frames.csv").open("a") as file:
        file.writelines(lines)
    assert comparison.update().iou_image_sets == 6


def changed(run: LiveRun, *statements: str) -> None:
    with closing(sqlite3.connect(run.folder / "table.db")) as table, table:
        for statement in statements:
            table.execute(statement)


def test_two_sets_of_one_place_do_not_block(ran: LiveRun) -> None:
    changed(ran, "UPDATE image_sets SET t = 1, segment = 1 WHERE set_id = 2")
    comparison = score_of(ran)
    assert comparison.update().image_sets == 5
    assert comparison.not_comparable == 1
    assert "t=1, z=0: another image set of the run has the same place" in comparison.warnings[0]


def test_a_second_set_of_one_place_that_comes_later_does_not_block(ran: LiveRun) -> None:
    changed(
        ran,
        "CREATE TABLE aside AS SELECT * FROM image_sets WHERE set_id IN (2, 3)",
        "DELETE FROM image_sets WHERE set_id IN (2, 3)",
        "UPDATE aside SET t = 1, segment = 1 WHERE set_id = 2",
    )
    comparison = score_of(ran)
    assert comparison.update().image_sets == 4
    changed(ran, "INSERT INTO image_sets SELECT * FROM aside")
    assert comparison.update().image_sets == 5
    assert (comparison.not_comparable, comparison.pending) == (1, 0)


def test_a_set_committed_out_of_turn_is_scored(ran: LiveRun) -> None:
    changed(
        ran,
        "CREATE TABLE aside AS SELECT * FROM image_sets WHERE set_id = 1",
        "DELETE FROM image_sets WHERE set_id = 1",
    )
    comparison = score_of(ran)
    assert comparison.update().image_sets == 5
    changed(ran, "INSERT INTO image_sets SELECT * FROM aside")
    assert comparison.update().image_sets == 6


def other_labels(run: LiveRun) -> None:
    path = run.folder / "labels" / "2_nuclei.tif"
    tifffile.imwrite(path, tifffile.imread(path)[:100])


def other_segment(run: LiveRun) -> None:
    shutil.rmtree(run.folder / "labels")
    changed(
        run,
        "INSERT INTO segments (segment, height_px, width_px) VALUES (1, 100, 160)",
        "UPDATE image_sets SET segment = 1 WHERE set_id = 2",
    )


def test_a_set_of_another_shape_in_both_is_compared(home: Path) -> None:
    run = run_of(f"{SMALL}&faults=shape@4-5", save_labels=True, on_change="segment")
    assert score_of(run).update(last=True).iou_image_sets == 6


@pytest.mark.parametrize("change", [other_labels, other_segment])
def test_a_set_of_another_shape_is_counted(
    ran: LiveRun, cli: Any, change: Callable[[LiveRun], None]
) -> None:
    change(ran)
    answer = cli("score", ran.run_id, "--json")
    assert answer.code == 0, answer.stderr
    score = answer.json
    assert (score["image_sets"], score["image_sets_not_comparable"]) == (5, 1)
    (warning,) = score["warnings"]
    assert "1 image set was not compared" in warning
    assert "t=2" in warning
    assert "128 x 160 pixels and the image of 100 x 160" in warning
    assert "5 image sets; 1 not comparable" in cli("score", ran.run_id).stdout


def test_a_broken_label_image_is_counted(ran: LiveRun) -> None:
    path = ran.folder / "labels" / "3_nuclei.tif"
    path.write_bytes(path.read_bytes()[:50])
    comparison = score_of(ran)
    assert comparison.update(last=True).image_sets == 5
    assert "3_nuclei.tif cannot be read" in comparison.warnings[0]


def test_no_set_of_the_same_shape(ran: LiveRun, tmp_path: Path) -> None:
    simulate(tmp_path / "out", SMALL.replace("160", "150"), frames=12)
    with pytest.raises(ReadError, match="128 x 150 pixels and the image of 128 x 160"):
        score_of(ran, tmp_path / "out").update(last=True)


# A damaged truth.


def without_file(path: Path) -> None:
    path.unlink()


def without_column(path: Path) -> None:
    table = pd.read_csv(path, dtype={"position": str})
    table.rename(columns={"t": "time"}).to_csv(path, index=False)


def with_words(path: Path) -> None:
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines[:2], lines[2].replace(",0,", ",zero,"), *lines[3:]]))


def without_rows(path: Path) -> None:
    path.write_text(path.read_text().splitlines(keepends=True)[0])


@pytest.mark.parametrize("name", ["objects.csv", "frames.csv"])
@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (without_file, "is missing"),
        (without_column, "has no column t; it has"),
        (with_words, "is damaged"),
        (without_rows, "lacks the 12 objects of position 0, t=0, z=0|none of the 6 image sets"),
    ],
)
def test_a_damaged_truth_is_named(
    ran: LiveRun, name: str, damage: Callable[[Path], None], words: str
) -> None:
    damage(ran.folder / "truth" / name)
    with pytest.raises(ReadError, match=words) as raised:
        score_of(ran).update(last=True)
    assert name in str(raised.value) or "none of" in str(raised.value)
    assert re.search(r"simulate anew|Name the truth", str(raised.value))


# Nothing to be found.


def test_a_run_without_a_tracker(home: Path, cli: Any, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(
        "dipstream: 1\n"
        "objects: {nuclei: {steps: [{gaussian: {sigma_px: 1}}, {threshold: {}}, {split: {}}]}}\n"
    )
    with ds.start(SMALL, tmp_path / "p.yaml", frames=6, durability="normal") as run:
        run.wait()
    answer = cli("score", run.run_id, "--json")
    assert (answer.json["tracked"], answer.json["link_recall"]) == (False, None)
    assert "links      not tracked" in cli("score", run.run_id).stdout


def test_nothing_there_and_nothing_found(home: Path, cli: Any) -> None:
    run = run_of(SMALL.replace("n=12", "n=0"), 4)
    answer = cli("score", run.run_id, "--json")
    assert answer.code == 0, answer.stderr
    assert (answer.json["f1"], answer.json["link_recall"]) == (None, None)
    assert "nothing there, and nothing found" in cli("score", run.run_id).stdout


# Divisions.


def test_divisions_are_read_as_they_come(home: Path, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(
        "dipstream: 1\n"
        "objects: {nuclei: {steps: [{gaussian: {sigma_px: 1}}, {threshold: {}}, {split: {}}]}}\n"
        "measure: [{shape: {}}]\n"
        "track: {nuclei: {lap: {max_distance_px: 20, divisions: true}}}\n"
    )
    source = f"{SMALL}&cycle_t=12".replace("width=160&height=128", "width=256&height=256")
    with ds.start(source, tmp_path / "p.yaml", frames=40, durability="normal") as run:
        run.wait()
    comparison = score_of(run)
    found = comparison._found
    first = dict(found.parents("nuclei"))
    tracks = run.reader.tracks("nuclei")
    divided = tracks[tracks["parent_id"].notna()]
    assert first == dict(zip(divided["track_id"], divided["parent_id"], strict=True))
    assert first, "some divided"
    assert found.parents("nuclei") == first, "nothing new, nothing lost"
    divisions = comparison.update(last=True).divisions
    assert divisions.n_truth > 0
    assert divisions.n_truth_found > 0
