"""What bad input gets: a clear message, no traceback (the fixture checks), no lost good frame."""

import contextlib
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

import dipstream as ds
from dipstream.errors import StoreError

STEPS = """
dipstream: 1
objects:
  nuclei:
    channel: {channel}
    steps:
      - gaussian: {{{gaussian}}}
      - {threshold}: {{}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Seven good frames."""
    folder = tmp_path / "frames"
    folder.mkdir()
    y, x = np.mgrid[:96, :96]
    for i in range(7):
        spot = 900 * np.exp(-((y - 40 - i) ** 2 + (x - 50) ** 2) / 80)
        noise = np.random.default_rng(i).normal(100, 5, spot.shape)
        tifffile.imwrite(folder / f"f{i}.tif", (spot + noise).astype(np.uint16))
    return folder


def _text(path: Path) -> None:
    path.write_text("these are notes, not pixels\n" * 50, encoding="utf-8")


def _truncated(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 3 // 4])


def _other_shape(path: Path) -> None:
    tifffile.imwrite(path, np.full((50, 70), 100, np.uint16))


def _nan(path: Path) -> None:
    pixels = tifffile.imread(path).astype(np.float32)
    pixels[3, 4] = np.nan
    tifffile.imwrite(path, pixels)


@pytest.mark.parametrize(
    ("spoil", "which", "reason"),
    [
        (_text, 0, "no TIFF"),
        (_text, 3, "no TIFF"),
        (_truncated, 0, "truncated"),
        (_truncated, 3, "truncated"),
        (_nan, 0, "1 NaN"),
        (_nan, 3, "1 NaN"),
        (_other_shape, 3, r"\(50, 70\) instead of \(96, 96\)"),
    ],
)
def test_one_bad_file_is_quarantined_and_no_other_is_lost(
    cli, folder: Path, spoil: Callable[[Path], None], which: int, reason: str
) -> None:
    spoil(folder / f"f{which}.tif")
    answer = cli("run", folder, "--json")
    assert answer.code == 0, answer.stderr
    assert (answer.json["analysed"], answer.json["quarantined"]) == (6, 1)
    assert answer.json["balanced"]
    run = ds.open_run(answer.json["folder"])
    bad = run.frames(where="state = 'quarantined'")
    assert bad["path"].str.endswith(f"f{which}.tif").all()
    assert bad["reason"].str.contains(reason).all()
    assert bad["t"].tolist() == [which], "later frames keep their time"
    assert sorted(run.objects()["t"].unique()) == [t for t in range(7) if t != which]


def test_another_shape_may_be_a_segment_of_its_own(cli, folder: Path) -> None:
    _other_shape(folder / "f3.tif")
    answer = cli("run", folder, "--json", "--on-change", "segment")
    assert (answer.json["analysed"], answer.json["quarantined"]) == (7, 0)
    segments = ds.open_run(answer.json["folder"]).table("segments")
    assert segments["height_px"].tolist() == [96, 50]


@pytest.mark.parametrize(("value", "flag"), [(0, "black"), (65535, "saturated")])
def test_black_and_saturated_frames_are_analysed_and_flagged(
    cli, folder: Path, value: int, flag: str
) -> None:
    tifffile.imwrite(folder / "f3.tif", np.full((96, 96), value, np.uint16))
    answer = cli("run", folder, "--json")
    assert answer.code == 0
    assert answer.json["analysed"] == 7
    assert answer.json["flags"] == {flag: 1}
    assert flag in answer.stderr
    run = ds.open_run(answer.json["folder"])
    assert run.frames(where="t = 3")["flags"].tolist() == [flag]
    assert run.objects(where="t = 3").empty


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"gaussian": "sgma_px: 2"}, ["sgma_px", "sigma_px"]),
        ({"gaussian": "sigma_px: wide"}, ["sigma_px", "wide", "number"]),
        ({"threshold": "treshold"}, ["treshold", "threshold"]),
        ({"channel": "DAPI"}, ["DAPI", "ch0", "--channels"]),
        ({"channel": "!!python/object/apply:os.system ['true']"}, ["tag", "line 5"]),
    ],
)
def test_a_pipeline_that_cannot_be_used_is_refused_before_anything_starts(
    cli, folder: Path, home: Path, change: dict[str, str], words: list[str]
) -> None:
    parts = {"channel": "null", "gaussian": "sigma_px: 2", "threshold": "threshold"} | change
    (folder / "mine.yaml").write_text(STEPS.format(**parts), encoding="utf-8")
    answer = cli("run", folder, "-p", folder / "mine.yaml")
    assert answer.code == 2
    for word in words:
        assert word in answer.stderr
    assert not list((home / "runs").glob("*")), "nothing is left behind"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "nowhere"], ["nowhere", "does not exist"]),
        (["run", "empty"], ["empty", "no"]),
        (["run", "frames", "--pattern", "g{t}.tif"], ["g{t}.tif", "f0.tif"]),
        (["run", "frames", "--pattern", "f{time}.tif"], ["{time}", "{t}"]),
        (["run", "frames", "--policy", "blok"], ["blok", "drop-oldest"]),
        (["run", "frames", "--pixel-um", "-1"], ["pixel_um", "-1", "above 0"]),
        (["watch", "frames", "--bit-depth", "0"], ["bit_depth", "0", "1 to 64"]),
        (["run", "frames", "-p", "nucle"], ["nucle", "nuclei"]),
        (["run", "xyz:thing"], ["xyz", "sim"]),
        (["run", "sim:?bits=17"], ["17", "16"]),
        (["run", "sim:?bist=12"], ["bist", "bits"]),
        (["table", "nothing"], ["nothing", "dipstream runs"]),
        (["steps", "otzu"], ["otzu"]),
        (["watch", "nowhere"], ["nowhere"]),
    ],
)
def test_what_cannot_start_says_why(
    cli, folder: Path, arguments: list[str], words: list[str]
) -> None:
    (folder.parent / "empty").mkdir()
    answer = cli(*arguments, cwd=folder.parent)
    assert answer.code == 2
    for word in words:
        assert word in answer.stderr


def test_um_without_a_pixel_size_is_refused_before_anything_starts(
    cli, folder: Path, home: Path
) -> None:
    text = STEPS.format(channel="null", gaussian="sigma_px: 2", threshold="threshold")
    text += "track:\n  nuclei: {lap: {max_distance_um: 5}}\n"
    (folder / "um.yaml").write_text(text, encoding="utf-8")
    answer = cli("run", folder, "-p", folder / "um.yaml")
    assert answer.code == 2
    assert "pixel" in answer.stderr
    assert not list((home / "runs").glob("*"))
    assert cli("run", folder, "-p", folder / "um.yaml", "--pixel-um", 0.5).code == 0


def test_a_jpeg_is_read_with_a_warning(cli, data: Path, tmp_path: Path) -> None:
    shutil.copy(data / "formats" / "jpeg" / "30-2A1f.jpg", tmp_path / "a.jpg")
    answer = cli("run", tmp_path, "--json")
    assert answer.code == 0, answer.stderr
    assert answer.json["analysed"] == answer.json["received"] > 0
    assert "lossy" in answer.stderr


def test_a_folder_that_vanishes_is_degraded_and_comes_back(cli, folder: Path) -> None:
    process = cli.start("watch", folder, "--json", "--frames", 8, "--poll-s", 0.1)
    try:
        _wait_for(lambda: _analysed() == 7)
        away = folder.with_name("away")
        folder.rename(away)
        _wait_for(lambda: "degraded" in _kinds())
        away.rename(folder)
        _wait_for(lambda: "recovered" in _kinds())
        shutil.copy(folder / "f0.tif", folder / "f9.tif")
        stdout, stderr = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0, stderr
    assert '"analysed": 8' in stdout


def _wait_for(condition) -> None:
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        with contextlib.suppress(StoreError):
            if condition():
                return
        time.sleep(0.1)
    raise AssertionError("it did not happen")


def _analysed() -> int:
    return ds.open_run("latest").accounting().get("analysed", 0)


def _kinds() -> set[str]:
    return set(ds.open_run("latest").events()["kind"])
