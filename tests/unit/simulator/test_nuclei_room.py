"""Bodies in each other's way part, until the space asked for is between them."""

import numpy as np
import numpy.typing as npt
import pytest

from dipstream_simulator.specimen.atlas import make_atlas
from dipstream_simulator.specimen.nucleus import Nucleus
from dipstream_simulator.specimen.outline import Outline
from dipstream_simulator.specimen.room import Room

PEAR = Nucleus(Outline(5.0, 5.0, 0.0, (0.0, 0.35), (0.0, 0.0)), 1)
WALLS_UM = np.full((2, 2), -100.0), np.full((2, 2), 100.0)


def settled(
    start_um: list[list[float]],
    *,
    clearance_um: float = 0.0,
    apart: tuple[bool, bool] = (True, True),
    passes: int = 100,
    most_um: float = 10.0,
) -> npt.NDArray[np.float64]:
    atlas = make_atlas([PEAR], [1.0], np.array([True, False]))
    room = Room(
        atlas,
        np.zeros(2, dtype=np.int64),
        np.ones(2),
        np.full(2, clearance_um),
        np.array(apart),
    )
    return room.settle(np.array(start_um), *WALLS_UM, passes=passes, most_um=most_um)


def gap_um(places_um: npt.NDArray[np.float64]) -> float:
    """Smallest distance between the two outlines; below 0 if one reaches into the other."""
    first, second = (PEAR.border_um() + place_um for place_um in places_um)
    inside = PEAR.outline.depth_at(*(second - places_um[0]).T).max()
    away_um = np.linalg.norm(first[:, None] - second, axis=2).min()
    return -float(inside) if inside > 0 else float(away_um)


@pytest.mark.parametrize("direction_deg", range(0, 360, 45))
@pytest.mark.parametrize("clearance_um", [0.0, 1.0])
def test_lopsided_bodies_end_side_by_side(direction_deg: int, clearance_um: float) -> None:
    direction = np.deg2rad(direction_deg)
    start_um = [[0.0, 0.0], [np.sin(direction), np.cos(direction)]]
    gap = gap_um(settled(start_um, clearance_um=clearance_um))
    assert 2 * clearance_um - 0.1 <= gap <= 2 * clearance_um + 1.6


def test_each_gives_way_by_no_more_than_asked() -> None:
    start_um = np.array([[0.0, 0.0], [1.0, 1.0]])
    moved_um = settled(start_um.tolist(), passes=1, most_um=0.2) - start_um
    np.testing.assert_allclose(np.abs(moved_um), 0.2)


@pytest.mark.parametrize(
    ("start_um", "apart"),
    [([[0.0, 0.0], [30.0, 0.0]], (True, True)), ([[0.0, 0.0], [1.0, 0.0]], (True, False))],
    ids=["far", "over each other"],
)
def test_nobody_moves_without_need(start_um: list[list[float]], apart: tuple[bool, bool]) -> None:
    np.testing.assert_array_equal(settled(start_um, apart=apart), start_um)
