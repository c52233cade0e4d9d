import gc
import tracemalloc
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import tifffile

from dipstream.errors import ReadError
from dipstream.frame import FRAME_BYTES, BadFrame, Frame, FrameInfo, ImageSet, Segment, SetKey
from dipstream.sources import open_source

INFO = FrameInfo(segment=Segment(shape=(3, 4), dtype="uint16"), channel="DAPI")


def test_pixels_are_a_read_only_view() -> None:
    pixels = np.arange(12, dtype="uint16").reshape(3, 4)
    frame = Frame(pixels, INFO)
    assert np.shares_memory(frame.data, pixels)
    with pytest.raises(ValueError, match="read-only"):
        frame.data[0, 0] = 1
    assert pixels.flags.writeable, "the driver's own buffer stays as it was"


@pytest.mark.parametrize("shape", [(), (3,), (1, 3, 4), (2, 1, 3, 4)])
def test_only_planes_are_frames(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=rf"received {len(shape)} axes.*one Frame per plane"):
        Frame(np.zeros(shape, "uint16"), INFO)


def test_a_bad_frame_has_no_pixels_but_a_reason() -> None:
    bad = BadFrame(INFO, "the file ends after 12 bytes")
    with pytest.raises(ReadError, match="ends after 12 bytes"):
        _ = bad.data


@pytest.mark.parametrize("value", [INFO, INFO.segment, Frame(np.zeros((3, 4)), INFO)])
def test_values_are_frozen(value: object) -> None:
    with pytest.raises((AttributeError, TypeError)):
        value.channel = "other"  # type: ignore[attr-defined]


def test_planes_of_a_channel_are_stacked() -> None:
    frames = tuple(
        Frame(np.full((3, 4), 10 * c + z, "uint16"), FrameInfo(INFO.segment, channel, z=z))
        for c, channel in enumerate(["DAPI", "GFP"])
        for z in range(2 - c)
    )
    one = ImageSet(0, SetKey(0, "0", 0, None), frames, (0, 1, 2), ("DAPI", "GFP", "Cy5"))
    assert one.nbytes == 3 * (24 + FRAME_BYTES)
    stack, plane = one.pixels("DAPI"), one.pixels("GFP")
    assert stack is not None
    assert plane is not None
    assert stack[:, 0, 0].tolist() == [0, 1]
    assert plane.shape == (3, 4)
    assert one.pixels("Cy5") is None


@pytest.fixture
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize("kind", ["camera", "files"])
def test_what_a_frame_takes_beside_its_pixels_is_counted(tmp_path: Path, kind: str) -> None:
    uri = "sim:?fps=0&width=16&height=16&n=1&frames=300&channels=DAPI"
    if kind == "files":
        uri = str(tmp_path)
        for t in range(300):
            tifffile.imwrite(tmp_path / f"t{t:03}_DAPI.tif", np.zeros((16, 16), "uint16"))
    with open_source(uri) as source:
        coming = source.frames()
        kept = list(islice(coming, 100))  # what is made once is not any frame's
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        kept += islice(coming, 200)
        gc.collect()
        held = (tracemalloc.get_traced_memory()[0] - before) / 200
    assert 0.7 * kept[-1].nbytes < held < 1.1 * kept[-1].nbytes
