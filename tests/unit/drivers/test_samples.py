"""Real files, read in place and compared with tifffile and the manifest."""

import csv
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import tifffile

from dipstream.errors import ReadError
from dipstream.frame import Frame
from dipstream_drivers.readers import reader_for
from dipstream_drivers.replay import open_replay

FOLDERS = ("formats/tiff", "formats/ometiff", "formats/png", "formats/jpeg", "formats/flatfield",
           "timelapse/drosophila", "nuclei", "workshop")  # fmt: skip


def manifest(samples: Path) -> dict[str, dict[str, str]]:
    with (samples / "MANIFEST.csv").open(newline="") as file:
        rows = {row["file"]: row for row in csv.DictReader(file)}
    return {
        name: row
        for name, row in rows.items()
        if name.startswith(FOLDERS) and reader_for(name) is not None
    }


def test_all_samples_match_the_manifest(samples: Path) -> None:
    rows = manifest(samples)
    assert len(rows) > 40
    for name, row in rows.items():
        reader = reader_for(name)
        assert reader is not None
        with reader.open(samples / name) as image:
            pixels = [image.read(plane) for plane in image.planes]
        *_, sizes = row["axes_dims"].split(" ")
        dims = [int(size) for size in sizes.split("x")]
        if "S" in row["axes_dims"].split(" ")[0]:
            assert [each.shape for each in pixels] == [tuple(dims[:2])] * 3, name
        else:
            assert [each.shape for each in pixels] == [tuple(dims[-2:])] * int(
                np.prod(dims[:-2])
            ), name
        assert {each.dtype.name for each in pixels} == {row["dtype"]}, name


def test_tiff_samples_match_tifffile(samples: Path) -> None:
    for name in manifest(samples):
        path = samples / name
        if path.suffix.lower() != ".tif":
            continue
        whole = tifffile.imread(path)
        reader = reader_for(name)
        assert reader is not None
        with reader.open(path) as image:
            pixels = [image.read(plane) for plane in image.planes]
            colours = image.planes[0].channel == "R"
        flat = np.moveaxis(whole, -1, 0) if colours else whole.reshape(-1, *whole.shape[-2:])
        np.testing.assert_array_equal(np.stack(pixels), flat, err_msg=name)


@pytest.mark.parametrize(
    ("name", "pixel_um", "keys"),
    [
        ("formats/tiff/mitosis_C1_stack.tif", None, [(t, 0, 0) for t in range(51)]),
        ("formats/tiff/image_3D_calibrated.tif", 0.13, [(0, z, 0) for z in range(7)]),
        ("formats/tiff/bg_camera_downsampled.tif", 0.325, [(0, 0, 0)]),
        ("formats/tiff/IXMtest_A02_s9.tif", None, [(0, 0, c) for c in range(3)]),
        ("formats/ometiff/made_IXMtest_CYX.ome.tif", 0.656, [(0, 0, c) for c in range(3)]),
        ("formats/ometiff/multi-channel-time-series.ome.tif", None,
         [(t, 0, c) for t in range(7) for c in range(3)]),
        ("formats/tiff/cherry_deflate16.tif", None, [(0, 0, 0)]),
        ("formats/flatfield/AS_09047_050428030001_O01f00d2.TIF", None, [(0, 0, 0)]),
    ],
)  # fmt: skip
def test_axes_and_pixel_sizes(
    samples: Path, name: str, pixel_um: float | None, keys: list[tuple[int, int, int]]
) -> None:
    reader = reader_for(name)
    assert reader is not None
    with reader.open(samples / name) as image:
        assert image.pixel_um == (pixel_um and pytest.approx(pixel_um))
        assert [(plane.t, plane.z, plane.c) for plane in image.planes] == keys


def test_rgba_nuclei_are_one_channel(samples: Path) -> None:
    with open_replay(str(samples / "nuclei" / "dsb_[25]*.png")) as source:
        frames = list(source.frames())
        assert source.info.channels == ("ch0",)
    assert len(frames) == 9
    assert all(isinstance(frame, Frame) and frame.info.channel == "ch0" for frame in frames)


def test_drosophila_is_coloured(samples: Path) -> None:
    with open_replay(str(samples / "timelapse" / "drosophila")) as source:
        frames = list(source.frames())
    assert source.info.channels == ("R", "G", "B")
    assert [(frame.info.t, frame.info.channel) for frame in frames] == [
        (t, channel) for t in range(10) for channel in "RGB"
    ]


def test_workshop_pair(samples: Path) -> None:
    with open_replay(
        str(samples / "workshop"),
        pattern="xy{position}-{channel}.png",
        channels="1=nuclei,2=reporter",
    ) as source:
        frames = list(source.frames())
    assert [(f.info.position, f.info.t, f.info.channel) for f in frames] == [
        ("040", 0, "nuclei"), ("040", 0, "reporter")]  # fmt: skip
    assert max(int(frame.data.max()) for frame in frames) == 3032
    assert source.info.ignored == 1


@pytest.mark.parametrize("name", ["formats/tiff/mitosis_C1_stack.tif",
    "formats/tiff/cherry_deflate16.tif", "formats/ometiff/made_IXMtest_CYX.ome.tif",
    "formats/png/0_1_N_G.png", "formats/jpeg/Clones1.JPG"])  # fmt: skip
def test_cut_samples_never_show_zeros(samples: Path, name: str, tmp_path: Path) -> None:
    raw = (samples / name).read_bytes()
    reader = reader_for(name)
    assert reader is not None
    with reader.open(samples / name) as image:
        whole = [image.read(plane) for plane in image.planes]
    path = tmp_path / Path(name).name
    for part in (0.0001, 0.01, 0.3, 0.7, 0.99):
        path.write_bytes(raw[: int(len(raw) * part)])
        with suppress(ReadError), reader.open(path) as image:
            for plane in image.planes:
                with suppress(ReadError):
                    np.testing.assert_array_equal(image.read(plane), whole[plane.number])
