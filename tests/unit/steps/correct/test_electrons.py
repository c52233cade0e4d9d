from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dipstream.calibrate import CameraFile, CameraMode, write_camera
from dipstream.config import parse_pipeline
from dipstream.errors import ConfigError, StepError
from dipstream.frame import Segment
from dipstream.pipeline import Plan, make_plan, open_plan
from dipstream.registry import file_parameters, make_model
from dipstream.steps import Image
from dipstream.steps.correct.electrons import electrons

RAW = np.array([[100, 102], [90, 65535]], np.uint16)
PIPELINE = """
dipstream: 1
correct:
{correct}
objects:
  nuclei:
    steps:
      - threshold: {{method: otsu}}
measure:
  - shape: {{}}
  - intensity: {{}}
"""


def camera_file(path: Path, *modes: CameraMode) -> Path:
    write_camera(path, CameraFile("test", modes or (CameraMode("ch0", 100, 0.47, bit_depth=16),)))
    return path


def plan(tmp_path: Path, correct: str) -> Plan:
    return make_plan(parse_pipeline(PIPELINE.format(correct=correct)), tmp_path, "test")


def test_the_formula(tmp_path: Path) -> None:
    expected = (RAW.astype(float) - 100) * 0.47
    by_file = electrons(Image(RAW), camera=camera_file(tmp_path / "camera.toml"))
    by_numbers = electrons(Image(RAW), offset_dn=100, gain_e_per_dn=0.47)
    by_source = electrons(Image(RAW, offset_dn=100, gain_e_per_dn=0.47))
    for found in (by_file, by_numbers, by_source):
        assert found.pixels.dtype == np.float32
        np.testing.assert_allclose(found.pixels, expected, rtol=1e-6)
    assert by_file.pixels[1, 0] < 0
    stack = electrons(Image(np.stack([RAW, RAW])), offset_dn=100, gain_e_per_dn=0.47)
    np.testing.assert_array_equal(stack.pixels[1], by_numbers.pixels)


def test_em_gain_of_parameter_source_and_file(tmp_path: Path) -> None:
    path = camera_file(tmp_path / "camera.toml", CameraMode("ch0", 100, 5.0, em_gain=300))
    image = Image(np.full((2, 2), 400, np.uint16))
    assert electrons(image, camera=path).pixels[0, 0] == pytest.approx(5.0)
    turned = Image(image.pixels, em_gain=100)
    assert electrons(turned, camera=path).pixels[0, 0] == pytest.approx(15.0)
    assert electrons(turned, camera=path, em_gain=1).pixels[0, 0] == pytest.approx(1500.0)
    known = Image(image.pixels, offset_dn=100, gain_e_per_dn=5, em_gain=300)
    assert electrons(known).pixels[0, 0] == pytest.approx(5.0)


def test_a_mode_for_each_channel(tmp_path: Path) -> None:
    modes = (CameraMode("DAPI", 100, 1.0), CameraMode("GFP", 50, 2.0))
    path = camera_file(tmp_path / "camera.toml", *modes)
    assert electrons(Image(RAW, channel="GFP"), camera=path).pixels[0, 0] == 100
    with pytest.raises(ConfigError, match="none for 'RFP'"):
        electrons(Image(RAW, channel="RFP"), camera=path)


def test_photo_electrons_are_not_converted_again() -> None:
    once = electrons(Image(RAW, offset_dn=100, gain_e_per_dn=0.47))
    with pytest.raises(ConfigError, match="converted once"):
        electrons(once)


@pytest.mark.parametrize(
    ("known", "parameters", "words"),
    [
        ({}, {}, "nobody tells the offset and the gain"),
        ({"offset_dn": 100.0}, {}, "nobody tells the gain"),
        ({}, {"gain_e_per_dn": 0.5}, "nobody tells the offset"),
        ({}, {"camera": "camera.toml", "offset_dn": 1.0}, "together with"),
        ({"bit_depth": 12}, {"camera": "camera.toml"}, "of 16 bits, the frames .* of 12"),
        ({}, {"camera": "missing.toml"}, "cannot be read"),
    ],
)
def test_what_cannot_be_converted(
    tmp_path: Path, known: dict[str, Any], parameters: dict[str, Any], words: str
) -> None:
    camera_file(tmp_path / "camera.toml")
    if "camera" in parameters:
        parameters = {**parameters, "camera": tmp_path / parameters["camera"]}
    with pytest.raises(ConfigError, match=words):
        electrons(Image(RAW, **known), **parameters)


OF_CAMERA: dict[str, Any] = {
    "bit_depth": 16,
    "dtype": "uint16",
    "binning": 2,
    "camera": "orca",
    "offset_se_dn": 0.01,
    "gain_se_e_per_dn": 0.001,
}
FITTING: dict[str, Any] = {
    "bit_depth": 16,
    "binning": 2,
    "camera": "orca",
    "offset_dn": 100.0,
    "gain_e_per_dn": 0.47,
}


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"binning": 1}, "of binning 2, the frames of channel 'ch0' of 1. Calibrate with"),
        ({"camera": "prime"}, "of the camera 'orca', .* of 'prime'. Calibrate that camera"),
        ({"gain_e_per_dn": 1.2}, "a gain of 0.47 e⁻/DN, .* says 1.2 e⁻/DN: another camera"),
        ({"gain_e_per_dn": 0.5}, "a gain of"),
        ({"gain_e_per_dn": 0.44}, "a gain of"),
        ({"offset_dn": 400.0}, "an offset of 100 DN, .* says 400 DN: another camera"),
        ({"offset_dn": 94.0}, "an offset of"),
        ({"bit_depth": 12}, "of 16 bits"),
    ],
)
def test_a_file_of_another_camera_is_refused(
    tmp_path: Path, told: dict[str, Any], words: str
) -> None:
    path = camera_file(tmp_path / "camera.toml", CameraMode("ch0", 100.0, 0.47, **OF_CAMERA))
    electrons(Image(RAW, **FITTING), camera=path)
    with pytest.raises(ConfigError, match=words):
        electrons(Image(RAW, **(FITTING | told)), camera=path)


@pytest.mark.parametrize(
    "told",
    [
        *({name: None} for name in FITTING),
        {"gain_e_per_dn": 0.49},
        {"offset_dn": 104.0},
        {"em_gain": 300.0},
    ],
)
def test_what_is_not_known_or_near_is_not_refused(tmp_path: Path, told: dict[str, Any]) -> None:
    path = camera_file(tmp_path / "camera.toml", CameraMode("ch0", 100.0, 0.47, **OF_CAMERA))
    electrons(Image(RAW, **(FITTING | told)), camera=path)
    path = camera_file(path, CameraMode("ch0", 100.0, 0.47))
    electrons(Image(RAW, **(FITTING | told)), camera=path)


def test_a_file_that_is_not_sure_allows_its_own_error(tmp_path: Path) -> None:
    mode = CameraMode("ch0", 100.0, 0.47, offset_se_dn=3.0, gain_se_e_per_dn=0.03)
    path = camera_file(tmp_path / "camera.toml", mode)
    electrons(Image(RAW, offset_dn=115.0, gain_e_per_dn=0.6), camera=path)
    with pytest.raises(ConfigError, match="an offset of"):
        electrons(Image(RAW, offset_dn=119.0, gain_e_per_dn=0.6), camera=path)


def test_eight_bits_are_not_sixteen(tmp_path: Path) -> None:
    mode = CameraMode("ch0", 100.0, 0.47, dtype="uint16")
    path = camera_file(tmp_path / "camera.toml", mode)
    small = Image(RAW.astype(np.uint8))
    with pytest.raises(ConfigError, match=r"pixels of type uint16, .* are uint8: converted"):
        electrons(small, camera=path)
    for pixels in (RAW, RAW.astype(np.int32), RAW.astype(np.float32)):
        electrons(Image(pixels), camera=path)


def test_the_source_tells_the_step_of_its_camera(tmp_path: Path) -> None:
    camera_file(tmp_path / "camera.toml", CameraMode("DAPI", 100.0, 0.47, **OF_CAMERA))
    fitting = plan(tmp_path, "  - electrons: {camera: camera.toml}").compile(["DAPI"])
    fitting.rehearse(Segment((8, 8), "uint16", camera="orca", binning=2))
    with pytest.raises(ConfigError, match="of binning 2"):
        fitting.rehearse(Segment((8, 8), "uint16", camera="orca"))
    with pytest.raises(ConfigError, match="of the camera 'orca'"):
        fitting.rehearse(Segment((8, 8), "uint16", camera="prime", binning=2))
    # files do not tell the binning of the camera that made them
    for camera in ("file", "array", "unknown"):
        fitting.rehearse(Segment((8, 8), "uint16", camera=camera))


def test_a_list_of_pixels_is_no_image() -> None:
    with pytest.raises(StepError):
        electrons(Image(np.zeros(5)), offset_dn=0, gain_e_per_dn=1)


def test_intensities_are_in_electrons(tmp_path: Path) -> None:
    def units(correct: str, *channels: str) -> dict[str, str]:
        schema = plan(tmp_path, correct).compile(channels).schemas["nuclei"]
        return {column.name: column.unit for column in schema}

    numbers = "electrons: {offset_dn: 100, gain_e_per_dn: 0.47%s}"
    found = units(f"  - {numbers % ''}\n  - gaussian: {{}}", "DAPI")
    assert found["intensity_sum_DAPI"] == found["intensity_std_DAPI"] == "e⁻"
    assert found["centroid_weighted_y_DAPI"] == "px"
    assert found["area"] != "e⁻"
    assert units("  - gaussian: {}", "DAPI")["intensity_mean_DAPI"] == "DN"
    some = units(f"  - {numbers % ', channels: [GFP]'}", "DAPI", "GFP")
    assert (some["intensity_mean_DAPI"], some["intensity_mean_GFP"]) == ("DN", "e⁻")


def test_the_file_is_part_of_the_hash(tmp_path: Path) -> None:
    path = camera_file(tmp_path / "camera.toml")
    assert file_parameters(make_model(electrons, "electrons")) == ["camera"]
    plain, first = open_plan("nuclei"), open_plan("nuclei", camera=path)
    assert first.canonical["correct"][0]["electrons"]["camera"] == str(path)
    assert first.canonical["correct"][1:] == plain.canonical["correct"]
    camera_file(path, CameraMode("ch0", 100, 0.48))
    hashes = {plain.sha256, first.sha256, open_plan("nuclei", camera=path).sha256}
    assert len(hashes) == 3


def test_the_flag_and_the_step_would_convert_twice(tmp_path: Path) -> None:
    path = camera_file(tmp_path / "camera.toml")
    pipeline = tmp_path / "pipeline.yaml"
    pipeline.write_text(PIPELINE.format(correct="  - electrons: {}"), encoding="utf-8")
    with pytest.raises(ConfigError, match="a second time"):
        open_plan(pipeline, camera=path)
    with pytest.raises(ConfigError, match="no valid TOML"):
        open_plan("nuclei", camera=pipeline)


def test_a_blank_frame_tells_whether_the_file_fits(tmp_path: Path) -> None:
    camera_file(tmp_path / "camera.toml")
    fitting = plan(tmp_path, "  - electrons: {camera: camera.toml}").compile(["DAPI"])
    fitting.rehearse(Segment((8, 8), "uint16", bit_depth=16))
    with pytest.raises(ConfigError, match="another mode of the camera"):
        fitting.rehearse(Segment((8, 8), "uint16", bit_depth=12))
    known = plan(tmp_path, "  - electrons: {}").compile(["DAPI"])
    known.rehearse(Segment((8, 8), "uint16", offset_dn=100, gain_e_per_dn=0.5))
    with pytest.raises(ConfigError, match="nobody tells"):
        known.rehearse(Segment((8, 8), "uint16"))
