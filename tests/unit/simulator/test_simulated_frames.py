"""What frames of the simulated camera hold, and that they depend on the seed alone."""

import threading

import numpy as np
import pytest

from dipstream.source import Source, SourceEvent, TruthfulSource
from dipstream_simulator import SimSource, open_sim


def small(**changes: object) -> SimSource:
    return open_sim(**({"n": 5, "width": 128, "height": 112, "fps": 0, "frames": 7} | changes))  # type: ignore[arg-type]


def pixels(source: SimSource) -> np.ndarray:
    return np.stack([frame.data for frame in source.frames()])


def test_it_is_a_truthful_source() -> None:
    source = small()
    assert isinstance(source, Source)
    assert isinstance(source, TruthfulSource)


def test_source_info() -> None:
    info = small(seed=3).info
    assert info.name == "sim:?n=5&seed=3&width=128&height=112&fps=0&frames=7"
    assert open_sim(n=0, step_um=0.25, fps=5.0).info.name == "sim:?n=0&step_um=0.25&fps=5"
    assert open_sim().info.name == "sim:"
    assert (info.channels, info.shape, info.dtype) == (("DAPI", "GFP"), (112, 128), "uint16")
    assert (info.pixel_um, info.bit_depth, info.frames) == (6.5 / 20, 12, 7)
    assert (info.replayable, info.grouped, info.live) == (True, True, False)
    assert open_sim(n=0).info.live


def test_frames_are_numbered_without_gaps_and_grouped_into_sets() -> None:
    source = small(objective="40x0.95", exposure_ms=25.0, bits=8, offset_dn=20.0)
    infos = [frame.info for frame in source.frames()]
    assert [info.seq for info in infos] == list(range(7))
    assert [info.t for info in infos] == [0, 0, 1, 1, 2, 2, 3]
    assert [info.channel for info in infos] == ["DAPI", "GFP"] * 3 + ["DAPI"]
    assert dict(infos[3].index) == {"t": 1, "p": 0, "c": 1, "z": 0}
    assert len({info.segment for info in infos}) == 1
    segment = infos[0].segment
    assert (segment.camera, segment.shape, segment.dtype) == ("sim", (112, 128), "uint8")
    assert (segment.pixel_um, segment.bit_depth, segment.offset_dn) == (6.5 / 40, 8, 20)
    assert segment.gain_e_per_dn == pytest.approx(8000 / (255 - 20))
    for info in infos:
        assert (info.exposure_ms, info.time_source) == (25, "device")
        assert info.exposed_ns == info.received_ns - 25_000_000


def test_frames_are_read_only_and_of_the_announced_kind() -> None:
    frame = next(small().frames())
    assert frame.data.shape == (112, 128)
    assert frame.data.dtype == np.uint16
    assert not frame.data.flags.writeable


def test_the_same_seed_gives_the_same_bits_again() -> None:
    source = small()
    first = pixels(source)
    np.testing.assert_array_equal(first, pixels(source))
    np.testing.assert_array_equal(first, pixels(small(fps=2000)))
    assert (first != pixels(small(seed=8))).mean() > 0.5


def test_asking_for_the_truth_does_not_disturb_frames() -> None:
    expected = pixels(small())
    source = small()
    asked = threading.Thread(target=lambda: [source.truth(seq) for seq in (60, 0, 31, 4)])
    asked.start()
    received = pixels(source)
    asked.join()
    np.testing.assert_array_equal(received, expected)


def test_noise_is_fresh_in_every_frame_and_for_every_seed() -> None:
    frames = [*pixels(small(n=0, frames=6)), *pixels(small(n=0, frames=6, seed=8))]
    noise = np.stack([frame.ravel() - frame.mean() for frame in frames])
    correlation = np.corrcoef(noise)[np.triu_indices(12, 1)]
    assert np.abs(correlation).max() < 4.5 / noise.shape[1] ** 0.5


def test_nuclei_are_brighter_than_the_background() -> None:
    source = small(n=6)
    frame = next(source.frames()).data.astype(float)
    labels = source.truth(0).labels
    background = frame[labels == 0]
    for label in range(1, labels.max() + 1):
        assert frame[labels == label].mean() > np.median(background) + 50


def test_an_empty_field_works() -> None:
    source = small(n=0, frames=2)
    assert pixels(source).shape == (2, 112, 128)
    assert source.truth(0).count == 0


def test_a_crowded_field_is_announced(monkeypatch: pytest.MonkeyPatch) -> None:
    # How long the preparation takes is told as well, where the machine is slow.
    monkeypatch.setattr("dipstream_simulator.camera._SLOW_START_S", float("inf"))
    events: list[SourceEvent] = []
    source = small(n=40, density=2.0, frames=1)
    source.listen(events.append)
    list(source.frames())
    assert [event.kind for event in events] == ["warning"]
    assert "density=" in events[0].message
    quiet = small(frames=1)
    quiet.listen(events.append)
    list(quiet.frames())
    assert len(events) == 1


def test_a_specimen_that_needs_more_room_is_larger_than_the_field() -> None:
    source = open_sim("orca-flash4", n=800, objective="60x1.40", width=1024, height=1024, fps=0)
    height_um, width_um = source.setup.specimen.extent_um
    assert height_um == width_um > 3 * 1024 * 6.5 / 60
    seen = source.truth(0)
    assert 40 < seen.count < 120
    covered = (seen.labels > 0).mean()
    assert 0.25 < covered < 0.5
    dense = open_sim(n=60, density=0.2, fps=0).setup.specimen.extent_um
    assert 60 * np.pi / 4 * 100 / (dense[0] * dense[1]) == pytest.approx(0.17, abs=0.01)
    sparse = open_sim(n=60, density=0.1, fps=0).setup.specimen.extent_um
    assert 60 * np.pi / 4 * 100 / (sparse[0] * sparse[1]) == pytest.approx(0.1)
