"""Readers that crash on a file: it goes to the quarantine, and everything else is read."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from dipstream.frame import BadFrame, Frame
from dipstream.supervise import POOL
from dipstream_drivers.readers import choose
from dipstream_drivers.replay import open_replay
from dipstream_drivers.watch import open_watch

READER = """\
import os
import numpy as np
from dipstream.reader import Plane

class Odd:
    name, suffixes = "odd", (".odd",)
    planes, pixel_um, bit_depth, warnings = (Plane(0),), None, None, ("odd",)

    def open(self, path):
        self.text = path.read_text()
        if self.text == "open":
            os.kill(os.getpid(), 11)
        return self

    def read(self, plane):
        if self.text == "read":
            os.kill(os.getpid(), 11)
        return np.full((24, 30), 7, "uint16")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass
"""


@pytest.fixture
def odd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Installs a package with a reader of .odd files; returns a folder for them."""
    package = tmp_path / "package"
    about = package / "odd_of_tests-1.0.dist-info"
    about.mkdir(parents=True)
    (package / "odd_of_tests.py").write_text(READER, encoding="utf-8")
    (about / "METADATA").write_text("Name: odd-of-tests\nVersion: 1.0\n", encoding="utf-8")
    text = "[dipstream.readers]\nodd = odd_of_tests:Odd\n"
    (about / "entry_points.txt").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(package)
    folder = tmp_path / "images"
    folder.mkdir()

    def clear() -> None:
        POOL.close()
        choose.readers.cache_clear()
        choose.by_suffix.cache_clear()

    clear()
    yield folder
    clear()


def test_a_file_that_kills_its_reader_takes_its_place_as_a_bad_frame(odd: Path) -> None:
    for number, text in enumerate(["fine", "open", "fine", "read", "fine"]):
        (odd / f"{number}.odd").write_text(text, encoding="utf-8")
    with open_replay(str(odd)) as source:
        frames = list(source.frames())
    assert [isinstance(frame, Frame) for frame in frames] == [True, False, True, False, True]
    assert frames[0].data.max() == 7
    for frame in frames:
        if isinstance(frame, BadFrame):
            assert "lost each time it was tried; it was killed by SIGSEGV" in frame.reason
            assert "Fatal Python error: Segmentation fault" in frame.detail


def test_a_crash_loop_is_reported_and_spares_the_innocent(odd: Path) -> None:
    for number in range(4):
        (odd / f"{number}.odd").write_text("open", encoding="utf-8")
    (odd / "9.odd").write_text("fine", encoding="utf-8")
    told: list[str] = []
    source = open_watch(str(odd), poll_s=0.05, stable_polls=1, broken_after_s=600)
    source.listen(lambda event: told.append(event.kind))
    timer = threading.Timer(40, source.stop)
    timer.start()
    found: list[Frame | BadFrame] = []
    with source:
        for frame in source.frames():
            found.append(frame)
            if len(found) == 5:
                break
    timer.cancel()
    assert sorted(isinstance(frame, Frame) for frame in found) == [False] * 4 + [True]
    assert "degraded" in told


def test_poison_in_a_watched_folder_is_not_waited_for(odd: Path) -> None:
    (odd / "1.odd").write_text("open", encoding="utf-8")
    tifffile.imwrite(odd / "2.tif", np.zeros((24, 30), "uint16"))
    source = open_watch(str(odd), poll_s=0.05, stable_polls=1, broken_after_s=600)
    timer = threading.Timer(20, source.stop)
    timer.start()
    found: list[Frame | BadFrame] = []
    with source:
        for frame in source.frames():
            found.append(frame)
            if len(found) == 2:
                break
    timer.cancel()
    assert sorted(isinstance(frame, Frame) for frame in found) == [False, True]


def test_a_child_reads_and_not_this_process(odd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any) -> None:
        raise AssertionError(f"{os.getpid()} decoded")

    tifffile.imwrite(odd / "1.tif", np.zeros((24, 30), "uint16"))
    monkeypatch.setattr(tifffile.TiffFile, "__init__", never)
    with open_replay(str(odd)) as source:
        assert [frame.data.shape for frame in source.frames()] == [(24, 30)]
