"""The truth in a folder: tables, label images and tracks, written once, resumed, read back."""

import csv
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from dipstream.errors import ReadError, StoreError
from dipstream.source import SourceTruth, TruthPixels
from dipstream.truth import (
    FramePlace,
    SetPlace,
    TrueSet,
    TruthBook,
    TruthReader,
    TruthRecord,
    find_truth,
    read_ctc_truth,
)
from dipstream.truth.growing import GrowingTable
from dipstream.truth.numbers import Numbers

CHANNELS = ("DAPI", "GFP")
TIMES = 6
PIXEL_UM = 0.5
SHAPE = (30, 40)
DIVIDES = 3  # track 5 becomes 7 and 8


def squares(t: int) -> dict[int, tuple[int, int, int]]:
    """Track → (row, column, parent) of squares of 4 × 4 px."""
    if t < DIVIDES:
        return {5: (5, 10 + t, 0), 6: (20, 30 - t, 0)}
    return {6: (20, 30 - t, 0), 7: (2, 10 + t, 5), 8: (9, 10 + t, 5)}


def truth(seq: int, *, jitter: bool = False, first_track: int = 0) -> SourceTruth:
    """Two frames a time; with jitter the second one shows everything a pixel further right."""
    t, channel = divmod(seq, 2)
    there = squares(t)
    labels = np.zeros(SHAPE, np.int32)
    shift = int(jitter) * channel
    for label, (y, x, _) in enumerate(there.values(), 1):
        labels[y : y + 4, x + shift : x + shift + 4] = label
    middle = np.array([(y + 1.5, x + shift + 1.5) for y, x, _ in there.values()]) * PIXEL_UM

    def pixels() -> TruthPixels:
        photons = (labels + 10 + channel).astype(np.float32)
        return TruthPixels(photons, photons // 2, (labels == 1) & (t == 1) & (channel == 1))

    return SourceTruth(
        labels=labels,
        track_ids=np.array(list(there), np.int64) + first_track,
        parent_ids=np.array([parent for _, _, parent in there.values()], np.int64),
        y_um=middle[:, 0],
        x_um=middle[:, 1],
        z_um=np.full(len(there), 0.25),
        drift_um=(0.5, -1.0, 0.125 * t),
        pixels=pixels,
    )


def places(position: str = "0", times: int = TIMES) -> list[FramePlace]:
    return [FramePlace(s, position, s // 2, 0, CHANNELS[s % 2]) for s in range(2 * times)]


def silent(text: str) -> None:
    raise AssertionError(text)


def book(path: Path, level: Any = "labels", **more: Any) -> TruthBook:
    record = TruthRecord("fake:", CHANNELS, level, PIXEL_UM, "0")
    return TruthBook(path, record, more.pop("truth", truth), warn=more.pop("warn", silent), **more)


def written(path: Path, frames: list[FramePlace], level: Any = "labels", **more: Any) -> Path:
    made = book(path, level, **more)
    for frame in frames:
        made.add(frame)
    made.close()
    return path


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_a_row_for_each_object_of_an_image_set(tmp_path: Path) -> None:
    found = rows(written(tmp_path, places()) / "objects.csv")
    assert len(found) == 2 * DIVIDES + 3 * (TIMES - DIVIDES)
    seventh = next(row for row in found if row["t"] == "4" and row["track_id"] == "7")
    assert ",".join(seventh) == (
        "position,t,z,seq,label,track_id,parent_id,y_um,x_um,z_um,area_px,"
        "photons_DAPI,electrons_DAPI,photons_GFP,electrons_GFP,saturated_px"
    )
    assert ",".join(seventh.values()) == "0,4,0,8,2,7,5,1.7500,7.7500,0.2500,16,,,,,"


def test_a_row_for_each_frame(tmp_path: Path) -> None:
    found = rows(written(tmp_path, places()) / "frames.csv")
    assert [int(row["seq"]) for row in found] == list(range(2 * TIMES))
    assert [row["channel"] for row in found[:2]] == list(CHANNELS)
    third = found[5]
    assert [third[f"drift_{axis}_um"] for axis in "zyx"] == ["0.5000", "-1.0000", "0.2500"]
    assert (third["t"], third["objects"], third["photons"]) == ("2", "2", "")


def test_tracks_in_the_layout_of_the_challenge(tmp_path: Path) -> None:
    folder = written(tmp_path, places())
    there = read_ctc_truth(folder / "01_GT")
    assert sorted(there.frames) == list(range(TIMES))
    for t, image in there.frames.items():
        assert image.dtype == np.uint16
        tracks = np.concatenate([[0], truth(2 * t).track_ids])
        np.testing.assert_array_equal(image, tracks[truth(2 * t).labels])
    lines = (folder / "01_GT" / "TRA" / "man_track.txt").read_text().splitlines()
    assert lines == ["5 0 2 0", "6 0 5 0", "7 3 5 5", "8 3 5 5"]
    with tifffile.TiffFile(folder / "01_GT" / "TRA" / "man_track0004.tif") as file:
        assert tifffile.COMPRESSION(file.pages.first.compression).name == "ADOBE_DEFLATE"


def test_each_position_and_plane_is_a_sequence(tmp_path: Path) -> None:
    frames = [
        FramePlace(2 * k, position, 0, z, CHANNELS[0])
        for k, (position, z) in enumerate([("A, 1", 0), ("A, 1", 1), ("B", 0)])
    ]
    folder = written(tmp_path, frames)
    assert [list(row.values()) for row in rows(folder / "sequences.csv")] == [
        *(["1", "A, 1", "0"], ["2", "A, 1", "1"], ["3", "B", "0"]),
    ]
    assert sorted(path.name for path in folder.glob("*_GT")) == ["01_GT", "02_GT", "03_GT"]


def test_a_mother_that_a_sequence_never_saw_is_none(tmp_path: Path) -> None:
    folder = written(tmp_path, places()[2 * DIVIDES :])
    lines = (folder / "01_GT" / "TRA" / "man_track.txt").read_text().splitlines()
    assert lines == ["6 3 5 0", "7 3 5 0", "8 3 5 0"]
    assert {row["parent_id"] for row in rows(folder / "objects.csv")} == {"0", "5"}


def test_tables_only(tmp_path: Path) -> None:
    folder = written(tmp_path, places(), "objects")
    names = {"objects.csv", "frames.csv", "truth.json"}
    assert {path.name for path in folder.iterdir()} == names


def test_photons_and_electrons_of_each_object_and_frame(tmp_path: Path) -> None:
    folder = written(tmp_path, places(), "full", truth=lambda seq: truth(seq, jitter=True))
    for row in rows(folder / "objects.csv"):
        label, t = int(row["label"]), int(row["t"])
        assert float(row["photons_DAPI"]) == 16 * (10 + label)
        assert float(row["photons_GFP"]) == 16 * (11 + label), "where that frame shows the object"
        assert float(row["electrons_GFP"]) == 16 * ((11 + label) // 2)
        assert int(row["saturated_px"]) == (16 if (t, label) == (1, 1) else 0)
    for row in rows(folder / "frames.csv"):
        there = truth(int(row["seq"]), jitter=True).pixels()  # type: ignore[misc]
        assert float(row["photons"]) == pytest.approx(there.photons.sum(), rel=1e-6)
        assert float(row["electrons"]) == pytest.approx(there.electrons.sum(), rel=1e-6)
        assert int(row["saturated_px"]) == there.saturated.sum()
    kept = np.load(folder / "pixels" / "00000003.npz")
    assert (kept["photons"].dtype, kept["saturated"].dtype) == (np.float32, np.bool_)
    np.testing.assert_array_equal(kept["electrons"], truth(3, jitter=True).pixels().electrons)  # type: ignore[misc]
    (mask,) = (folder / "saturated").iterdir()
    assert mask.name == "00000003.tif", "only where there is something"
    np.testing.assert_array_equal(tifffile.imread(mask) > 0, truth(3, jitter=True).labels == 1)


@pytest.mark.parametrize("level", ["objects", "labels", "full"])
def test_a_run_that_goes_on_writes_what_one_in_a_piece_writes(tmp_path: Path, level: str) -> None:
    whole = contents(written(tmp_path / "whole", places(), level))
    for cut in (1, 2, 7):
        folder = tmp_path / f"cut {cut}"
        first = book(folder, level)
        for frame in places()[:cut]:
            first.add(frame)
        # Killed: nothing is closed, and half a line is left.
        for name in ("objects.csv", "frames.csv"):
            with (folder / name).open("a") as file:
                file.write("0,5,0,9")
        again = book(folder, level)
        for frame in places():
            again.add(frame)
        again.close()
        assert contents(folder) == whole
        first.close()


def test_objects_without_their_frames_are_written_anew(tmp_path: Path) -> None:
    whole = contents(written(tmp_path / "whole", places()))
    folder = written(tmp_path / "cut", places(times=4))
    lines = (folder / "frames.csv").read_text().splitlines(keepends=True)
    (folder / "frames.csv").write_text("".join(lines[:-2]))
    assert contents(written(folder, places())) == whole


def test_a_set_that_lacked_a_channel_is_not_written_twice(tmp_path: Path) -> None:
    folder = written(tmp_path, places()[:9])
    assert len(rows(folder / "frames.csv")) == 9
    found = rows(written(folder, places()) / "objects.csv")
    keys = [(row["t"], row["label"]) for row in found]
    assert len(keys) == len(set(keys)) == 2 * DIVIDES + 3 * (TIMES - DIVIDES)
    assert len(rows(folder / "frames.csv")) == 2 * TIMES


def test_an_object_that_one_frame_does_not_show(tmp_path: Path) -> None:
    def first_one_is_gone(seq: int) -> SourceTruth:
        there = truth(seq)
        if seq % 2 == 0:
            return there
        left = {
            name: getattr(there, name)[1:]
            for name in ("track_ids", "parent_ids", "y_um", "x_um", "z_um")
        }
        return replace(there, labels=np.maximum(there.labels - 1, 0), **left)

    folder = written(tmp_path, places(times=1), "full", truth=first_one_is_gone)
    found = {row["track_id"]: row for row in rows(folder / "objects.csv")}
    assert (found["5"]["photons_DAPI"], found["5"]["photons_GFP"]) == (str(16 * 11), "")
    assert (found["6"]["photons_DAPI"], found["6"]["photons_GFP"]) == (str(16 * 12), str(16 * 13))


def test_the_same_again_adds_nothing(tmp_path: Path) -> None:
    once = contents(written(tmp_path, places()))
    assert contents(written(tmp_path, places())) == once
    twice = written(tmp_path / "twice", [*places(), *places()])
    assert contents(twice) == once


def test_a_folder_of_another_source_is_refused(tmp_path: Path) -> None:
    written(tmp_path, places())
    record = TruthRecord("fake:", ("DAPI",), "labels", PIXEL_UM, "0")
    with pytest.raises(StoreError, match=r"objects\.csv has the columns .*; expected are"):
        TruthBook(tmp_path, record, truth, warn=silent)


def test_a_set_is_told_once_with_its_labels(tmp_path: Path) -> None:
    made = book(tmp_path)
    told = [made.add(frame) for frame in places()]
    made.close()
    assert [one is not None for one in told] == [True, False] * TIMES
    first = told[6]
    assert isinstance(first, TrueSet)
    assert first.place == SetPlace("0", 3, 0)
    assert first.labels is not None
    np.testing.assert_array_equal(first.y_px, [21.5, 3.5, 10.5])
    np.testing.assert_array_equal(first.area_px, [16, 16, 16])


def test_rows_are_there_as_soon_as_a_set_is_whole(tmp_path: Path) -> None:
    now = [0.0]
    made = book(tmp_path, clock=lambda: now[0])
    for frame in places()[:3]:
        now[0] += 1.5
        made.add(frame)
    assert {row["t"] for row in rows(tmp_path / "objects.csv")} == {"0"}
    assert len(rows(tmp_path / "frames.csv")) == 2
    assert (tmp_path / "01_GT" / "TRA" / "man_track.txt").read_text() == "5 0 0 0\n6 0 0 0\n"
    made.close()
    assert {row["t"] for row in rows(tmp_path / "objects.csv")} == {"0", "1"}


def test_more_tracks_than_sixteen_bits(tmp_path: Path) -> None:
    said: list[str] = []
    many = 2**16 - 6
    folder = written(
        tmp_path, places(), truth=lambda seq: truth(seq, first_track=many), warn=said.append
    )
    there = read_ctc_truth(folder / "01_GT")
    assert there.frames[0].dtype == np.uint32
    assert set(np.unique(there.frames[5])) == {0, many + 6, many + 7, many + 8}
    assert len(said) == 1
    assert "uint32" in said[0]


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    reader = TruthReader(written(tmp_path, places(), "full"))
    reader.update()
    true = reader.take(SetPlace("0", 4, 0))
    assert true is not None
    assert true.track_ids.tolist() == [6, 7, 8]
    assert true.parent_ids.tolist() == [0, 5, 5]
    np.testing.assert_allclose(true.x_px, [27.5, 15.5, 15.5], atol=1e-3)
    np.testing.assert_array_equal(true.labels, truth(8).labels)
    assert true.electrons["GFP"].tolist() == [16 * 6, 16 * 6, 16 * 7]
    saturated = reader.take(SetPlace("0", 1, 0))
    assert saturated is not None
    assert np.isnan(saturated.electrons["DAPI"]).tolist() == [True, False]
    assert reader.take(SetPlace("0", 4, 0)) is None, "once"
    assert reader.take(SetPlace("0", TIMES, 0)) is None
    assert reader.positions() == ["0"]


def test_what_grows_is_read_as_it_comes(tmp_path: Path) -> None:
    made = book(tmp_path, "objects")
    reader = TruthReader(tmp_path)
    for number, frame in enumerate(places()):
        made.add(frame)
        with (tmp_path / "frames.csv").open("a") as file:
            file.write("9")  # the beginning of a line
        reader.update()
        os.truncate(tmp_path / "frames.csv", (tmp_path / "frames.csv").stat().st_size - 1)
        true = reader.take(frame.set_place)
        assert (true is not None) == (number % 2 == 1), "when both channels are there"
        if true is not None:
            assert true.count == len(squares(frame.t))
            assert true.labels is None
    made.close()


@pytest.mark.parametrize("position", ["007", "NA", "1.0", "A, b", "µ"])
def test_names_stay_names(tmp_path: Path, position: str) -> None:
    reader = TruthReader(written(tmp_path, places(position, 1)))
    reader.update()
    assert reader.positions() == [position]
    true = reader.take(SetPlace(position, 0, 0))
    assert true is not None
    assert true.labels is not None


def test_an_image_set_without_objects(tmp_path: Path) -> None:
    def nothing(seq: int) -> SourceTruth:
        none = np.empty(0)
        tracks = np.empty(0, np.int64)
        return SourceTruth(np.zeros(SHAPE, np.int32), tracks, tracks, none, none, none)

    reader = TruthReader(written(tmp_path, places(times=1), truth=nothing))
    reader.update()
    true = reader.take(SetPlace("0", 0, 0))
    assert true is not None
    assert true.count == 0
    assert true.labels is not None
    assert not true.labels.any()


def test_truth_is_found_where_it_lies(tmp_path: Path) -> None:
    written(tmp_path / "run" / "truth", places(times=1))
    assert find_truth(tmp_path / "run") == find_truth(tmp_path / "run" / "truth")
    with pytest.raises(ReadError, match=r"no truth in .*truth\.json"):
        find_truth(tmp_path)
    (tmp_path / "run" / "truth" / "truth.json").write_text("{}")
    with pytest.raises(ReadError, match="holds no truth"):
        TruthReader(tmp_path / "run" / "truth")


@given(st.lists(st.integers(0, 40)))
def test_numbers_are_a_set(numbers: list[int]) -> None:
    kept = Numbers()
    for number in numbers:
        kept.add(number)
    assert {number for number in range(-1, 42) if number in kept} == set(numbers)


def test_numbers_in_a_row_take_no_room() -> None:
    kept = Numbers()
    for number in [*range(0, 1000, 2), *range(1, 1000, 2)]:
        kept.add(number)
    assert len(kept._first) == len(kept._last) == 1


@pytest.mark.parametrize("name", ["frames.csv", "sequences.csv", "truth.json"])
def test_a_folder_that_cannot_be_continued_leaves_no_file_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    record = TruthRecord("x:", CHANNELS, "labels", PIXEL_UM, "0")
    TruthBook(tmp_path, record, truth, warn=silent).close()
    if name == "truth.json":
        monkeypatch.setattr("dipstream.truth.folder.TruthFolder.write", no_room)
    else:
        with (tmp_path / name).open("a") as file:
            file.write(f"one,two,three{',' * (9 if name == 'frames.csv' else 0)}\n")
    opened: list[GrowingTable] = []
    real = GrowingTable.__init__

    def noted(table: GrowingTable, *arguments: Any) -> None:
        real(table, *arguments)
        opened.append(table)

    monkeypatch.setattr(GrowingTable, "__init__", noted)
    with pytest.raises((ValueError, OSError)):
        TruthBook(tmp_path, record, truth, warn=silent)
    assert len(opened) == 3
    assert all(table._file.closed for table in opened)


def no_room(*_: Any) -> None:
    raise OSError(28, "No space left on device")
