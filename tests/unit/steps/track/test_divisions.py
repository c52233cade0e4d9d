from typing import Any

import numpy as np
import pytest

from dipstream.steps.track.divisions import find_divisions


def divisions(*arguments: Any, gate_px: float) -> list[tuple[int, int]]:
    mothers, daughters = find_divisions(*arguments, gate_px)
    assert mothers.dtype == daughters.dtype == np.int64
    return list(zip(mothers.tolist(), daughters.tolist(), strict=True))


def found(mother: float, linked: float, new: float, distance_px: float = 6.0) -> bool:
    """Return whether a mother at 0 divides into an object at −2 and a new one."""
    return divisions(
        (np.zeros((1, 2)), np.array([mother])),
        (np.array([[0, -2.0], [0, distance_px]]), np.array([linked, new])),
        np.array([0]), np.array([1]), gate_px=10.0,
    ) == [(0, 1)]  # fmt: skip


@pytest.mark.parametrize(
    ("areas", "divides"),
    [
        ((100, 55, 50), True),
        ((100, 90, 90), True),
        ((100, 91, 60), False),  # the linked one did not shrink
        ((100, 60, 91), False),  # as large as the mother: a neighbour
        ((100, 60, 29), False),  # a sliver
    ],
)
def test_areas_decide(areas: tuple[float, float, float], divides: bool) -> None:
    assert found(*areas) is divides
    assert not found(*areas, distance_px=10.1)


def test_unknown_areas_never_divide() -> None:
    assert not found(np.nan, 50, 50)


def test_each_mother_and_daughter_once_the_most_even_pair_first() -> None:
    mothers = np.array([[0.0, 0.0], [0.0, 12.0]])
    objects = np.array([[0.0, -4.0], [0.0, 14.0], [0.0, 6.0], [0.0, 5.0]])
    pairs = divisions(
        (mothers, np.full(2, 100.0)), (objects, np.full(4, 50.0)),
        np.array([0, 1]), np.array([2, 3]), gate_px=8.0,
    )  # fmt: skip
    assert pairs == [(0, 3), (1, 2)]


def test_nothing_new() -> None:
    none = np.empty(0, np.int64)
    one = (np.zeros((1, 2)), np.ones(1))
    assert divisions(one, one, np.array([0]), none, gate_px=5.0) == []
    nobody = (np.empty((0, 2)), np.empty(0))
    assert divisions(nobody, one, none, np.array([0]), gate_px=5.0) == []
