"""Frames, image sets and pipeline files for the tests of the line itself."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dipstream.frame import Frame, FrameInfo, ImageSet, Segment, SetKey
from dipstream.pipeline import Plan, open_plan


def make_frame(t: int = 0, channel: str = "DAPI", pixels: Any = None, **info: Any) -> Frame:
    """A frame of constant value t + 1, if no pixels are given."""
    data = np.full((4, 5), t + 1, "uint16") if pixels is None else np.asarray(pixels)
    segment = info.pop("segment", None) or Segment(
        shape=(data.shape[0], data.shape[1]), dtype=str(data.dtype)
    )
    return Frame(data, FrameInfo(segment=segment, channel=channel, t=t, **info))


def make_set(
    *frames: Frame, set_id: int = 0, channels: tuple[str, ...] = (), **more: Any
) -> ImageSet:
    """An image set of these frames; one of four pixels, if there are none."""
    chosen = frames or (make_frame(set_id),)
    info = chosen[0].info
    return ImageSet(
        set_id=set_id,
        key=SetKey(0, info.position, info.t, info.z),
        frames=chosen,
        frame_ids=tuple(range(len(chosen))),
        channels=channels or tuple(dict.fromkeys(frame.info.channel for frame in chosen)),
        **more,
    )


@pytest.fixture(name="make_frame")
def make_frame_fixture() -> Callable[..., Frame]:
    return make_frame


@pytest.fixture(name="make_set")
def make_set_fixture() -> Callable[..., ImageSet]:
    return make_set


@pytest.fixture
def plan(tmp_path: Path) -> Callable[[str], Plan]:
    """From the text of a pipeline file to a plan; relative files lie in `tmp_path`."""

    def made(text: str) -> Plan:
        path = tmp_path / "pipeline.yaml"
        path.write_text(text, encoding="utf-8")
        return open_plan(path)

    return made


@pytest.fixture
def squares() -> np.ndarray:
    """Three bright squares on a dark, slightly uneven ground: (40, 50), uint16."""
    pixels = np.full((40, 50), 10, "uint16") + (np.arange(50) % 3).astype("uint16")
    for y, x, side, value in [(4, 5, 6, 100), (20, 8, 8, 150), (12, 30, 10, 200)]:
        pixels[y : y + side, x : x + side] = value + np.arange(side) % 4
    return pixels


@pytest.fixture
def pixels_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts the pixels of frames alone: sizes that a test gives are then all that is held."""
    monkeypatch.setattr("dipstream.frame.FRAME_BYTES", 0)
