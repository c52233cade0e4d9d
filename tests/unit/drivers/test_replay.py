import os
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import imagecodecs
import numpy as np
import pytest
import tifffile
import xxhash

from dipstream.errors import ConfigError, SourceError
from dipstream.frame import BadFrame, Frame, Pixels
from dipstream.reader import Plane
from dipstream.source import Source, SourceEvent
from dipstream_drivers.readers import choose
from dipstream_drivers.replay import open_replay

Tiff = Callable[..., bytes]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "in"
    path.mkdir()
    return path


def fill(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def keys(frames: list[Frame | BadFrame]) -> list[tuple[object, ...]]:
    return [
        (f.info.position, f.info.t, f.info.z, f.info.channel, isinstance(f, Frame)) for f in frames
    ]


def replayed(*target: object, **options: Any) -> list[Frame | BadFrame]:
    with open_replay(str(target[0]), **options) as source:
        return list(source.frames())


def test_natural_order_and_positions(folder: Path, tiff: Tiff) -> None:
    names = ["t10.tif", "t9.tif", "b/t1.tif", "a/x/t1.tif", "a/t2.tif", "a/t11.tif"]
    fill(folder, {name: tiff(number) for number, name in enumerate(names)})
    fill(folder, {"notes.txt": b"x", ".hidden.tif": b"x"})
    source = open_replay(str(folder))
    assert isinstance(source, Source)
    frames = list(source.frames())
    paths = [Path(f.info.origin.path) for f in frames if f.info.origin is not None]
    assert [path.relative_to(folder).as_posix() for path in paths] == [
        "a/t2.tif", "a/t11.tif", "a/x/t1.tif", "b/t1.tif", "t9.tif", "t10.tif"]  # fmt: skip
    assert [(f.info.position, f.info.t) for f in frames] == [
        ("a", 0), ("a", 1), ("a/x", 0), ("b", 0), ("0", 0), ("0", 1)]  # fmt: skip
    assert (source.info.ignored, source.info.frames) == (2, 6)
    assert (source.info.grouped, source.info.replayable, source.info.live) == (True, True, False)
    assert dict(frames[3].info.index) == {"t": 0, "p": 2, "c": 0, "z": 0}
    assert list(keys(list(source.frames()))) == list(keys(frames))


def test_origin_and_segment(folder: Path, tiff: Tiff) -> None:
    fill(folder, {"a.tif": tiff()})
    (frame,) = replayed(folder, pixel_um=0.5, bit_depth=12)
    origin, stat = frame.info.origin, (folder / "a.tif").stat()
    assert origin is not None
    assert (origin.path, origin.size, origin.mtime_ns, origin.inode) == (
        str(folder / "a.tif"), stat.st_size, stat.st_mtime_ns, stat.st_ino)  # fmt: skip
    assert origin.content_hash == xxhash.xxh3_64_hexdigest(tiff())
    segment = frame.info.segment
    assert (segment.camera, segment.dtype, segment.pixel_um, segment.bit_depth) == (
        "file",
        "uint16",
        0.5,
        12,
    )
    assert (frame.info.seq, frame.info.time_source, frame.info.exposed_ns) == (
        None,
        "unknown",
        None,
    )
    assert frame.info.received_ns > 0


def test_pattern_sorts_by_its_axes(folder: Path, tiff: Tiff) -> None:
    names = [
        f"z{z}_t{t}_{c}_p{p}.tif" for z in (0, 1) for t in (2, 10) for c in "ab" for p in (9, 10)
    ]
    fill(folder, {name: tiff() for name in names} | {"z0_other.tif": tiff()})
    frames = replayed(folder, pattern="z{z}_t{t}_{c}_p{p}.tif", channels="b,a")
    assert [(f.info.t, f.info.position, f.info.z, f.info.channel) for f in frames] == [
        (t, p, z, c) for t in (2, 10) for p in ("9", "10") for z in (0, 1) for c in "ba"
    ]
    assert [f.info.index["c"] for f in frames[:2]] == [0, 1]


@pytest.mark.parametrize(
    ("channels", "names"),
    [
        (None, ["1", "2"]),
        ("1=n,2=r", ["n", "r"]),
        ("2=r,1=n", ["r", "n"]),
        ("n,r", ["n", "r"]),
        ("2,1", ["2", "1"]),
        ("2=only", ["only"]),
    ],
)
def test_channels_of_a_pattern(
    folder: Path, tiff: Tiff, channels: str | None, names: list[str]
) -> None:
    fill(folder, {f"xy1-{c}.tif": tiff(c) for c in (1, 2)})
    source = open_replay(str(folder), pattern="xy{position}-{channel}.tif", channels=channels)
    assert source.info.channels == tuple(names)
    assert [f.info.channel for f in source.frames()] == names
    assert source.info.ignored == 2 - len(names)


def test_channels_of_metadata(folder: Path) -> None:
    data = np.ones((3, 4, 5), "u1")
    tifffile.imwrite(folder / "a.ome.tif", data, ome=True,
                     metadata={"axes": "CYX", "Channel": {"Name": ["A", "B", "C"]}})  # fmt: skip
    source = open_replay(str(folder), channels="C,A")
    frames = list(source.frames())
    assert [(f.info.channel, f.info.index["c"]) for f in frames] == [("C", 0), ("A", 1)]
    assert source.info.ignored == 1
    assert source.info.channels == ("C", "A")
    with pytest.raises(SourceError, match="it has A, B, C"):
        open_replay(str(folder), channels="x=y")


def test_no_channel_matches(folder: Path, tiff: Tiff) -> None:
    fill(folder, {"xy1-a.tif": tiff()})
    with pytest.raises(SourceError, match=r"file names say a\. Give channels as in a=nuclei"):
        open_replay(str(folder), pattern="xy{p}-{c}.tif", channels="n,r")


def test_stacks_of_channels_are_merged_by_time(folder: Path, tiff: Tiff) -> None:
    fill(folder, {f"C{c}-p.tif": tiff(c, planes=3, photometric="minisblack") for c in (1, 2)})
    frames = replayed(folder, pattern="C{channel}-{position}.tif")
    assert [(f.info.t, f.info.channel) for f in frames] == [(t, c) for t in range(3) for c in "12"]


def test_more_files_than_may_be_open(folder: Path, tiff: Tiff) -> None:
    fill(folder, {f"z{z}-{c}.tif": tiff(z + c) for z in range(40) for c in (0, 1)})
    frames = replayed(folder, pattern="z{z}-{c}.tif")
    assert [(f.info.z, f.info.channel) for f in frames] == [(z, c) for z in range(40) for c in "01"]
    assert [int(f.data[0, 0]) for f in frames] == [z + c + 1 for z in range(40) for c in (0, 1)]


def test_bad_files_keep_their_place(folder: Path, tiff: Tiff) -> None:
    fill(folder, {f"{n}.tif": tiff(n) for n in range(5)})
    fill(folder, {"2.tif": tiff()[:-3], "0.tif": b"text"})
    source = open_replay(str(folder))
    assert source.info.shape == (12, 10)
    frames = list(source.frames())
    assert keys(frames) == [
        ("0", t, 0, "ch0" if t in (1, 3, 4) else "", t in (1, 3, 4)) for t in range(5)
    ]
    bad = frames[2]
    assert isinstance(bad, BadFrame)
    assert "2.tif: plane 1 of 1 is truncated" in bad.reason or "truncated" in bad.reason
    assert "Traceback" in bad.detail
    assert bad.info.origin is not None
    assert bad.info.origin.content_hash


def test_bad_files_of_a_pattern_have_index_and_channel(folder: Path, tiff: Tiff) -> None:
    fill(folder, {f"t{t}-{c}.tif": tiff() for t in range(2) for c in "ab"})
    fill(folder, {"t1-a.tif": b""})
    frames = replayed(folder, pattern="t{t}-{c}.tif", channels="a=A,b=B")
    assert keys(frames)[2:] == [("0", 1, 0, "A", False), ("0", 1, 0, "B", True)]
    assert dict(frames[2].info.index) == {"t": 1, "p": 0, "z": 0, "c": 0}


def test_a_bad_stack_among_stacks_keeps_its_time(folder: Path, tiff: Tiff) -> None:
    fill(folder, {f"t{t}.tif": tiff(planes=3, photometric="minisblack") for t in range(3)})
    fill(folder, {"t1.tif": b"broken"})
    assert [f.info.t for f in replayed(folder, pattern="t{t}.tif")] == [0, 1, 2, 3, 6, 7, 8]


def test_bad_planes(folder: Path, tiff: Tiff) -> None:
    whole = tiff(planes=4, photometric="minisblack", metadata=None, compression="zlib")
    fill(folder, {"a.tif": whole[: len(whole) // 2], "b.tif": tiff()})
    frames = replayed(folder)
    good = [isinstance(frame, Frame) for frame in frames]
    assert good[0]
    assert False in good
    assert frames[-1].info.t == len(frames) - 1


def png(*layers: int) -> bytes:
    shape = (6, 5) if len(layers) == 1 else (6, 5, len(layers))
    return bytes(imagecodecs.png_encode(np.broadcast_to(np.array(layers, "u1"), shape).copy()))


@pytest.mark.parametrize(
    ("files", "channels", "good"),
    [
        ([png(5, 5, 5), png(6, 6, 6, 255), png(7)], ("ch0",), [True, True, True]),
        ([png(5, 5, 5), png(1, 2, 3), png(6, 6, 6)], ("ch0",), [True, False, True]),
        ([png(5), png(6, 6, 6), png(1, 2, 3)], ("ch0",), [True, True, False]),
        ([png(1, 2, 3), png(5, 5, 5), png(5)], ("R", "G", "B"), [True] * 6 + [False]),
    ],
)
def test_the_first_file_decides_on_colour(
    folder: Path, files: list[bytes], channels: tuple[str, ...], good: list[bool]
) -> None:
    fill(folder, {f"{number}.png": content for number, content in enumerate(files)})
    source = open_replay(str(folder))
    frames = list(source.frames())
    assert source.info.channels == channels
    assert [isinstance(frame, Frame) for frame in frames] == good
    for frame in frames:
        if isinstance(frame, BadFrame):
            assert "files before it are" in frame.reason


def test_several_roots_and_series(tmp_path: Path, tiff: Tiff) -> None:
    fill(tmp_path, {"a/x.tif": tiff(), "a/s/x.tif": tiff(), "b/x.tif": tiff()})
    with tifffile.TiffWriter(tmp_path / "b" / "y.ome.tif", ome=True) as writer:
        for _ in range(2):
            writer.write(np.ones((4, 5), "u1"))
    with open_replay([str(tmp_path / "a"), str(tmp_path / "b")]) as source:
        found = [(f.info.position, f.info.t) for f in source.frames()]
    assert sorted(found) == [("a", 0), ("a/s", 0), ("b", 0), ("b/0", 1), ("b/1", 1)]


def test_globs_and_single_files(folder: Path, tiff: Tiff) -> None:
    fill(folder, {"a1.tif": tiff(), "b1.tif": tiff(), "s/a2.tif": tiff(), "[x].tif": tiff()})
    assert len(replayed(folder / "a*.tif")) == 1
    assert len(replayed(folder / "**" / "a*.tif")) == 2
    assert len(replayed(folder / "b1.tif")) == 1
    assert len(replayed(folder / "[x].tif")) == 1


def test_missing_and_empty(folder: Path, tiff: Tiff) -> None:
    with pytest.raises(SourceError) as error:
        open_replay(str(folder / "x" / "y"))
    assert f"nearest folder that exists is {folder}" in str(error.value)
    with pytest.raises(SourceError, match="holds no file"):
        open_replay(str(folder))
    fill(folder, {f"{n}.txt": b"x" for n in range(9)})
    with pytest.raises(SourceError, match=r"none of the 9 files.*\.txt.*and 6 more.*\.tif"):
        open_replay(str(folder))
    fill(folder, {"a.tif": tiff()})
    with pytest.raises(SourceError, match=r"matches the pattern 'x\{t\}.tif'"):
        open_replay(str(folder), pattern="x{t}.tif")
    with pytest.raises(ConfigError, match="fps"):
        open_replay(str(folder), fps=-1.0)


def test_warnings_come_once(folder: Path) -> None:
    encoded = bytes(imagecodecs.jpeg_encode(np.ones((8, 8), "u1")))
    fill(folder, {f"{n}.jpg": encoded for n in range(5)})
    events: list[SourceEvent] = []
    with open_replay(str(folder)) as source:
        source.listen(events.append)
        assert len(list(source.frames())) == 5
    assert [event.kind for event in events] == ["warning"]
    assert "lossy" in events[0].message


def test_paced(folder: Path, tiff: Tiff) -> None:
    fill(folder, {f"{n}.tif": tiff(n) for n in range(6)})
    with open_replay(str(folder), fps=50.0) as source:
        assert source.info.live
        began = time.monotonic()
        assert len(list(source.frames())) == 6
        assert time.monotonic() - began >= 0.1


def test_stop_ends_soon(folder: Path, tiff: Tiff) -> None:
    fill(folder, {f"{n}.tif": tiff(n) for n in range(50)})
    source = open_replay(str(folder))
    count = 0
    for _ in source.frames():
        count += 1
        source.stop()
    assert count == 1


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="needs a user that is not root"
)
def test_unreadable_file(folder: Path, tiff: Tiff) -> None:
    fill(folder, {"a.tif": tiff(), "b.tif": tiff()})
    (folder / "a.tif").chmod(0)
    assert [isinstance(frame, Frame) for frame in replayed(folder)] == [False, True]


@pytest.mark.skipif(os.name == "nt", reason="names are Unicode there")
def test_names_that_are_no_unicode_are_ignored(folder: Path, tiff: Tiff) -> None:
    fill(folder, {"ä.tif": tiff()})
    with open(os.fsencode(folder) + b"/\xff.tif", "wb") as file:  # noqa: PTH123
        file.write(tiff())
    source = open_replay(str(folder))
    assert (len(list(source.frames())), source.info.ignored) == (1, 1)


class Odd:
    """A reader of another package that misbehaves."""

    name = "odd"
    suffixes = (".odd",)

    def open(self, path: Path) -> "Odd":
        self.text = path.read_text()
        if self.text == "open":
            raise KeyError("nothing")
        return self

    planes = (Plane(0),)
    pixel_um = None
    bit_depth = None
    warnings = ()

    def read(self, plane: Plane) -> Pixels:
        if self.text == "read":
            raise RuntimeError("segfault, nearly")
        return np.ones((2, 3, 4) if self.text == "shape" else (2, 3))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None


def test_readers_of_other_packages(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = SimpleNamespace(name="odd", value="odd:Odd", load=lambda: Odd)
    monkeypatch.setattr(choose, "entry_points", lambda group: [entry])
    fill(folder, {f"{n}.odd": text for n, text in enumerate([b"fine", b"open", b"read", b"shape"])})
    choose.readers.cache_clear()
    choose.by_suffix.cache_clear()
    try:
        frames = replayed(folder, isolate=False)  # a child would not see what is patched here
        entry.load = dict
        choose.readers.cache_clear()
        with pytest.raises(ConfigError, match="'odd'"):
            choose.readers()
    finally:
        monkeypatch.undo()
        choose.readers.cache_clear()
        choose.by_suffix.cache_clear()
    assert [isinstance(frame, Frame) for frame in frames] == [True, False, False, False]
