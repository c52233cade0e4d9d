"""Which frame is which: order of a sequence, tiles, channels seen together."""

import pytest

from dipstream.errors import SourceError
from dipstream_simulator.acquisition import Sequence, exposure_channels, grid
from dipstream_simulator.specimen.model import CHANNELS


def test_order_is_time_position_plane_channel() -> None:
    places = grid("1x2", (100.0, 50.0), 0.1)
    sequence = Sequence(2, places, planes=3, z_step_um=0.5, exposure_ms=20)
    shots = [sequence.shot(number) for number in range(13)]
    assert [shot.channel for shot in shots[:4]] == [0, 1, 0, 1]
    assert [shot.z for shot in shots] == [0, 0, 1, 1, 2, 2, 0, 0, 1, 1, 2, 2, 0]
    assert [shot.position for shot in shots] == ["0"] * 6 + ["1"] * 6 + ["0"]
    assert [shot.t for shot in shots] == [0] * 12 + [1]
    assert [shot.stage_um[2] for shot in shots[:5:2]] == [-0.5, 0.0, 0.5]
    assert dict(shots[9].index) == {"t": 0, "p": 1, "c": 1, "z": 1}
    assert len({(s.t, s.position, s.z, s.channel) for s in shots}) == 13


def test_dose_counts_every_earlier_exposure_of_the_place_and_channel() -> None:
    sequence = Sequence(2, grid("1x1", (9.0, 9.0), 0.0), planes=3, exposure_ms=20)
    doses = [sequence.shot(number).dose_ms for number in range(0, 12, 2)]
    assert doses == [0, 20, 40, 60, 80, 100]


@pytest.mark.parametrize(
    ("tiles", "overlap", "expected"),
    [
        ("1x1", 0.0, [("0", 0.0, 0.0)]),
        ("1x2", 0.0, [("0", 0.0, -25.0), ("1", 0.0, 25.0)]),
        ("2x1", 0.2, [("0", -40.0, 0.0), ("1", 40.0, 0.0)]),
    ],
)
def test_tiles_lie_around_the_middle(
    tiles: str, overlap: float, expected: list[tuple[str, float, float]]
) -> None:
    places = grid(tiles, (100.0, 50.0), overlap)
    assert [(place.name, place.y_um, place.x_um) for place in places] == expected


@pytest.mark.parametrize("tiles", ["2", "2x", "ax3", "2x-1", "0x1", "2x3x4"])
def test_tiles_that_are_none(tiles: str) -> None:
    with pytest.raises(SourceError, match="tiles"):
        grid(tiles, (100.0, 50.0), 0.0)


def test_channels_one_by_one_and_together() -> None:
    emitters, exposures = exposure_channels("dapi, GFP+RFP", CHANNELS)
    assert [channel.name for channel in emitters] == ["DAPI", "GFP", "RFP"]
    assert exposures == (("DAPI", (0,)), ("GFP+RFP", (1, 2)))
    emitters, exposures = exposure_channels("GFP,DAPI+GFP", CHANNELS)
    assert [channel.name for channel in emitters] == ["GFP", "DAPI"]
    assert exposures == (("GFP", (0,)), ("DAPI+GFP", (1, 0)))


@pytest.mark.parametrize("text", ["", "DAPI,", "YFP", "DAPI,DAPI", "GFP+GFP", "GFP;DAPI"])
def test_channels_that_are_none(text: str) -> None:
    with pytest.raises(SourceError, match=r"allowed (are|is) (DAPI|each)"):
        exposure_channels(text, CHANNELS)
