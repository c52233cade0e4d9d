import os
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile

from dipstream.errors import ConfigError, StepError
from dipstream.registry import file_parameters, make_model
from dipstream.steps import Image
from dipstream.steps.correct.dark_flat import dark_flat

SHAPE = (40, 50)
Y, X = np.mgrid[-1:1:40j, -1:1:50j]
VIGNETTE = 1 - 0.4 * (Y**2 + X**2) / 2
DARK = 100 + np.random.default_rng(5).integers(0, 20, SHAPE).astype(np.float64)


@pytest.fixture
def dark(tmp_path: Path) -> Path:
    tifffile.imwrite(tmp_path / "dark.tif", DARK.astype(np.uint16))
    return tmp_path / "dark.tif"


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    tifffile.imwrite(tmp_path / "flat.tif", (DARK + 20_000 * VIGNETTE).round().astype(np.uint16))
    return tmp_path / "flat.tif"


def test_undoes_vignetting(dark: Path, flat: Path) -> None:
    truth = np.where((Y**2 + X**2) % 0.5 > 0.3, 5000.0, 1000.0)
    raw = (DARK + truth * VIGNETTE).round().astype(np.uint16)
    found = dark_flat(Image(raw, channel="GFP", bit_depth=16), dark=dark, flat=flat)
    assert found.pixels.dtype == np.float32
    assert (found.channel, found.bit_depth) == ("GFP", 16)
    # half a DN of rounding in raw and flat
    np.testing.assert_allclose(found.pixels, truth * VIGNETTE.mean(), atol=1.2)


def test_the_formula(dark: Path, flat: Path) -> None:
    raw = np.random.default_rng(6).integers(0, 4096, SHAPE).astype(np.uint16)
    light = tifffile.imread(flat).astype(np.float64) - tifffile.imread(dark)
    expected = (raw - DARK) / light * light.mean()
    assert expected.min() < 0
    found = dark_flat(Image(raw), dark=dark, flat=flat).pixels
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-3)
    stack = dark_flat(Image(np.stack([raw, raw])), dark=dark, flat=flat).pixels
    np.testing.assert_array_equal(stack, np.stack([found, found]))


def test_dark_as_a_number(flat: Path) -> None:
    raw = np.full(SHAPE, 50, np.uint16)
    assert (dark_flat(Image(raw), dark_dn=100.5).pixels == -50.5).all()
    light = tifffile.imread(flat) - 100.0
    found = dark_flat(Image(raw), dark_dn=100.0, flat=flat).pixels
    np.testing.assert_allclose(found, -50 / light * light.mean(), rtol=1e-6)


def test_flat_without_dark(flat: Path) -> None:
    light = tifffile.imread(flat).astype(np.float64)
    found = dark_flat(Image(np.full(SHAPE, 300, np.uint16)), flat=flat).pixels
    np.testing.assert_allclose(found, 300 / light * light.mean(), rtol=1e-6)


def test_stacks_are_averaged_and_png_is_read(tmp_path: Path) -> None:
    frames = np.stack([DARK - 3, DARK, DARK + 3]).astype(np.uint16)
    tifffile.imwrite(tmp_path / "stack.tif", frames, photometric="minisblack")
    (tmp_path / "dark.png").write_bytes(imagecodecs.png_encode(DARK.astype(np.uint16)))
    image = Image(np.full(SHAPE, 500, np.uint16))
    for name in ("stack.tif", "dark.png"):
        found = dark_flat(image, dark=tmp_path / name).pixels
        np.testing.assert_allclose(found, 500 - DARK, rtol=1e-6)


def test_a_file_that_changes_is_read_again(dark: Path) -> None:
    image = Image(np.full(SHAPE, 500, np.uint16))
    before = dark_flat(image, dark=dark).pixels
    tifffile.imwrite(dark, np.zeros(SHAPE, np.uint16))
    os.utime(dark, ns=(1, 1))
    assert (before != 500).all()
    assert (dark_flat(image, dark=dark).pixels == 500).all()


def test_dead_pixels_in_the_flat_are_named(dark: Path, flat: Path) -> None:
    pixels = tifffile.imread(flat)
    pixels[3, 4:7] = 0
    pixels[9, 9] = DARK[9, 9]
    tifffile.imwrite(flat, pixels)
    with pytest.raises(ConfigError, match="4 of 2000 pixels"):
        dark_flat(Image(np.zeros(SHAPE, np.uint16)), dark=dark, flat=flat)


def test_nan_in_a_reference(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "flat.tif", np.full(SHAPE, np.nan, np.float32))
    with pytest.raises(ConfigError, match="NaN"):
        dark_flat(Image(np.zeros(SHAPE)), flat=tmp_path / "flat.tif")


def test_shapes_that_differ(dark: Path, tmp_path: Path) -> None:
    with pytest.raises(StepError, match=r"20 × 20 px.*dark\.tif has 40 × 50"):
        dark_flat(Image(np.zeros((20, 20))), dark=dark)
    tifffile.imwrite(tmp_path / "small.tif", np.full((20, 20), 900, np.uint16))
    with pytest.raises(ConfigError, match="same region"):
        dark_flat(Image(np.zeros(SHAPE)), dark=dark, flat=tmp_path / "small.tif")
    # a reference of one row must not be stretched over the image
    tifffile.imwrite(tmp_path / "row.tif", np.full((1, 50), 900, np.uint16))
    with pytest.raises(StepError, match="1 × 50"):
        dark_flat(Image(np.zeros(SHAPE)), flat=tmp_path / "row.tif")


def test_settings_that_make_no_sense(dark: Path) -> None:
    image = Image(np.zeros(SHAPE))
    with pytest.raises(ConfigError, match="nothing to correct"):
        dark_flat(image)
    with pytest.raises(ConfigError, match="both given"):
        dark_flat(image, dark=dark, dark_dn=100)


def test_files_that_cannot_serve(tmp_path: Path) -> None:
    image = Image(np.zeros(SHAPE))
    with pytest.raises(ConfigError, match="cannot be read"):
        dark_flat(image, dark=tmp_path / "none.tif")
    (tmp_path / "broken.tif").write_bytes(b"II*\0 no tiff")
    with pytest.raises(ConfigError, match="cannot be decoded"):
        dark_flat(image, dark=tmp_path / "broken.tif")
    (tmp_path / "broken.png").write_bytes(b"no png")
    with pytest.raises(ConfigError, match="cannot be decoded"):
        dark_flat(image, dark=tmp_path / "broken.png")
    tifffile.imwrite(tmp_path / "rgb.tif", np.zeros((*SHAPE, 3), np.uint8), photometric="rgb")
    with pytest.raises(ConfigError, match="grey"):
        dark_flat(image, dark=tmp_path / "rgb.tif")
    channels = np.zeros((2, *SHAPE), np.uint16)
    tifffile.imwrite(tmp_path / "c.ome.tif", channels, metadata={"axes": "CYX"})
    with pytest.raises(ConfigError, match="each channel"):
        dark_flat(image, dark=tmp_path / "c.ome.tif")


def test_files_are_known_to_the_pipeline() -> None:
    assert file_parameters(make_model(dark_flat, "dark_flat")) == ["dark", "flat"]
