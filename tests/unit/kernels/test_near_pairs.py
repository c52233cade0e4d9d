"""Pairs within a reach, as the k-d tree finds them."""

import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial import cKDTree

from dipstream.errors import StepError
from dipstream.kernels import near_pairs as module
from dipstream.kernels.near_pairs import near_pairs

Points = np.ndarray[Any, np.dtype[np.float64]]


def found(points: Points, others: Points, reach: float) -> dict[tuple[int, int], float]:
    first, other, squared = near_pairs(points, others, reach)
    assert (first.dtype, other.dtype, squared.dtype) == (np.int64, np.int32, np.float64)
    assert first[0] == 0
    assert first[-1] == len(other) == len(squared)
    index = np.repeat(np.arange(len(points)), np.diff(first))
    pairs = list(zip(index.tolist(), other.tolist(), strict=True))
    assert len(set(pairs)) == len(pairs), "a pair is found once"
    return dict(zip(pairs, squared.tolist(), strict=True))


def expected(points: Points, others: Points, reach: float) -> dict[tuple[int, int], float]:
    if not len(points) or not len(others):
        return {}
    near = cKDTree(points).sparse_distance_matrix(cKDTree(others), reach, output_type="ndarray")
    return {(int(i), int(j)): float(v) ** 2 for i, j, v in near}


def positions(values: st.SearchStrategy[float]) -> st.SearchStrategy[Points]:
    sizes = st.integers(0, 30).map(lambda n: (n, 2))
    return sizes.flatmap(lambda shape: arrays(np.float64, shape, elements=values))


WHOLE = positions(st.integers(-12, 12).map(float))
"""Many distances are exactly the reach, many points are the same."""


@settings(deadline=None)
@given(points=WHOLE, others=WHOLE, reach=st.sampled_from([0.5, 1.0, 5.0, 13.0, 100.0]))
def test_whole_positions(points: Points, others: Points, reach: float) -> None:
    assert found(points, others, reach) == pytest.approx(expected(points, others, reach))


@settings(deadline=None)
@given(
    points=positions(st.floats(-1e3, 1e3)),
    others=positions(st.floats(-1e3, 1e3)),
    reach=st.floats(1e-3, 3e3),
)
def test_any_positions(points: Points, others: Points, reach: float) -> None:
    near, far = (expected(points, others, reach * factor) for factor in (1 - 1e-12, 1 + 1e-12))
    assert near.keys() <= found(points, others, reach).keys() <= far.keys()


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6, 1e12])
@pytest.mark.parametrize("seed", range(3))
def test_clumps_that_lie_far_apart(scale: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    clumps = rng.uniform(-scale, scale, (20, 1, 2)) * 1e3
    points, others = ((clumps + rng.normal(0, scale, (20, 15, 2))).reshape(-1, 2) for _ in "ab")
    reach = 0.7 * scale
    assert found(points, others, reach).keys() == expected(points, others, reach).keys()


def test_points_on_the_edges_of_cells() -> None:
    """Steps of the reach, to the last bit on either side of it."""
    reach = 0.1
    line = np.array([[0.0, k * reach] for k in range(400)])
    others = np.concatenate([np.nextafter(line, -1.0), line, np.nextafter(line, 1e3)])
    pairs = found(line, others, reach)
    for i, j in expected(line, others, reach * (1 - 1e-12)):
        assert (i, j) in pairs


@pytest.mark.parametrize("reach", [1e-300, 1e-160, 1e160, np.inf])
def test_reaches_without_a_square(reach: float) -> None:
    points = np.array([[0.0, 0.0], [5.0, 5.0]])
    apart = reach < 1
    assert found(points, points, reach).keys() == (
        {(0, 0), (1, 1)} if apart else {(0, 0), (0, 1), (1, 0), (1, 1)}
    )


@pytest.mark.parametrize(("n", "m"), [(0, 0), (0, 3), (3, 0)])
def test_no_points(n: int, m: int) -> None:
    assert found(np.zeros((n, 2)), np.zeros((m, 2)), 1.0) == {}


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", [0, 1])
def test_positions_are_finite(bad: float, where: int) -> None:
    both = [np.zeros((3, 2)), np.zeros((3, 2))]
    both[where][1, 1] = bad
    with pytest.raises(StepError, match="not finite"):
        near_pairs(*both, 1.0)


def test_more_pairs_than_memory_is_for_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_PAIRS", 100)
    assert len(found(np.zeros((10, 2)), np.zeros((10, 2)), 1.0)) == 100
    with pytest.raises(StepError, match="choose a smaller largest distance"):
        near_pairs(np.zeros((10, 2)), np.zeros((11, 2)), 1.0)


def test_a_hundred_thousand_points() -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform(0, 1e4, (100_000, 2))
    first, _, _ = near_pairs(points, points, 10.0)
    assert first[-1] == cKDTree(points).count_neighbors(cKDTree(points), 10.0)


def test_a_tiny_reach_has_cells_all_over_the_picture() -> None:
    # A cell holds what is compared: with all points in the outermost one it would take minutes.
    points = np.random.default_rng(5).uniform(0, 2000, (100_000, 2))
    for reach in (1e-8, 1e-200):
        begin = time.perf_counter()
        assert found(points, points, reach) == {(i, i): 0.0 for i in range(len(points))}
        assert time.perf_counter() - begin < 20
