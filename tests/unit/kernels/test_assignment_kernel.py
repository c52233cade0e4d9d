"""The assignment costs what scipy's matching of the same graph costs."""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dipstream.kernels.assignment import assign, each_once
from dipstream.steps.track.assignment import NO_LINK_COST, assign_near

Points = np.ndarray[Any, np.dtype[np.float64]]
Links = tuple[np.ndarray[Any, np.dtype[np.int64]], np.ndarray[Any, np.dtype[np.int64]]]


def total(tracks: Points, objects: Points, links: Links, gate: float) -> float:
    """Return the cost of links, after checking that they may be."""
    i, j = links
    assert i.dtype == j.dtype == np.int64
    assert (np.diff(i) > 0).all(), "in the order of tracks"
    assert len(set(j.tolist())) == len(j), "an object has one track"
    squared = ((tracks[i] - objects[j]) ** 2).sum(axis=1)
    assert (squared <= gate**2 * (1 + 1e-12)).all()
    return float((squared / gate**2).sum() + NO_LINK_COST * (len(tracks) - len(i)))


def agree(tracks: Points, objects: Points, gate: float) -> tuple[Links, Links]:
    mine = assign(tracks, objects, gate, NO_LINK_COST)
    reference = assign_near(tracks, objects, gate)
    least = total(tracks, objects, reference, gate)
    assert total(tracks, objects, mine, gate) == pytest.approx(least, rel=1e-9, abs=1e-9)
    return mine, reference


def positions(values: st.SearchStrategy[float]) -> st.SearchStrategy[Points]:
    sizes = st.integers(0, 25).map(lambda n: (n, 2))
    return sizes.flatmap(lambda shape: arrays(np.float64, shape, elements=values))


@settings(deadline=None, max_examples=300)
@given(
    tracks=positions(st.integers(0, 12).map(float)),
    objects=positions(st.integers(0, 12).map(float)),
    gate=st.sampled_from([1.0, 2.0, 5.0, 30.0]),
)
def test_whole_positions_with_many_ties(tracks: Points, objects: Points, gate: float) -> None:
    agree(tracks, objects, gate)


@settings(deadline=None, max_examples=200)
@given(
    tracks=positions(st.floats(0, 50)),
    objects=positions(st.floats(0, 50)),
    gate=st.floats(0.1, 80),
)
def test_any_positions(tracks: Points, objects: Points, gate: float) -> None:
    agree(tracks, objects, gate)


SCENES = {
    # objects, side of the picture, gate, step, share that vanishes
    "sparse": (600, 1000, 20, 4, 0.1),
    "crowded": (800, 400, 30, 8, 0.2),
    "strangers": (700, 300, 25, 1e3, 0.0),
    "a gate as wide as the picture": (200, 100, 300, 10, 0.3),
    "few tracks": (40, 60, 40, 20, 0.0),
}


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("seed", range(4))
def test_the_same_links_where_the_cheapest_are_unique(scene: str, seed: int) -> None:
    n, side, gate, step, gone = SCENES[scene]
    rng = np.random.default_rng(seed)
    tracks = rng.uniform(0, side, (int(n), 2))
    objects = (tracks + rng.normal(0, step, tracks.shape)) % side
    objects = rng.permutation(objects[rng.random(len(objects)) >= gone])
    born = rng.uniform(0, side, (len(objects) // 5, 2))
    for one in (objects, np.concatenate([objects, born]), objects[: len(objects) // 2]):
        mine, reference = agree(tracks, one, gate)
        np.testing.assert_array_equal(mine[0], reference[0])
        np.testing.assert_array_equal(mine[1], reference[1])
        again = assign(tracks, one, gate, NO_LINK_COST)
        np.testing.assert_array_equal(mine[1], again[1])


@pytest.mark.parametrize("no_link_cost", [1.0, 1.3, 5.0])
@pytest.mark.parametrize("seed", range(30))
def test_any_cost_of_going_without(no_link_cost: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    tracks, objects = rng.uniform(0, 15, (4, 2)), rng.uniform(0, 15, (4, 2))
    costs = ((tracks[:, None] - objects) ** 2).sum(axis=2) / 10.0**2
    least = min(
        sum(
            costs[i, j] if j < 4 and costs[i, j] <= 1 else no_link_cost
            for i, j in enumerate(chosen)
        )
        for chosen in itertools.permutations(range(8), 4)
    )
    i, j = assign(tracks, objects, 10.0, no_link_cost)
    assert costs[i, j].sum() + no_link_cost * (4 - len(i)) == pytest.approx(least)


def test_a_long_chain_is_shifted_as_a_whole() -> None:
    """Every track is nearest to the object of the next, and the last one would go without."""
    n = 3000
    tracks = np.stack([np.zeros(n), 10.0 * np.arange(n)], axis=1)
    i, j = assign(tracks, tracks - [0.0, 5.0001], 7.0, NO_LINK_COST)
    assert i.tolist() == j.tolist() == list(range(n))


def test_all_in_one_place() -> None:
    i, j = assign(np.zeros((400, 2)), np.zeros((300, 2)), 5.0, NO_LINK_COST)
    assert len(i) == 300
    assert sorted(j.tolist()) == list(range(300))


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=30))
@settings(deadline=None)
def test_each_once(pairs: list[tuple[int, int]]) -> None:
    expected, ones, others = [], set(), set()
    for one, other in pairs:
        expected.append(one not in ones and other not in others)
        if expected[-1]:
            ones.add(one)
            others.add(other)
    columns = np.array(pairs, np.int64).reshape(-1, 2)
    kept = each_once(columns[:, 0].copy(), columns[:, 1].copy())
    assert kept.tolist() == expected
