"""Files to be read, and folders whose clock the test turns."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from dipstream.frame import BadFrame, Frame, Pixels
from dipstream.source import SeenFrame, SourceEvent
from dipstream_drivers.channels import ChannelMap
from dipstream_drivers.pattern import Pattern
from dipstream_drivers.places import Placer, Root
from dipstream_drivers.survey import Timing
from dipstream_drivers.unpack import Options
from dipstream_drivers.watch import WatchSource


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder of real microscopy files."""
    default = Path(__file__).parents[3].parent / "shared" / "data"
    folder = Path(os.environ.get("DIPSTREAM_TEST_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no sample files: {folder} is missing; set DIPSTREAM_TEST_DATA")
    return folder


def picture(value: int = 0, shape: tuple[int, int] = (12, 10)) -> Pixels:
    """Pixels of which none is 0, so that silent zeros are seen."""
    pixels: Pixels = (np.arange(shape[0] * shape[1]).reshape(shape) % 199 + 1 + value).astype("u2")
    return pixels


class NoHints:
    """A file system that tells nothing."""

    def start(self) -> str:
        return ""

    def stop(self) -> None:
        return None

    def finished(self) -> set[str]:
        return set()


@dataclass
class Watched:
    """A watch whose time passes only while it waits; `at` plans what happens when."""

    folder: Path
    now: float = 0.0
    end: float = 20.0
    plan: list[tuple[float, Callable[[], object]]] = field(default_factory=list)
    events: list[SourceEvent] = field(default_factory=list)
    writes: int = 0
    source: WatchSource | None = None

    def at(self, when: float, action: Callable[[], object]) -> None:
        self.plan.append((when, action))
        self.plan.sort(key=lambda item: item[0])

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        while self.plan and self.plan[0][0] <= self.now:
            self.plan.pop(0)[1]()
        if self.now >= self.end and self.source is not None:
            self.source.stop()

    def write(self, name: str, content: bytes) -> Path:
        """Write a file with a time of change that no other write has."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        self.writes += 1
        os.utime(path, ns=(self.writes * 10**9, self.writes * 10**9))
        return path

    def open(
        self,
        *roots: Path,
        pattern: str | None = None,
        channels: str | None = None,
        seen: list[SeenFrame] | None = None,
    ) -> WatchSource:
        placer = Placer(None if pattern is None else Pattern.compile(pattern))
        source = WatchSource(
            "watch",
            Root.several(roots or (self.folder,)),
            placer,
            Options(ChannelMap.parse(channels)),
            Timing(poll_s=0.5, stable_polls=2, broken_after_s=4.0, rescan_s=1.0),
            clock=lambda: self.now,
            sleep=self.sleep,
        )
        source._hints = NoHints()  # type: ignore[assignment]
        source.listen(self.events.append)
        if seen is not None:
            source.resume(seen)
        self.source = source
        return source

    def run(self, *roots: Path, **options: Any) -> list[Frame | BadFrame]:
        """Watch from now until the end."""
        with self.open(*roots, **options) as source:
            return list(source.frames())


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    folder = tmp_path / "in"
    folder.mkdir()
    return Watched(folder)


@pytest.fixture
def tiff(tmp_path: Path) -> Callable[..., bytes]:
    """The bytes of a TIFF."""

    def made(value: int = 0, planes: int = 1, **options: Any) -> bytes:
        path = tmp_path / "made.tif"
        pixels = (
            picture(value) if planes == 1 else np.stack([picture(value + n) for n in range(planes)])
        )
        tifffile.imwrite(path, pixels, **options)
        return path.read_bytes()

    return made
