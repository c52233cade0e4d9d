"""Camera files come back as they were written, and say what is wrong with them."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from dipstream.calibrate import CameraFile, CameraMode, read_camera, write_camera
from dipstream.calibrate.camera_file import parse_camera
from dipstream.errors import ConfigError

MODE = CameraMode(
    channel="DAPI",
    offset_dn=100.01,
    gain_e_per_dn=0.47,
    offset_se_dn=0.005,
    gain_se_e_per_dn=0.0003,
    bit_depth=16,
    dtype="uint16",
    shape=(2048, 1024),
    binning=1,
    em_gain=300.0,
    exposure_ms=10.0,
    read_noise_e=1.6,
    read_noise_se_e=0.01,
    read_noise_reliable=True,
    saturation_e=29_000.0,
    full_well_e=30_000.0,
    linearity_error_percent=0.03,
    pairs=50,
    levels=50,
)
CAMERA = CameraFile(
    name='the "left" one \\ µ\n\x7f',
    modes=(MODE, CameraMode("GFP", 99, 1e-7)),
    calibrated=datetime(2026, 3, 1, 12, 30, 5, tzinfo=UTC),
    source="/flats/a b",
    dipstream_version="0.1.0",
)
MINIMAL = """\
dipstream_camera = 1
name = "x"
[[modes]]
channel = "ch0"
offset_dn = 100
gain_e_per_dn = 0.47
"""


def test_there_and_back(tmp_path: Path) -> None:
    path = tmp_path / "camera.toml"
    write_camera(path, CAMERA)
    assert read_camera(path) == CAMERA
    write_camera(path, CameraFile("other", (MODE,)))
    assert read_camera(path).name == "other"


def test_the_least_that_a_file_says() -> None:
    found = parse_camera(MINIMAL, "camera.toml")
    assert found.mode("anything").gain_e_per_dn == 0.47
    assert found.modes[0].bit_depth is None


def test_several_modes_go_by_channel() -> None:
    assert CAMERA.mode("GFP").offset_dn == 99
    with pytest.raises(ConfigError, match=r"DAPI, GFP, none for 'RFP'"):
        CAMERA.mode("RFP")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("dipstream_camera = 1", "", "dipstream_camera = None"),
        ("dipstream_camera = 1", "dipstream_camera = 2", "of version 1: received"),
        ("offset_dn", "ofset_dn", r"'ofset_dn' is not known \(did you mean offset_dn"),
        ("name =", "nmae =", "'nmae' is not known"),
        ('name = "x"', "", "name is missing"),
        ("offset_dn = 100", "", "offset_dn is missing"),
        ("offset_dn = 100", 'offset_dn = "100"', "allowed are finite numbers"),
        ("offset_dn = 100", "offset_dn = nan", "allowed are finite numbers"),
        ("offset_dn = 100", "offset_dn = true", "allowed are finite numbers"),
        ("0.47", "0.0", "e⁻/DN above 0"),
        ("0.47", "0.47\nem_gain = 0.5", "allowed are 1 and up"),
        ("0.47", "0.47\nbit_depth = 12.5", "whole numbers"),
        ("0.47", "0.47\nshape = [5]", "rows, columns"),
        ("0.47", "0.47\nread_noise_reliable = 1", "true and false"),
        ('"ch0"', "7", "a text in quotes"),
        ('name = "x"', 'name = "x"\ncalibrated = "today"', "a date and a time"),
        ("[[modes]]", "[modes]", r"no \[\[modes\]\]"),
        ("0.47", '0.47\n[[modes]]\nchannel="ch0"\noffset_dn=1\ngain_e_per_dn=1', "two modes"),
        ("name =", "name", "no valid TOML"),
    ],
)
def test_what_is_wrong_is_said(old: str, new: str, words: str) -> None:
    assert old in MINIMAL
    with pytest.raises(ConfigError, match=words):
        parse_camera(MINIMAL.replace(old, new, 1), "camera.toml")


def test_files_that_are_no_camera_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_camera(tmp_path / "none.toml")
    picture = tmp_path / "picture.tif"
    picture.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="is not text"):
        read_camera(picture)
    notes = tmp_path / "pyproject.toml"
    notes.write_text("[project]\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="exists and is no camera file"):
        write_camera(notes, CAMERA)
    assert notes.read_text(encoding="utf-8") == "[project]\n"
    with pytest.raises(ConfigError, match="there is no folder"):
        write_camera(tmp_path / "none" / "camera.toml", CAMERA)
