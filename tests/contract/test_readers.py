"""What every reader must do, whatever the format: whole files are read, broken ones are said."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dipstream.errors import ReadError
from dipstream.frame import Pixels
from dipstream_drivers.readers import reader_for

RNG = np.random.default_rng(7)
GREY = RNG.integers(1, 250, (24, 20), dtype="u1")
DEEP = RNG.integers(1, 60000, (24, 20), dtype="u2")
COLOUR = RNG.integers(1, 250, (24, 20, 3), dtype="u1")
STACK = RNG.integers(1, 60000, (4, 24, 20), dtype="u2")

XML = (
    '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image>'
    '<Pixels DimensionOrder="XYCZT" SizeX="20" SizeY="24" SizeC="1" SizeZ="1" SizeT="4"><TiffData/>'
    "</Pixels></Image></OME>"
)


def tiff(data: Pixels, **options: Any) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        tifffile.imwrite(path, data, **options)

    return write


def coded(content: bytes) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_bytes(content)

    return write


def png(data: Pixels) -> Callable[[Path], None]:
    return coded(bytes(imagecodecs.png_encode(data)))


def jpeg(data: Pixels) -> Callable[[Path], None]:
    return coded(bytes(imagecodecs.jpeg_encode(data, level=95)))


FORMATS: dict[str, tuple[str, Callable[[Path], None], Pixels]] = {
    "tiff": ("a.tif", tiff(DEEP), DEEP[None]),
    "tiff-strips": ("a.tif", tiff(DEEP, rowsperstrip=5), DEEP[None]),
    "tiff-zlib": ("a.tif", tiff(DEEP, compression="zlib", rowsperstrip=5), DEEP[None]),
    "tiff-big": ("a.tif", tiff(DEEP, bigtiff=True), DEEP[None]),
    "tiff-motorola": ("a.tif", tiff(DEEP, byteorder=">"), DEEP[None]),
    "tiff-stack": ("a.tif", tiff(STACK, photometric="minisblack"), STACK),
    "tiff-pages": ("a.tif", tiff(STACK, photometric="minisblack", metadata=None), STACK),
    "tiff-stack-lzw": ("a.tif", tiff(STACK, photometric="minisblack", compression="lzw"), STACK),
    "imagej": ("a.tif", tiff(STACK, imagej=True, metadata={"axes": "TYX"}), STACK),
    "ome": ("a.ome.tif", tiff(STACK, ome=True, metadata={"axes": "TYX"}), STACK),
    "ome-tiles": (
        "a.ome.tif",
        tiff(STACK, ome=True, metadata={"axes": "TYX"}, tile=(16, 16), compression="zlib"),
        STACK,
    ),
    # With the XML in front, as most programs write it; tifffile writes it last.
    "ome-front": (
        "a.ome.tif",
        tiff(STACK, photometric="minisblack", description=XML, metadata=None),
        STACK,
    ),
    "rgb": ("a.tif", tiff(COLOUR, photometric="rgb"), np.moveaxis(COLOUR, 2, 0)),
    "png": ("a.png", png(GREY), GREY[None]),
    "png16": ("a.png", png(DEEP), DEEP[None]),
    "png-rgb": ("a.png", png(COLOUR), np.moveaxis(COLOUR, 2, 0)),
    "jpeg": ("a.jpg", jpeg(GREY), GREY[None]),
    "jpeg-rgb": ("a.JPEG", jpeg(COLOUR), np.moveaxis(COLOUR, 2, 0)),
}
FORMAT = pytest.mark.parametrize("name", FORMATS)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    paths = {}
    for name, (file, write, _) in FORMATS.items():
        paths[name] = tmp_path_factory.mktemp("made") / file
        write(paths[name])
    return paths


def read(path: Path) -> tuple[list[Pixels | None], list[str]]:
    """Read all planes, None for those that raise `ReadError`, and the reasons."""
    reader = reader_for(path)
    assert reader is not None
    found: list[Pixels | None] = []
    reasons = []
    with reader.open(path) as image:
        for plane in image.planes:
            try:
                found.append(image.read(plane))
            except ReadError as error:
                found.append(None)
                reasons.append(str(error))
    return found, reasons


def readable(path: Path) -> list[Pixels | None]:
    """Read what can be read; the reason for nothing must name the file."""
    try:
        return read(path)[0]
    except ReadError as error:
        reason = str(error)
    assert path.name in reason
    return []


@FORMAT
def test_whole_files(made: dict[str, Path], name: str) -> None:
    found, reasons = read(made[name])
    truth = FORMATS[name][2]
    assert reasons == []
    assert len(found) == len(truth)
    for pixels, wanted in zip(found, truth, strict=True):
        assert pixels is not None
        assert pixels.dtype == wanted.dtype
        assert pixels.flags.c_contiguous
        if name.startswith("jpeg"):
            assert pixels.shape == wanted.shape
        else:
            np.testing.assert_array_equal(pixels, wanted)


@FORMAT
def test_planes_are_numbered_and_in_order(made: dict[str, Path], name: str) -> None:
    reader = reader_for(made[name])
    assert reader is not None
    with reader.open(made[name]) as image:
        keys = [(plane.position, plane.t, plane.z, plane.c) for plane in image.planes]
        assert keys == sorted(set(keys))
        assert [plane.number for plane in image.planes] == list(range(len(keys)))
        assert image.pixel_um is None
        assert any("lossy" in line for line in image.warnings) == name.startswith("jpeg")
    image.__exit__(None, None, None)  # closing twice is allowed


@FORMAT
def test_cut_short_anywhere(made: dict[str, Path], name: str, tmp_path: Path) -> None:
    """No cut yields zeros, wrong pixels or another exception; what is whole is still read."""
    raw = made[name].read_bytes()
    truth = FORMATS[name][2]
    whole = read(made[name])[0] if name.startswith("jpeg") else list(truth)
    path = tmp_path / made[name].name
    steps = {
        *range(40),
        *range(0, len(raw), max(len(raw) // 60, 1)),
        *range(len(raw) - 5, len(raw)),
    }
    for size in sorted(steps):
        path.write_bytes(raw[:size])
        found = readable(path)
        # tifffile writes small things behind the pixels of a page that nobody needs
        for number, pixels in enumerate(found):
            if pixels is not None:
                np.testing.assert_array_equal(pixels, whole[number], err_msg=f"cut at {size}")
        if not name.startswith("tiff") and len(truth) == 1:
            assert found == [], f"a cut at {size} of {len(raw)} was not noticed"


@pytest.mark.parametrize(
    "name", ["tiff-stack", "tiff-pages", "tiff-stack-lzw", "imagej", "ome-front"]
)
def test_intact_planes_of_a_cut_file_are_read(
    made: dict[str, Path], name: str, tmp_path: Path
) -> None:
    raw = made[name].read_bytes()
    path = tmp_path / made[name].name
    path.write_bytes(raw[: int(len(raw) * 0.6)])
    found, reasons = read(path)
    good = [pixels for pixels in found if pixels is not None]
    assert len(good) >= 1
    assert len(good) < len(found)
    assert "truncated" in reasons[0] or "missing" in reasons[0]
    for number, pixels in enumerate(good):
        np.testing.assert_array_equal(pixels, STACK[number])


@FORMAT
@settings(max_examples=60, deadline=None, derandomize=True,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(data=st.data())
def test_flipped_bytes_raise_nothing_else(
    made: dict[str, Path], name: str, tmp_path: Path, data: st.DataObject
) -> None:
    raw = bytearray(made[name].read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, min(len(raw), 700) - 1))
        raw[at] = data.draw(st.integers(0, 255))
    path = tmp_path / made[name].name
    path.write_bytes(raw)
    readable(path)


@pytest.mark.parametrize("suffix", [".tif", ".png", ".jpg"])
@pytest.mark.parametrize("content", [b"", b"x", b"hello world, a text", b"\0" * 100])
def test_other_content(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    with pytest.raises(ReadError, match=f"a{suffix} (starts with|is empty).*which is no"):
        read(path)


@pytest.mark.parametrize("suffix", [".tif", ".png", ".jpg"])
def test_a_folder_or_nothing(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(ReadError, match="cannot be read"):
        read(tmp_path / f"a{suffix}")
    (tmp_path / f"a{suffix}").mkdir()
    with pytest.raises(ReadError, match="cannot be read"):
        read(tmp_path / f"a{suffix}")
