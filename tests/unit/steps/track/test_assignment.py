import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from dipstream.steps.track.assignment import NO_LINK_COST, assign_near

FORBIDDEN = 1e6


def jaqaman(tracks: np.ndarray, objects: np.ndarray, gate: float) -> set[tuple[int, int]]:
    """Return the links of the unfolded matrix with ends, appearances and their mirror block."""
    n, m = len(tracks), len(objects)
    cost = (cdist(tracks, objects) / gate) ** 2
    allowed = cost <= 1
    matrix = np.full((n + m, n + m), FORBIDDEN)
    matrix[:n, :m] = np.where(allowed, cost, FORBIDDEN)
    matrix[range(n), range(m, m + n)] = NO_LINK_COST / 2
    matrix[range(n, n + m), range(m)] = NO_LINK_COST / 2
    matrix[n:, m:] = np.where(allowed.T, 0, FORBIDDEN)
    rows, columns = linear_sum_assignment(matrix)
    assert matrix[rows, columns].max() < FORBIDDEN
    return {(i, j) for i, j in zip(rows, columns, strict=True) if i < n and j < m}


@pytest.mark.parametrize("seed", range(40))
def test_equals_the_dense_assignment(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, m = rng.integers(1, 60, 2)
    gate = rng.uniform(1, 30)
    tracks, objects = rng.uniform(0, 100, (n, 2)), rng.uniform(0, 100, (m, 2))
    i, j = assign_near(tracks, objects, gate)
    assert set(zip(i.tolist(), j.tolist(), strict=True)) == jaqaman(tracks, objects, gate)
    assert len(set(j.tolist())) == len(j)
    assert (np.diff(i) > 0).all()
    assert i.dtype == j.dtype == np.int64


def test_a_distance_of_zero_is_a_link() -> None:
    points = np.array([[5.0, 5.0], [50.0, 50.0]])
    i, j = assign_near(points, points[::-1], 3.0)
    assert (i.tolist(), j.tolist()) == ([0, 1], [1, 0])


def test_the_gate_is_inclusive() -> None:
    for distance, linked in ((3.0, 1), (3.0001, 0)):
        i, _ = assign_near(np.zeros((1, 2)), np.array([[0.0, distance]]), 3.0)
        assert len(i) == linked


def test_two_longer_links_beat_one_short_one() -> None:
    tracks, objects = np.array([[0.0, 0.0], [0.0, 8.0]]), np.array([[0.0, 7.0], [0.0, 15.0]])
    i, j = assign_near(tracks, objects, 10.0)
    assert (i.tolist(), j.tolist()) == ([0, 1], [0, 1])


@pytest.mark.parametrize(("n", "m"), [(0, 0), (0, 3), (3, 0)])
def test_nothing_to_link(n: int, m: int) -> None:
    i, j = assign_near(np.zeros((n, 2)), np.zeros((m, 2)), 5.0)
    assert len(i) == len(j) == 0
