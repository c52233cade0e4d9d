"""Nuclei walk, bounce and make room, as a function of seed and time alone."""

import numpy as np
import numpy.typing as npt
import pytest

from dipstream_simulator.specimen import living as living_module
from dipstream_simulator.specimen.living import Living
from dipstream_simulator.specimen.model import Objects
from dipstream_simulator.specimen.population import nuclei
from dipstream_simulator.specimen.walk import Motion

EXTENT_UM = (100.0, 120.0)
WIDE_UM = (4000.0, 4000.0)
LIFE = {"cycle_t": 20, "death_rate": 0.01}


def places(objects: Objects) -> npt.NDArray[np.float64]:
    return np.stack([objects.y_um, objects.x_um], axis=1)


def path(specimen: Living, times: int) -> npt.NDArray[np.float64]:
    return np.stack([places(specimen.objects(t)) for t in range(times)])


def overlap_um2(specimen: Living, t: int, step_um: float = 0.5) -> tuple[float, float]:
    """Area that more than one nucleus covers, and the area of all, in µm²."""
    shape = tuple(round(side_um / step_um) for side_um in specimen.extent_um)
    covered = np.zeros(shape, dtype=int)
    objects = specimen.objects(t)
    for which, place_um in zip(objects.shape, places(objects), strict=True):
        half = int(specimen.shapes[which].reach_um / step_um) + 1
        inside = specimen.shapes[which].depth(step_um, half) > 0
        place = (place_um + np.array(specimen.extent_um) / 2) / step_um
        for y, x in np.argwhere(inside) - half + np.rint(place).astype(int):
            covered[min(max(y, 0), shape[0] - 1), min(max(x, 0), shape[1] - 1)] += 1
    return float((covered > 1).sum()) * step_um**2, float(covered.sum()) * step_um**2


def assert_same(one: Objects, other: Objects) -> None:
    for name in Objects.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


@pytest.mark.parametrize("life", [{}, LIFE], ids=["still young", "living"])
def test_time_can_be_visited_in_any_order(
    monkeypatch: pytest.MonkeyPatch, life: dict[str, float]
) -> None:
    def made() -> Living:
        return nuclei(7, 20, extent_um=EXTENT_UM, **life)  # type: ignore[arg-type]

    expected = {t: made().objects(t) for t in (0, 5, 40, 41, 100)}
    monkeypatch.setattr(living_module, "_CHECKPOINT_BYTES", 0)  # hardly any checkpoints
    jumping = made()
    for t in (100, 5, 41, 0, 100, 40, 41):
        assert_same(jumping.objects(t), expected[t])


def test_a_fork_has_its_own_clock() -> None:
    specimen = nuclei(7, 20, extent_um=EXTENT_UM, **LIFE)  # type: ignore[arg-type]
    ahead = specimen.objects(60)
    fork = specimen.fork()
    early = fork.objects(3)
    assert_same(fork.objects(60), ahead)
    assert_same(specimen.objects(3), early)
    assert fork.shapes is specimen.shapes


def test_other_seeds_are_other_specimens() -> None:
    one, other = (nuclei(seed, 20, extent_um=EXTENT_UM).objects(0) for seed in (1, 2))
    assert not np.isin(one.y_um, other.y_um).any()
    assert not np.isin(one.brightness, other.brightness).any()


@pytest.mark.parametrize("motion", ["persistent", "diffusion", "drift"])
def test_nuclei_stay_whole_within_the_extent(motion: Motion) -> None:
    flow_um = (1.3, -2.0) if motion == "drift" else (0.0, 0.0)
    specimen = nuclei(
        3,
        25,
        extent_um=EXTENT_UM,
        motion=motion,
        step_um=2.0,
        drift_um=flow_um,
        cycle_t=30,
    )
    half_um = [np.abs(shape.border_um()).max(axis=0) for shape in specimen.shapes]
    for t in range(0, 160, 4):
        objects = specimen.objects(t)
        outermost_um = np.abs(places(objects)) + np.array(half_um)[objects.shape]
        assert (outermost_um <= np.array(EXTENT_UM) / 2 + 1e-9).all()


@pytest.mark.parametrize(
    ("motion", "correlation"), [("persistent", 0.7 * 0.85), ("diffusion", 0.0)]
)
def test_free_steps_have_the_size_asked_for(motion: Motion, correlation: float) -> None:
    specimen = nuclei(1, 200, extent_um=WIDE_UM, motion=motion, step_um=0.8)
    steps_um = np.diff(path(specimen, 40), axis=0)
    assert (steps_um**2).sum(axis=2).mean() ** 0.5 == pytest.approx(0.8, rel=0.03)
    squared_um2 = np.mean(steps_um**2)
    assert np.mean(steps_um[1:] * steps_um[:-1]) / squared_um2 == pytest.approx(
        correlation, abs=0.04
    )
    assert steps_um.mean(axis=(0, 1)) == pytest.approx([0.0, 0.0], abs=0.05)


def test_a_drift_carries_all_and_diffuses_besides() -> None:
    specimen = nuclei(1, 200, extent_um=WIDE_UM, motion="drift", step_um=0.5, drift_um=(0.6, -0.2))
    steps_um = np.diff(path(specimen, 20), axis=0)
    assert steps_um.mean(axis=(0, 1)) == pytest.approx([0.6, -0.2], abs=0.02)
    spread_um = steps_um - steps_um.mean(axis=(0, 1))
    assert (spread_um**2).sum(axis=2).mean() ** 0.5 == pytest.approx(0.5, rel=0.03)


def test_walls_turn_a_drift_round() -> None:
    specimen = nuclei(
        1, 10, extent_um=EXTENT_UM, motion="drift", step_um=0.0, drift_um=(2.0, 0.0), overlap=1.0
    )
    y_um = path(specimen, 200)[:, :, 0]
    assert set(np.round(np.diff(y_um, axis=0), 6).ravel()) >= {2.0, -2.0}
    np.testing.assert_allclose(y_um.mean(axis=0), 0.0, atol=6.0)


def test_steps_longer_than_the_extent_stay_inside() -> None:
    specimen = nuclei(1, 3, extent_um=(14.0, 18.0), step_um=20.0)
    assert (np.abs(path(specimen, 50)).max(axis=(0, 1)) < [4.0, 6.0]).all()


def test_what_is_still_does_not_move() -> None:
    for specimen in (
        nuclei(1, 40, extent_um=EXTENT_UM, motion="still"),
        nuclei(1, 40, extent_um=EXTENT_UM, step_um=0.0),
    ):
        assert_same(specimen.objects(0), specimen.objects(20))


def test_nuclei_make_room_and_some_touch() -> None:
    specimen = nuclei(7, 55, extent_um=EXTENT_UM)
    apart_um = []
    for t in (0, 30, 60):
        twice_um2, all_um2 = overlap_um2(specimen, t)
        assert twice_um2 < 0.003 * all_um2
        away_um = np.linalg.norm(
            places(specimen.objects(t))[:, None] - places(specimen.objects(t)), axis=2
        )
        np.fill_diagonal(away_um, np.inf)
        apart_um.append(away_um.min(axis=1))
    assert (np.array(apart_um) < 11.0).mean() > 0.3


def test_only_those_asked_for_lie_over_others() -> None:
    shares = []
    for overlap in (0.0, 0.5, 1.0):
        specimen = nuclei(7, 55, extent_um=EXTENT_UM, overlap=overlap)
        twice_um2, all_um2 = overlap_um2(specimen, 20)
        shares.append(twice_um2 / all_um2)
    assert shares[0] < 0.003
    assert 0.03 < shares[1] < shares[2]


def test_a_crowd_beyond_all_room_stays_finite_and_inside() -> None:
    specimen = nuclei(7, 60, extent_um=(30.0, 30.0))
    assert specimen.coverage > 3
    assert np.abs(path(specimen, 5)).max() < 15
    larger_than_the_stage = nuclei(7, 2, extent_um=(4.0, 4.0))
    np.testing.assert_array_equal(path(larger_than_the_stage, 3), 0.0)


def test_heights_spread_as_asked() -> None:
    flat, deep = (
        nuclei(7, 500, extent_um=WIDE_UM, z_spread_um=z_um).objects(0).z_um for z_um in (0.0, 3.0)
    )
    np.testing.assert_array_equal(flat, 0.0)
    assert deep.std() == pytest.approx(3.0, rel=0.1)


def test_arrays_cannot_be_overwritten() -> None:
    specimen = nuclei(7, 5, extent_um=EXTENT_UM)
    for t in (0, 1):
        for name in Objects.__dataclass_fields__:
            with pytest.raises(ValueError, match="read-only"):
                getattr(specimen.objects(t), name)[:] = 0
