"""Files made to do harm, and a process that reads them one by one and says how that went."""

import io
import json
import os
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

MB = 2**20
SECRET = "the content of a file that nobody may read"
DTD = '<!DOCTYPE OME [<!ENTITY x SYSTEM "{secret}">]>'
LAUGHS = "<!DOCTYPE OME [<!ENTITY a0 'ha'>{}]>".format(
    "".join(f"<!ENTITY a{n} '{f'&a{n - 1};' * 10}'>" for n in range(1, 12))
)


def tiff(pixels: bytes = b"", pages: int = 1, after: int = 0, **tags: Any) -> bytes:
    """A little-endian TIFF; `after` is where the last page says that the next one is."""
    fields = {
        "width": (256, 4, 64), "length": (257, 4, 64), "bits": (258, 3, 8),
        "compression": (259, 3, 1), "photometric": (262, 3, 1), "description": (270, 2, None),
        "offsets": (273, 4, 8), "samples": (277, 3, 1), "rows": (278, 4, 2**32 - 1),
        "counts": (279, 4, len(pixels)), "tile_width": (322, 4, None),
        "tile_length": (323, 4, None), "tile_offsets": (324, 4, None),
        "tile_counts": (325, 4, None),
    }  # fmt: skip
    head, extra = struct.pack("<2sHI", b"II", 42, 8 + len(pixels)), b""
    size = sum(tags.get(name, given[2]) is not None for name, given in fields.items())
    length = 2 + 12 * size + 4
    start = 8 + len(pixels)
    entries = b""
    for name, (tag, kind, default) in fields.items():
        value = tags.get(name, default)
        if value is None:
            continue
        code = {2: "s", 3: "H", 4: "I"}[kind]
        if isinstance(value, bytes):
            packed, count = value + b"\0", len(value) + 1
        else:
            values = value if isinstance(value, list | tuple) else [value]
            packed, count = struct.pack(f"<{len(values)}{code}", *values), len(values)
        if len(packed) > 4:
            entries += struct.pack("<HHII", tag, kind, count, start + length * pages + len(extra))
            extra += packed + b"\0" * (len(packed) % 2)
        else:
            entries += struct.pack("<HHI", tag, kind, count) + packed.ljust(4, b"\0")
    made = head + pixels
    for page in range(pages):
        following = start + length * (page + 1) if page < pages - 1 else after
        made += struct.pack("<H", size) + entries + struct.pack("<I", following)
    return made + extra


def png(width: int, height: int, data: bytes) -> bytes:
    """A grey PNG of 8 bits."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


def jpeg(width: int, height: int) -> bytes:
    """A JPEG whose header declares another size than it has."""
    import imagecodecs  # noqa: PLC0415

    made = bytearray(imagecodecs.jpeg_encode(np.zeros((16, 16), np.uint8)))
    at = made.find(b"\xff\xc0")
    made[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(made)


def jpeg2000(side: int) -> bytes:
    """A JPEG 2000 whose header declares another size than it has."""
    import imagecodecs  # noqa: PLC0415

    made = bytearray(imagecodecs.jpeg2k_encode(np.zeros((64, 64), np.uint8), codecformat="J2K"))
    at = made.find(b"\xff\x51")
    for field in (6, 10, 22, 26):  # the image and its one tile
        made[at + field : at + field + 4] = struct.pack(">I", side)
    return bytes(made)


@cache
def zeros(nbytes: int) -> bytes:
    """Zeros, deflated."""
    deflate = zlib.compressobj(1)
    return b"".join(deflate.compress(bytes(MB)) for _ in range(nbytes // MB)) + deflate.flush()


def ome(inside: str = "", dtd: str = "", pixels: str = "") -> bytes:
    """A TIFF with OME-XML."""
    axes = pixels or 'SizeT="1" SizeC="1" SizeZ="1"'
    xml = (
        f'<?xml version="1.0"?>{dtd}<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
        f'<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" '
        f'SizeX="64" SizeY="64" {axes}><Channel ID="c" Name="{inside}"/>'
        f"<TiffData/></Pixels></Image></OME>"
    )
    return tiff(bytes(64 * 64), description=xml.encode())


def compressed(name: str, nbytes: int) -> bytes:
    """Zeros, compressed by one of TIFF's codecs."""
    import imagecodecs  # noqa: PLC0415

    encode = getattr(imagecodecs, f"{name}_encode")
    return bytes(encode(bytes(nbytes)))


def images(secret: str) -> dict[str, bytes]:
    """All files, by name."""
    big = 400_000
    made: dict[str, bytes] = {
        "raw-400k.tif": tiff(bytes(4096), width=big, length=big),
        "deflate-400k.tif": tiff(zeros(MB), width=big, length=big, compression=8),
        "deflate-30k.tif": tiff(zeros(850 * MB), width=30_000, length=30_000, compression=8),
        "deflate-9500.tif": tiff(zeros(87 * MB), width=9_500, length=9_500, compression=8),
        "deflate-more-than-said.tif": tiff(zeros(200 * MB), compression=8),
        "zstd-more-than-said.tif": tiff(compressed("zstd", 100 * MB), compression=50000),
        "lzw-more-than-said.tif": tiff(compressed("lzw", MB), compression=5),
        "lzma-more-than-said.tif": tiff(compressed("lzma", 4 * MB), compression=34925),
        "packbits-more-than-said.tif": tiff(b"\x81\0" * (20 * MB // 128), compression=32773),
        "zstd-30k.tif": tiff(compressed("zstd", 64 * MB), width=30_000, length=30_000,
                             compression=50000),
        "jpeg2000-60k.tif": tiff(jpeg2000(60_000), compression=34712),
        "jpeg2000-20k.tif": tiff(jpeg2000(20_000), compression=34712),
        "jpeg-65k.tif": tiff(jpeg(65_500, 65_500), compression=7),
        "circle-of-one.tif": tiff(bytes(4096), after=8 + 4096),
        "circle-of-many.tif": tiff(bytes(4096), pages=500, after=8 + 4096),
        "pages-without-end.tif": chain(60_000),
        "strips-beyond.tif": tiff(bytes(4096), offsets=[8] * 3, counts=[2**31] * 3),
        "strips-million.tif": tiff(bytes(4096), width=1, length=MB, rows=1,
                                   offsets=[8] * MB, counts=[1] * MB),
        "strips-shared.tif": tiff(zeros(100 * MB), width=40_000, length=40_000, rows=1000,
                                  compression=8, offsets=[8] * 40, counts=[100_000] * 40),
        "lists-shared.tif": tiff(bytes(4096), pages=800, rows=1, length=20_000,
                                 offsets=[8] * 20_000, counts=[1] * 20_000),
        "tiles-2g.tif": tiff(bytes(4096), tile_width=2**31 - 16, tile_length=2**31 - 16,
                             tile_offsets=8, tile_counts=4096),
        "samples-65k.tif": tiff(bytes(4096), samples=65_535, bits=[64] * 65_535),
        "imagej-4g.tif": tiff(bytes(4096), description=b"ImageJ=1.53\nimages=4000000000\n"
                              b"frames=4000000000\n"),
        "imagej-4m.tif": tiff(bytes(4096), description=b"ImageJ=1.53\nimages=4000000\n"
                              b"frames=4000000\n"),
        "shaped-4m.tif": tiff(bytes(4096), description=b'{"shape": [4000000, 64, 64]}'),
        "shaped-nested.tif": tiff(bytes(4096), description=b'{"shape": ' + b"[" * 50_000 + b"}"),
        "png-400k.png": png(big, big, zeros(MB)),
        "png-30k.png": png(30_000, 30_000, zeros(850 * MB)),
        "png-more-than-said.png": png(64, 64, zeros(200 * MB)),
        "jpeg-65k.jpg": jpeg(65_500, 65_500),
        "entities.ome.tif": ome("&a11;", LAUGHS),
        "external.ome.tif": ome("&x;", DTD.format(secret=secret)),
        "parameter.ome.tif": ome("x", f'<!DOCTYPE OME SYSTEM "{secret}">'),
        "planes.ome.tif": ome(pixels='SizeT="4000000" SizeC="1" SizeZ="1"'),
        "planes-more.ome.tif": ome(pixels='SizeT="99999999999" SizeC="1" SizeZ="1"'),
        "nested.ome.tif": tiff(bytes(4096), description=b"<OME>" + b"<a>" * 200_000 + b"</OME>"),
        "empty.tif": b"",
        "pickle.tif": b"\x80\x04cos\nsystem\n(S'touch executed'\ntR.",
    }  # fmt: skip
    return made


def chain(pages: int) -> bytes:
    """Directories of one tag that says nothing, one after the other."""
    made = [struct.pack("<2sHI", b"II", 42, 8)]
    for page in range(pages):
        made.append(struct.pack("<HHHII", 1, 65000, 3, 1, 0))
        made.append(struct.pack("<I", 8 + 18 * (page + 1)))
    return b"".join(made) + b"\0\0\0\0"


def bomb_npz(nbytes: int) -> bytes:
    """An npz of zeros."""
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("x.npy", "w", force_zip64=True) as file,
    ):
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            header, {"descr": "|u1", "fortran_order": False, "shape": (nbytes,)}
        )
        file.write(header.getvalue())
        for _ in range(nbytes // MB):
            file.write(bytes(MB))
    return buffer.getvalue()


def peak_mb(pid: int) -> float:
    """The most memory that a process held since it was last asked to forget it."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return 0.0


def forget_peak(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")


def spent(me: Any) -> float:
    """Processor seconds of a process and its children; other people's load does not count."""
    every = [one.cpu_times() for one in (me, *me.children())]
    ended = me.cpu_times()
    alive = sum(one.user + one.system for one in every)
    return float(alive + ended.children_user + ended.children_system)


def watched(work: Callable[[], str]) -> dict[str, Any]:
    """Do something and say how it went, how long it took and how much memory it held."""
    import psutil  # noqa: PLC0415

    me = psutil.Process()
    peaks = {me.pid: 0.0}
    for one in (me, *me.children()):
        forget_peak(one.pid)
    began = spent(me)
    try:
        outcome = work()
    except Exception as error:  # noqa: BLE001 - the test says which are allowed
        outcome = f"{type(error).__name__}: {error}"
    seconds = spent(me) - began
    for one in (me, *me.children()):
        try:
            peaks[one.pid] = peak_mb(one.pid)
        except OSError:
            continue
    mine = peaks.pop(me.pid)
    return {
        "outcome": outcome[:5000],
        "seconds": seconds,
        "mine_mb": mine,
        "child_mb": max(peaks.values(), default=0.0),
    }


def replayed(path: Path) -> str:
    """Replay one file and say what came of it."""
    from dipstream.frame import BadFrame  # noqa: PLC0415
    from dipstream_drivers.replay import open_replay  # noqa: PLC0415

    with open_replay(str(path)) as source:
        said = []
        for frame in source.frames():
            text = f"{frame.reason} {frame.detail}" if isinstance(frame, BadFrame) else "a frame"
            said.append(f"{frame.info.channel} {text}")
            if len(said) > 3:
                break
    return "; ".join(said)


def main() -> None:
    """Read all files of a folder; a line of JSON each."""
    folder = Path(sys.argv[1])
    first = folder.parent / "first.tif"
    first.write_bytes(tiff(bytes(4096)))
    replayed(first)  # a child is there, and everything is imported
    for path in sorted(folder.iterdir()):
        found = watched(lambda path=path: replayed(path))  # type: ignore[misc]
        print(json.dumps({"name": path.name, **found}), flush=True)


if __name__ == "__main__":
    os.chdir(Path(sys.argv[1]).parent)
    main()
