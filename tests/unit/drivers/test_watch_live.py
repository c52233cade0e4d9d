"""Watched folders in real time, with the events of the system."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dipstream.frame import BadFrame, Frame
from dipstream.source import SourceEvent
from dipstream_drivers import hints
from dipstream_drivers.watch import WatchSource, open_watch


class Running:
    """A watch in a thread of its own."""

    def __init__(self, source: WatchSource) -> None:
        self.source = source
        self.frames: list[Frame | BadFrame] = []
        self.events: list[SourceEvent] = []
        source.listen(self.events.append)
        self.thread = threading.Thread(
            target=lambda: self.frames.extend(source.frames()), daemon=True
        )
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        for frame in self.source.frames():
            self.frames.append(frame)

    def wait(self, count: int, seconds: float = 10.0) -> None:
        end = time.monotonic() + seconds
        while len(self.frames) < count and time.monotonic() < end:
            time.sleep(0.01)
        assert len(self.frames) == count

    def stop(self) -> float:
        began = time.monotonic()
        self.source.stop()
        self.thread.join(5)
        assert not self.thread.is_alive()
        return time.monotonic() - began


def test_events_wake_a_slow_poll(tmp_path: Path, tiff: Callable[..., bytes]) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    running = Running(open_watch(str(folder), poll_s=30.0))
    time.sleep(0.3)
    (folder / "a.part").write_bytes(tiff())
    (folder / "a.part").rename(folder / "a.tif")
    running.wait(1, seconds=5)
    assert running.stop() < 0.2
    assert running.events == []


def test_stop_while_waiting(tmp_path: Path) -> None:
    running = Running(open_watch(str(tmp_path), poll_s=60.0))
    time.sleep(0.2)
    assert running.stop() < 0.2
    with running.source:
        pass


def test_without_events_the_folder_is_polled(
    tmp_path: Path, tiff: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        def schedule(self, *_: object, **__: object) -> None:
            raise OSError(28, "inotify watch limit reached")

        def is_alive(self) -> bool:
            return False

    monkeypatch.setattr(hints, "Observer", Full)
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    running = Running(open_watch(str(folder), poll_s=0.05))
    (folder / "sub" / "a.tif").write_bytes(tiff())
    running.wait(1)
    running.stop()
    assert [event.kind for event in running.events] == ["warning"]
    assert "inotify watch limit" in running.events[0].message


def test_slow_writer(tmp_path: Path, tiff: Callable[..., bytes]) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    running = Running(open_watch(str(folder), poll_s=0.05, broken_after_s=5.0))
    content = tiff()
    with (folder / "a.tif").open("wb") as file:
        for start in range(0, len(content), 60):
            file.write(content[start : start + 60])
            file.flush()
            time.sleep(0.03)
    running.wait(1)
    running.stop()
    assert all(isinstance(frame, Frame) for frame in running.frames)
