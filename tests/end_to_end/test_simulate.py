"""Simulated images with the truth beside them: written, analysed, compared."""

import json
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tifffile

import dipstream as ds
from dipstream.errors import ConfigError, DipstreamError, SourceError
from dipstream.frame import BadFrame, Frame, FrameInfo, Segment
from dipstream.simulate import simulate
from dipstream.source import BaseSource, SourceInfo, SourceTruth
from dipstream.truth import read_ctc_truth

SMALL = "sim:?n=12&width=160&height=128&fps=0&seed=3"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two positions, two channels, four times, everything known."""
    out = tmp_path_factory.mktemp("simulated") / "out"
    simulate(out, f"{SMALL}&tiles=1x2", frames=16, truth="full")
    return out


def test_the_images_are_those_of_the_source(folder: Path) -> None:
    with ds.open_source(f"{SMALL}&tiles=1x2") as source:
        frames = [frame for frame, _ in zip(source.frames(), range(16), strict=False)]
        info = source.info
    for position in ("0", "1"):
        path = folder / "frames" / position / "frames.ome.tiff"
        with tifffile.TiffFile(path) as file:
            assert file.is_bigtiff
            (series,) = file.series
            assert (series.axes, series.shape) == ("TCYX", (4, 2, 128, 160))
            images = series.asarray()
        for frame in frames:
            if frame.info.position == position:
                c = info.channels.index(frame.info.channel)
                np.testing.assert_array_equal(images[frame.info.t, c], frame.data)


def test_a_run_reads_them_with_all_that_is_known(folder: Path, home: Path) -> None:
    with ds.open_source(f"{SMALL}&tiles=1x2") as source:
        frames = [frame for frame, _ in zip(source.frames(), range(16), strict=False)]
    with ds.start(folder, workers=1, durability="normal") as run:
        accounting = run.wait()
    assert (accounting.received, accounting.analysed, accounting.balanced) == (16, 16, True)
    assert not run.records_truth
    table = run.frames()
    assert len(table) == 16
    rows = {(row["position"], row["t"], row["channel"]): row for _, row in table.iterrows()}
    for frame in frames:
        info = frame.info
        row = rows[info.position, info.t, info.channel]
        assert row["exposure_ms"] == info.exposure_ms
        assert info.stage_um is not None
        assert (row["stage_x_um"], row["stage_y_um"]) == pytest.approx(info.stage_um[:2], rel=1e-6)
        assert row["time_source"] == "file"
    segment = run.reader.table("segments").iloc[0]
    assert segment["pixel_um"] == pytest.approx(0.325)
    assert segment["bit_depth"] == 12
    times = run.frames().sort_values(["t", "position", "channel"])["exposed_ns"]
    assert times.is_monotonic_increasing
    assert times.nunique() == 16


def test_what_was_simulated_is_written_down(folder: Path) -> None:
    about = json.loads((folder / "simulate.json").read_text())
    assert (about["state"], about["frames"], about["image_sets"]) == ("finished", 16, 8)
    assert about["positions"] == {"0": "0", "1": "1"}
    assert "tiles=1x2" in about["source"]
    assert about["versions"]["dipstream"] == ds.__version__


def test_the_truth_lies_beside_them(folder: Path) -> None:
    objects = pd.read_csv(folder / "truth" / "objects.csv", dtype={"position": str})
    frames = pd.read_csv(folder / "truth" / "frames.csv", dtype={"position": str})
    assert len(frames) == 16
    assert frames["electrons"].gt(0).all()
    assert objects[["electrons_DAPI", "photons_GFP"]].gt(0).all(axis=None)
    sequences = pd.read_csv(folder / "truth" / "sequences.csv", dtype={"position": str})
    assert sequences["position"].tolist() == ["0", "1"]
    for sequence, position in zip(sequences["sequence"], sequences["position"], strict=True):
        there = read_ctc_truth(folder / "truth" / f"{sequence:02d}_GT")
        assert sorted(there.frames) == [0, 1, 2, 3]
        of_position = objects[objects["position"] == position]
        for t, image in there.frames.items():
            rows = of_position[of_position["t"] == t]
            tracks, areas = np.unique(image[image > 0], return_counts=True)
            assert dict(zip(tracks.tolist(), areas.tolist(), strict=True)) == dict(
                zip(rows["track_id"], rows["area_px"], strict=True)
            )


def test_electrons_are_photons_times_efficiency_and_fit_the_pixels(folder: Path) -> None:
    frames = pd.read_csv(folder / "truth" / "frames.csv", dtype={"position": str})
    for _, row in frames.iterrows():
        image = tifffile.imread(folder / "frames" / row["position"] / "frames.ome.tiff")
        c = ["DAPI", "GFP"].index(row["channel"])
        kept = np.load(folder / "truth" / "pixels" / f"{row['seq']:08d}.npz")
        assert kept["electrons"].sum() == pytest.approx(row["electrons"], rel=1e-6)
        counts = image[row["t"], c][~kept["saturated"]].astype(float)
        electrons = kept["electrons"][~kept["saturated"]]
        assert np.corrcoef(counts, electrons)[0, 1] > 0.99


def test_the_command_and_the_way_to_the_score(cli: Any, tmp_path: Path) -> None:
    out = tmp_path / "out"
    made = cli("simulate", out, "--source", SMALL, "--frames", 8, "--truth", "full", "--json")
    assert made.code == 0, made.stderr
    assert len(made.stdout.splitlines()) == 1
    assert (made.json["frames"], made.json["folder"]) == (8, str(out))
    ran = cli("run", out, "--save-labels", "--json")
    assert (ran.code, ran.json["received"], ran.json["balanced"]) == (0, 8, True)
    for arguments in (["score"], ["score", "latest", "--truth", out]):
        answer = cli(*arguments, "--json")
        assert answer.code == 0, answer.stderr
        assert answer.json["image_sets"] == 4
        assert answer.json["f1_iou50"] > 0.9
        assert answer.json["intensity"]["DAPI"]["correlation"] > 0.98


CANNOT = {
    "a folder with something in it": ({}, "is not empty: it holds keep.txt"),
    "no such format": ({"image_format": "png"}, "allowed are tiff, zarr"),
    "no such truth": ({"truth": "most"}, "allowed are labels, full"),
    "a source without truth": ({"source": "{images}"}, "does not know what is really there"),
    "no such parameter": ({"source": "sim:?specimn=cells"}, "did you mean specimen"),
}


@pytest.mark.parametrize("case", CANNOT)
def test_what_cannot_be_simulated_is_refused(tmp_path: Path, case: str) -> None:
    options, words = CANNOT[case]
    out, images = tmp_path / "out", tmp_path / "images"
    images.mkdir()
    tifffile.imwrite(images / "a.tif", np.zeros((20, 20), "uint16"))
    if case == "a folder with something in it":
        out.mkdir()
        (out / "keep.txt").write_text("mine")
    given = {"source": SMALL} | {k: text.format(images=images) for k, text in options.items()}
    with pytest.raises(DipstreamError, match=words):
        simulate(out, **given)  # type: ignore[arg-type]
    left = [path.name for path in out.iterdir()] if out.exists() else []
    assert left == (["keep.txt"] if out.exists() else [])


def test_a_refusal_on_the_command_line(cli: Any, tmp_path: Path) -> None:
    (tmp_path / "keep.txt").write_text("mine")
    answer = cli("simulate", tmp_path, "--json")
    assert answer.code == 2
    assert "is not empty" in answer.json["error"]


def test_without_zarr_the_error_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(ConfigError, match=r'pip install "dipstream\[zarr\]"'):
        simulate(tmp_path / "out", SMALL, image_format="zarr")
    assert not (tmp_path / "out").exists()


def test_zarr_holds_the_same_images(tmp_path: Path, cli: Any) -> None:
    zarr = pytest.importorskip("zarr")
    out = tmp_path / "out"
    simulate(out, f"{SMALL}&z=3&z_step_um=2", frames=12, image_format="zarr")
    group = zarr.open_group(str(out / "frames" / "0" / "frames.ome.zarr"), mode="r")
    assert group["0"].shape == (2, 2, 3, 128, 160)
    with ds.open_source(f"{SMALL}&z=3&z_step_um=2") as source:
        for frame, _ in zip(source.frames(), range(12), strict=False):
            c = source.info.channels.index(frame.info.channel)
            np.testing.assert_array_equal(group["0"][frame.info.t, c, frame.info.z], frame.data)
    (multiscale,) = group.attrs["ome"]["multiscales"]
    assert [axis["name"] for axis in multiscale["axes"]] == list("tczyx")
    (scale,) = multiscale["datasets"][0]["coordinateTransformations"]
    assert scale["scale"][2:] == pytest.approx([2, 0.325, 0.325])
    refused = cli("run", out)
    assert refused.code == 2
    assert "--format tiff" in refused.stderr


def test_a_stack_knows_its_step(tmp_path: Path) -> None:
    simulate(tmp_path / "out", f"{SMALL}&z=3&z_step_um=2", frames=6)
    path = tmp_path / "out" / "frames" / "0" / "frames.ome.tiff"
    with tifffile.TiffFile(path) as file:
        assert file.series[0].axes == "CZYX"
        assert 'PhysicalSizeZ="2" PhysicalSizeZUnit="µm"' in str(file.ome_metadata)


def test_ctrl_c_leaves_whole_files(cli: Any, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = cli.start("simulate", out, "--source", SMALL.replace("fps=0", "fps=10"), "--json")
    end = time.monotonic() + 60
    while not (out / "truth" / "frames.csv").exists() and time.monotonic() < end:
        time.sleep(0.05)
    time.sleep(0.7)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    about = json.loads(stdout)
    frames = about["frames"]
    assert about["state"] == "interrupted"
    assert json.loads((out / "simulate.json").read_text())["state"] == "interrupted"
    assert 2 <= frames < 100
    with tifffile.TiffFile(out / "frames" / "0" / "frames.ome.tiff") as file:
        assert len(file.pages) == frames
        assert file.is_ome
    assert len(pd.read_csv(out / "truth" / "frames.csv")) == frames


class Faulty(BaseSource):
    """A frame of another size and an unreadable one between good ones; a dropped number."""

    def __init__(self) -> None:
        super().__init__(SourceInfo("faulty:", ("A",), (8, 9), "uint8", 0.5, frames=6))

    def frames(self) -> Iterator[Frame | BadFrame]:
        for t in range(6):
            shape = (8, 4) if t == 2 else (8, 9)
            info = FrameInfo(Segment(shape, "uint8", pixel_um=0.5), "A", seq=t + (t > 4), t=t)
            if t == 3:
                yield BadFrame(info, "torn")
            else:
                yield Frame(np.full(shape, t, "uint8"), info)

    def truth(self, seq: int) -> SourceTruth:
        none, tracks = np.empty(0), np.empty(0, np.int64)
        return SourceTruth(np.zeros((8, 9), np.int32), tracks, tracks, none, none, none)


def test_faults_of_the_source_are_left_out_and_counted(tmp_path: Path) -> None:
    said: list[str] = []
    about = simulate(tmp_path / "out", Faulty(), frames=4, warn=said.append)
    assert (about["frames"], about["skipped"]) == (4, 2)
    assert ["(8, 4)" in said[0], "torn" in said[1]] == [True, True]
    frames = pd.read_csv(tmp_path / "out" / "truth" / "frames.csv")
    assert frames["seq"].tolist() == [0, 1, 4, 6]
    with ds.open_source(tmp_path / "out" / "frames") as source:
        found = {frame.info.t: int(frame.data[0, 0]) for frame in source.frames()}
    assert {0: 0, 1: 1, 4: 4, 5: 5}.items() <= found.items()


def test_a_source_that_fails_leaves_what_there_is(tmp_path: Path) -> None:
    class Broken(Faulty):
        def frames(self) -> Iterator[Frame | BadFrame]:
            yield from list(super().frames())[:2]
            raise SourceError("unplugged")

    with pytest.raises(SourceError, match="unplugged"):
        simulate(tmp_path / "out", Broken())
    about = json.loads((tmp_path / "out" / "simulate.json").read_text())
    assert (about["state"], about["frames"]) == ("failed", 2)
    assert "unplugged" in about["reason"]
    assert tifffile.imread(tmp_path / "out" / "frames" / "0" / "frames.ome.tiff").shape == (2, 8, 9)
