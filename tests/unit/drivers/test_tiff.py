import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from dipstream.errors import ReadError
from dipstream.frame import Pixels
from dipstream.reader import Plane
from dipstream_drivers.readers import reader_for
from dipstream_drivers.readers.tiff import TiffReader

AXES = ["TCZYX", "TZCYX", "CTZYX", "ZTCYX", "CZTYX", "ZCTYX"]


def everything(path: Path) -> dict[tuple[int, int, int, int], Pixels]:
    with TiffReader().open(path) as image:
        return {(p.position, p.t, p.z, p.c): image.read(p) for p in image.planes}


def planes(path: Path) -> tuple[Plane, ...]:
    with TiffReader().open(path) as image:
        return image.planes


@pytest.mark.parametrize("axes", AXES)
def test_ome_axes(tmp_path: Path, axes: str) -> None:
    sizes = {"T": 2, "C": 3, "Z": 4, "Y": 5, "X": 6}
    data = np.arange(2 * 3 * 4 * 30, dtype="u2").reshape([sizes[axis] for axis in axes])
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, data, ome=True, metadata={
        "axes": axes, "Channel": {"Name": ["DAPI", "GFP", "Cy5"]},
        "PhysicalSizeX": 325.0, "PhysicalSizeXUnit": "nm",
        "PhysicalSizeY": 325.0, "PhysicalSizeYUnit": "nm", "SignificantBits": 12,
    })  # fmt: skip
    found = everything(path)
    assert len(found) == 24
    straight = np.moveaxis(data, [axes.index(axis) for axis in "TZC"], [0, 1, 2])
    for (position, t, z, c), pixels in found.items():
        assert position == 0
        np.testing.assert_array_equal(pixels, straight[t, z, c])
    with TiffReader().open(path) as image:
        assert image.pixel_um == pytest.approx(0.325)
        assert image.bit_depth == 12
        assert [plane.channel for plane in image.planes[:3]] == ["DAPI", "GFP", "Cy5"]
        assert image.warnings == ()


def test_ome_series_are_positions_and_planes_have_notes(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as writer:
        for n in range(2):
            writer.write(np.full((2, 4, 5), n + 1, "u1"), metadata={
                "axes": "TYX", "AcquisitionDate": "2024-01-02T03:04:05Z",
                "Plane": {"DeltaT": [0.0, 1.5], "ExposureTime": [20, 20],
                          "ExposureTimeUnit": ["ms", "ms"], "PositionX": [n, n],
                          "PositionXUnit": ["mm"] * 2, "PositionY": [0.5] * 2,
                          "PositionYUnit": ["µm"] * 2},
            })  # fmt: skip
    found = planes(path)
    assert [(p.position, p.t) for p in found] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert found[3].exposure_ms == 20
    assert found[3].exposed_ns == 1704164645 * 10**9 + 1_500_000_000
    assert found[3].stage_um == (1000.0, 0.5, 0.0)
    assert int(everything(path)[1, 1, 0, 0][0, 0]) == 2


@pytest.mark.parametrize(
    ("unit", "resolution", "pixel_um"),
    [
        ("um", (4.0, 4.0), 0.25),
        ("micron", (3.076923, 3.076923), 0.325),
        ("\\u00B5m", (4.0, 4.0), 0.25),
        ("nm", (0.002, 0.002), 0.5),
        ("inch", (72.0, 72.0), None),
        ("pixel", (1.0, 1.0), None),
        (None, (1.0, 1.0), None),
        ("um", (4.0, 2.0), None),
    ],
)
def test_imagej_pixel_size(
    tmp_path: Path, unit: str | None, resolution: tuple[float, float], pixel_um: float | None
) -> None:
    path = tmp_path / "a.tif"
    metadata = {"axes": "YX"} | ({"unit": unit} if unit else {})
    tifffile.imwrite(path, np.ones((4, 5), "u1"), imagej=True, resolution=resolution,
                     metadata=metadata)  # fmt: skip
    with TiffReader().open(path) as image:
        assert image.pixel_um == (pixel_um if pixel_um is None else pytest.approx(pixel_um))


def test_resolution_tags_alone_are_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.ones((4, 5), "u1"), resolution=(10000, 10000),
                     resolutionunit="CENTIMETER", metadata=None)  # fmt: skip
    with TiffReader().open(path) as image:
        assert image.pixel_um is None


def test_imagej_hyperstack(tmp_path: Path) -> None:
    data = np.arange(2 * 3 * 4 * 30, dtype="u2").reshape(2, 3, 4, 5, 6)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, data, imagej=True, metadata={"axes": "TZCYX"})
    found = everything(path)
    assert len(found) == 24
    for (_, t, z, c), pixels in found.items():
        np.testing.assert_array_equal(pixels, data[t, z, c])


@pytest.mark.parametrize("options", [{}, {"metadata": None}, {"bigtiff": True}, {"byteorder": ">"},
                                     {"compression": "zlib"}, {"compression": "lzw"},
                                     {"tile": (16, 16), "compression": "zlib"}])  # fmt: skip
def test_a_stack_without_axes_is_time(tmp_path: Path, options: dict[str, Any]) -> None:
    data = np.arange(5 * 30 * 40, dtype="u2").reshape(5, 30, 40)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, data, photometric="minisblack", **options)
    found = everything(path)
    assert sorted(found) == [(0, t, 0, 0) for t in range(5)]
    for (_, t, _, _), pixels in found.items():
        np.testing.assert_array_equal(pixels, data[t])
        assert pixels.dtype == np.dtype("u2")


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("samples", [3, 4])
def test_colour(tmp_path: Path, planar: str, samples: int) -> None:
    data = np.random.default_rng(1).integers(1, 255, (6, 7, samples), dtype="u1")
    stored = data if planar == "contig" else np.moveaxis(data, 2, 0)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, stored, photometric="rgb", planarconfig=planar,
                     extrasamples=["unassalpha"] if samples == 4 else None)  # fmt: skip
    with TiffReader().open(path) as image:
        assert [(p.channel, p.c) for p in image.planes] == [("R", 0), ("G", 1), ("B", 2)]
        for plane in image.planes:
            np.testing.assert_array_equal(image.read(plane), data[:, :, plane.c])


@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "u4", "f4", "f8", "?"])
def test_dtypes(tmp_path: Path, dtype: str) -> None:
    data = np.arange(20).reshape(4, 5).astype(dtype)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, data)
    pixels = everything(path)[0, 0, 0, 0]
    np.testing.assert_array_equal(pixels, data)
    assert pixels.dtype == (np.dtype("u1") if dtype == "?" else np.dtype(dtype))


def test_complex_pixels_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.ones((4, 5), "c8"))
    with TiffReader().open(path) as image, pytest.raises(ReadError, match="complex64"):
        image.read(image.planes[0])


def patched(path: Path, tag: int, value: int) -> None:
    """Change a tag of the first page in place."""
    with tifffile.TiffFile(path, mode="r+") as tif:
        tif.pages.first.tags[tag].overwrite(value)


@pytest.mark.parametrize(
    ("side", "says"), [(400_000, "at most"), (5000, "was not written|declares|needs")]
)
def test_bombs_are_refused_from_the_header(tmp_path: Path, side: int, says: str) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.ones((4, 5), "u1"))
    for tag in (256, 257, 278):
        patched(path, tag, side)
    with pytest.raises(ReadError, match=says):
        TiffReader().open(path)


def test_compressed_bomb(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.ones((40, 50), "u1"), compression="zlib")
    for tag in (256, 257, 278):
        patched(path, tag, 40_000)
    with pytest.raises(ReadError, match="1100 times"):
        TiffReader().open(path)


def test_cyclic_pages_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.ones((3, 4, 5), "u1"), photometric="minisblack")
    with tifffile.TiffFile(path) as tif:
        first, last = tif.pages[0].offset, tif.pages[2].offset
    raw = bytearray(path.read_bytes())
    (count,) = struct.unpack_from("<H", raw, last)
    raw[last + 2 + 12 * count : last + 6 + 12 * count] = struct.pack("<I", first)
    path.write_bytes(raw)
    with pytest.raises(ReadError, match="circle after page 3"):
        TiffReader().open(path)


@pytest.mark.parametrize("evil", ["<!DOCTYPE x [<!ENTITY a 'b'>]>", "<!doctype x>"])
def test_entities_are_refused(tmp_path: Path, evil: str) -> None:
    path = tmp_path / "a.ome.tif"
    xml = f'<?xml version="1.0"?>{evil}<OME xmlns="http://x"><Image/></OME>'
    tifffile.imwrite(path, np.ones((4, 5), "u1"), description=xml, metadata=None)
    with pytest.raises(ReadError, match="DOCTYPE or ENTITY"):
        TiffReader().open(path)


def ome(path: Path, pixels: str, pages: int = 2) -> None:
    xml = (f'<?xml version="1.0"?><OME xmlns="http://x" UUID="urn:uuid:1"><Image>{pixels}</Image>'
           "</OME>")  # fmt: skip
    stack = np.stack([np.full((4, 5), n + 1, "u1") for n in range(pages)])
    tifffile.imwrite(path, stack, description=xml, metadata=None, photometric="minisblack")


def test_pages_of_other_files_are_not_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    ome(path, '<Pixels DimensionOrder="XYCZT" SizeX="5" SizeY="4" SizeC="1" SizeZ="1" SizeT="3">'
        '<TiffData FirstT="0" IFD="0"><UUID FileName="../b.tif">urn:uuid:2</UUID></TiffData>'
        '<TiffData FirstT="1" IFD="1"><UUID FileName="x.tif">urn:uuid:1</UUID></TiffData>'
        '<TiffData FirstT="2" IFD="0"><UUID FileName="x.tif">urn:uuid:1</UUID></TiffData>'
        "</Pixels>")  # fmt: skip
    found = everything(path)
    assert {key: int(pixels[0, 0]) for key, pixels in found.items()} == {
        (0, 1, 0, 0): 2, (0, 2, 0, 0): 1}  # fmt: skip


@pytest.mark.parametrize(
    "pixels",
    [
        '<Pixels DimensionOrder="XYCZT" SizeC="1" SizeZ="1" SizeT="1000000000"/>',
        '<Pixels DimensionOrder="XYCZT" SizeC="-1" SizeZ="1" SizeT="1"/>',
        '<Pixels DimensionOrder="nonsense"/>',
        '<Pixels SizeT="many"/>',
    ],
)
def test_senseless_ome_is_refused(tmp_path: Path, pixels: str) -> None:
    ome(tmp_path / "a.tif", pixels)
    with pytest.raises(ReadError, match="makes no sense"):
        TiffReader().open(tmp_path / "a.tif")


def test_text_called_tif(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_text("hello, this is text")
    with pytest.raises(ReadError, match="starts with b'hello, t', which is no TIFF"):
        TiffReader().open(path)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="cannot be read"):
        TiffReader().open(tmp_path / "a.tif")


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.ome.TIF", "tiff"), ("b.JPG", "jpeg"), ("x/y.png", "png"), ("a.txt", None), ("tif", None),
     (".tif", None), ("a.b.tiff", "tiff")],
)  # fmt: skip
def test_reader_for(name: str, kind: str | None) -> None:
    reader = reader_for(name)
    assert (reader and reader.name) == kind


@pytest.mark.parametrize("damage", ["pointer", "directory"])
def test_lost_directories_are_not_taken_for_pixels(tmp_path: Path, damage: str) -> None:
    """The description promises three planes, but these do not lie in one block."""
    path = tmp_path / "a.tif"
    description = "ImageJ=1.53\nimages=3\nframes=3\nhyperstack=true\n"
    with tifffile.TiffWriter(path) as writer:
        for n in range(3):
            writer.write(np.full((40, 50), n + 1, "u1"), description=description, metadata=None,
                         contiguous=False)  # fmt: skip
    with tifffile.TiffFile(path) as tif:
        first, second = tif.pages[0].offset, tif.pages[1].offset
    raw = bytearray(path.read_bytes())
    if damage == "pointer":
        at = first + 2 + 12 * struct.unpack_from("<H", raw, first)[0]
        raw[at : at + 4] = struct.pack("<I", len(raw) + 100)
    else:
        raw[second : second + 2] = b"\0\0"
    path.write_bytes(raw)
    with TiffReader().open(path) as image:
        assert len(image.planes) == 3
        assert int(image.read(image.planes[0])[0, 0]) == 1
        for plane in image.planes[1:]:
            with pytest.raises(ReadError):
                image.read(plane)


def test_tifffile_does_not_print(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.ones((4, 5), "u1"), metadata=None)
    raw = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tif:
        entry = tif.pages.first.tags[305].offset  # Software
    raw[entry + 2 : entry + 12] = struct.pack("<HII", 2, 10**6, 10**6)
    path.write_bytes(raw)
    with TiffReader().open(path) as image:
        image.read(image.planes[0])
        assert any("TiffTag" in line for line in image.warnings)
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []
