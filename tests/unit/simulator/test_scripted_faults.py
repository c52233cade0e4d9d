"""Faults come when the script says so, and only then."""

import time

import numpy as np
import pytest

from dipstream.errors import SourceError
from dipstream_simulator import SimSource, open_sim
from dipstream_simulator.faults import Faults


def small(**changes: object) -> SimSource:
    return open_sim(**({"n": 3, "width": 64, "height": 48, "fps": 0, "frames": 8} | changes))  # type: ignore[arg-type]


def test_dropped_frames_leave_a_gap_in_the_counter() -> None:
    whole = {frame.info.seq: frame for frame in small().frames()}
    left = {frame.info.seq: frame for frame in small(faults="drop@2-3,drop@6").frames()}
    assert list(left) == [0, 1, 4, 5, 7]
    for seq, frame in left.items():
        np.testing.assert_array_equal(frame.data, whole[seq].data)
        assert frame.info.t == whole[seq].info.t


def test_a_camera_that_hangs_goes_on_and_can_be_stopped() -> None:
    source = small(faults="hang@1:0.3")
    began = time.monotonic()
    assert len(list(source.frames())) == 8
    assert 0.3 <= time.monotonic() - began < 30
    stuck = small(faults="hang@1:600")
    frames = stuck.frames()
    next(frames)
    stuck.stop()
    assert next(frames, None) is None


def test_a_camera_that_fails() -> None:
    frames = small(faults="raise@3").frames()
    assert [next(frames).info.seq for _ in range(3)] == [0, 1, 2]
    with pytest.raises(SourceError, match="frame 3"):
        next(frames)


def test_the_truth_knows_of_faults() -> None:
    source = small(n=6, faults="saturate@2,shape@4", frames=8)
    frames = list(source.frames())
    pixels = source.truth(2).pixels
    assert pixels is not None
    assert pixels().saturated.all()
    ordinary = source.truth(3).pixels
    assert ordinary is not None
    assert not ordinary().saturated.any()
    half, whole = source.truth(4), source.truth(5)
    assert half.labels.shape == frames[4].data.shape == (24, 64)
    np.testing.assert_array_equal(half.labels > 0, whole.labels[:24] > 0)
    assert half.count == len(half.y_um) == len(half.parent_ids) == half.labels.max()
    assert 0 < half.count < whole.count
    for label, track in enumerate(half.track_ids, 1):
        other = int(np.flatnonzero(whole.track_ids == track)[0]) + 1
        np.testing.assert_array_equal(half.labels == label, whole.labels[:24] == other)
    assert half.pixels is not None
    assert half.pixels().photons.shape == (24, 64)


def test_half_a_frame_says_so() -> None:
    frames = list(small(faults="shape@2").frames())
    shapes = [frame.data.shape for frame in frames]
    assert shapes == [(48, 64)] * 2 + [(24, 64)] + [(48, 64)] * 5
    assert [frame.info.segment.shape for frame in frames] == shapes


def test_a_blinded_camera() -> None:
    frames = list(small(faults="saturate@4").frames())
    assert (frames[4].data >= 4095 - 10).all()
    assert np.median(frames[3].data) < 2000


@pytest.mark.parametrize(
    "text", ["drop", "drop@", "drop@x", "burn@3", "drop@5-3", "raise@3:2", "drop@1;hang@2"]
)
def test_scripts_that_cannot_be_read(text: str) -> None:
    with pytest.raises(SourceError, match="drop@10-14"):
        Faults.parse(text)


def test_no_faults_at_all() -> None:
    faults = Faults.parse("")
    assert not faults.at("drop", 0)
    assert faults.hang_s(0) == 0
