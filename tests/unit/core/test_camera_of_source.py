"""A camera file is held against the camera of a run: announced, or told by the first frame."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dipstream.calibrate import CameraFile, CameraMode, write_camera
from dipstream.errors import ConfigError
from dipstream.frame import Frame, FrameInfo, Segment
from dipstream.pipeline import Plan, open_plan
from dipstream.service import start
from dipstream.source import BaseSource, SourceInfo


class Camera(BaseSource):
    """Three frames of a camera, of which this much is announced."""

    def __init__(self, camera: str, binning: int, /, **announced: Any) -> None:
        info = SourceInfo("camera:", ("DAPI",), (32, 32), "uint16", grouped=True, **announced)
        super().__init__(info)
        self.segment = Segment((32, 32), "uint16", camera=camera, binning=binning)
        self.taken = 0

    def frames(self) -> Iterator[Frame]:
        for number in range(3):
            self.taken += 1
            pixels = np.full((32, 32), 100 + number, "uint16")
            yield Frame(pixels, FrameInfo(self.segment, "DAPI", t=number))


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    path = tmp_path / "camera.toml"
    mode = CameraMode("DAPI", 100.0, 0.47, camera="orca", binning=2)
    write_camera(path, CameraFile("orca", (mode,)))
    return open_plan("nuclei", camera=path)


@pytest.mark.parametrize(("camera", "binning"), [("orca", 1), ("prime", 2)])
def test_an_announced_camera_is_refused_before_the_first_frame(
    plan: Plan, tmp_path: Path, camera: str, binning: int
) -> None:
    source = Camera(camera, binning, camera=camera, binning=binning)
    with pytest.raises(ConfigError, match=r"camera.toml is of (binning 2|the camera 'orca')"):
        start(source, plan, home=tmp_path)
    assert source.taken == 0


@pytest.mark.parametrize(
    ("camera", "binning", "announced"),
    [("orca", 1, {}), ("prime", 2, {}), ("orca", 1, {"camera": "orca"})],
)
def test_another_is_refused_at_the_first_frame(
    plan: Plan, tmp_path: Path, camera: str, binning: int, announced: dict[str, Any]
) -> None:
    run = start(Camera(camera, binning, **announced), plan, home=tmp_path)
    run.wait()
    assert isinstance(run.error, ConfigError)
    assert "camera.toml is of" in str(run.error)
    summary = run.summary()
    assert (summary["received"], summary["quarantined"], summary["analysed"]) == (1, 1, 0)


@pytest.mark.parametrize("announced", [{}, {"camera": "orca", "binning": 2}])
def test_the_camera_of_the_file_is_welcome(
    plan: Plan, tmp_path: Path, announced: dict[str, Any]
) -> None:
    run = start(Camera("orca", 2, **announced), plan, home=tmp_path)
    run.wait()
    assert run.error is None
    assert run.summary()["analysed"] == 3
