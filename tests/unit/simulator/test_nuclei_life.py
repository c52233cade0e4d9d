"""Nuclei grow, divide and die, and their tracks say so."""

import math
from itertools import pairwise

import numpy as np
import pytest

from dipstream_simulator.specimen.cycle import DYING_T
from dipstream_simulator.specimen.living import Living
from dipstream_simulator.specimen.nucleus import Nucleus
from dipstream_simulator.specimen.population import nuclei

EXTENT_UM = (200.0, 200.0)
WIDE_UM = (1500.0, 1500.0)
CYCLE_T = 30
LEVELS = 8
FORMS = 24 * LEVELS  # shapes of individuals that neither divide nor die


@pytest.fixture(scope="module")
def history() -> list[dict[int, int]]:
    """Parent of each track at each time."""
    specimen = nuclei(5, 40, extent_um=EXTENT_UM, cycle_t=CYCLE_T, death_rate=0.006)
    return [
        dict(zip(objects.track_ids.tolist(), objects.parent_ids.tolist(), strict=True))
        for objects in map(specimen.objects, range(200))
    ]


def areas_um2(specimen: Living) -> np.ndarray:
    return np.array([shape.area_um2 for shape in specimen.shapes])


def test_two_daughters_replace_their_mother(history: list[dict[int, int]]) -> None:
    divisions = 0
    for before, after in pairwise(history):
        born = {track: parent for track, parent in after.items() if track not in before}
        mothers = list(born.values())
        assert 0 not in mothers
        for mother in set(mothers):
            assert mother in before
            assert mother not in after
            assert mothers.count(mother) == 2
            divisions += 1
    assert divisions > 60


def test_daughters_part_across_the_plate_where_their_mother_was() -> None:
    specimen = nuclei(5, 100, extent_um=WIDE_UM, cycle_t=12, motion="still", overlap=1.0)
    seen = 0
    for t in range(1, 30):
        before, after = specimen.objects(t - 1), specimen.objects(t)
        for mother in set(after.parent_ids) & set(before.track_ids):
            was, sisters = before.track_ids == mother, after.parent_ids == mother
            y_um, x_um = (
                after.y_um[sisters] - before.y_um[was],
                after.x_um[sisters] - before.x_um[was],
            )
            assert [y_um.sum(), x_um.sum()] == pytest.approx([0.0, 0.0], abs=0.6)
            assert np.hypot(y_um, x_um) == pytest.approx([3.1, 3.1], abs=0.4)  # of 10 µm
            plate = specimen.shapes[int(before.shape[was][0])]
            assert isinstance(plate, Nucleus)
            along = np.array([math.sin(plate.angle_rad), math.cos(plate.angle_rad)])
            assert np.abs(np.stack([y_um, x_um], axis=1) @ along).max() < 0.4
            seen += 1
    assert seen == 50


def test_ids_are_unique_for_ever(history: list[dict[int, int]]) -> None:
    parent_of: dict[int, int] = {}
    ended: set[int] = set()
    for before, after in pairwise(history):
        ended |= before.keys() - after.keys()
        assert not ended & after.keys()
        for track, parent in after.items():
            assert parent_of.setdefault(track, parent) == parent
    assert sorted(parent_of) == list(range(1, len(parent_of) + 1))
    assert all(history[0][track] == 0 for track in range(1, 41))


def test_deaths_end_tracks_without_children(history: list[dict[int, int]]) -> None:
    parents = {parent for now in history for parent in now.values()}
    died = {
        track
        for before, after in pairwise(history)
        for track in before.keys() - after.keys()
        if track not in parents
    }
    expected = 0.006 * sum(len(now) for now in history)
    assert len(died) == pytest.approx(expected, rel=0.35)


def test_the_population_is_bounded() -> None:
    specimen = nuclei(5, 40, extent_um=WIDE_UM, cycle_t=10)
    counts = [len(specimen.objects(t).track_ids) for t in range(80)]
    assert max(counts) == counts[-1] == 60
    crowded = nuclei(5, 40, extent_um=(80.0, 80.0), cycle_t=10)
    assert crowded.coverage > 0.4
    assert len(crowded.objects(60).track_ids) < 50


def test_room_made_by_deaths_is_filled_again() -> None:
    specimen = nuclei(5, 40, extent_um=WIDE_UM, cycle_t=20, death_rate=0.01)
    counts = [len(specimen.objects(t).track_ids) for t in range(0, 400, 20)]
    assert min(counts[5:]) > 40


def test_the_cycle_takes_as_long_as_asked() -> None:
    specimen = nuclei(5, 60, extent_um=WIDE_UM, cycle_t=60)
    divided = sum(
        2 * len(set(now.parent_ids) - set(before.parent_ids) - {0})
        for before, now in ((specimen.objects(t - 1), specimen.objects(t)) for t in range(1, 20))
    )
    # A growing population divides at the rate ln 2 a cycle.
    assert divided / 2 == pytest.approx(60 * math.log(2) * 19 / 60, rel=0.4)


def test_the_area_doubles_and_daughters_have_half_of_it() -> None:
    specimen = nuclei(3, 40, extent_um=WIDE_UM, cycle_t=40)
    areas = areas_um2(specimen)
    first: dict[int, list[float]] = {}
    for t in range(75):
        objects = specimen.objects(t)
        for track, shape in zip(objects.track_ids.tolist(), objects.shape.tolist(), strict=True):
            if track > 40 and shape < FORMS:
                first.setdefault(track, []).append(areas[shape])
    whole = [grown for grown in first.values() if len(grown) > 25]
    assert len(whole) > 10
    for grown in whole:
        assert (np.diff(grown) >= 0).all()
        assert grown[-1] / grown[0] == pytest.approx((1 + 7.5 / 8) / (1 + 0.5 / 8), rel=0.15)
    born = np.mean([grown[0] for grown in first.values()])
    smallest, typical = areas[:FORMS:LEVELS].mean(), areas[:FORMS].mean()
    assert born == pytest.approx(smallest, rel=0.1)
    assert typical == pytest.approx(math.pi * 5**2 * 1.5 / math.sqrt(2), rel=0.15)


def test_dna_is_kept_and_shared_when_nuclei_divide() -> None:
    specimen = nuclei(3, 60, extent_um=WIDE_UM, cycle_t=60)
    areas = areas_um2(specimen)
    gain = specimen._plan.atlas.gain[:, 0]
    content = (areas * gain)[FORMS:].reshape(-1, 3)
    typical = np.mean(areas[:FORMS]) * math.sqrt(2) / 1.5
    np.testing.assert_allclose(content[:, 0] / typical, math.sqrt(2), rtol=0.1)
    np.testing.assert_allclose(content[:, 1], content[:, 0])
    np.testing.assert_allclose(content[:, 2], content[:, 0] / 2)
    assert (gain[FORMS:].reshape(-1, 3)[:, 1] > 3).all()  # a plate is bright


def test_the_dying_shrink_brighten_and_fade() -> None:
    specimen = nuclei(3, 30, extent_um=WIDE_UM, death_rate=0.05, motion="still")
    areas = areas_um2(specimen)
    times: dict[int, list[tuple[float, float]]] = {}
    for t in range(60):
        objects = specimen.objects(t)
        for track, shape, light in zip(
            objects.track_ids.tolist(), objects.shape, objects.brightness[:, 0], strict=True
        ):
            times.setdefault(track, []).append((areas[shape], light))
    gone = [np.array(seen) for seen in times.values() if DYING_T < len(seen) < 60]
    assert len(gone) > 15
    for seen in gone:
        area, light = seen[-DYING_T - 1 :].T
        assert (np.diff(area)[:5] <= 1e-9).sum() >= 4
        assert area[-1] < 0.65 * area[0]
        assert light[5] > 1.2 * light[0]
        assert (np.diff(light[5:]) < 0).all()
    assert len(specimen.objects(300).track_ids) == 0


def test_growth_without_divisions_ends_at_twice_the_area() -> None:
    specimen = nuclei(3, 20, extent_um=WIDE_UM, grow=0.02)
    areas = areas_um2(specimen)
    assert len(specimen.shapes) <= 100
    track = np.array([areas[specimen.objects(t).shape] for t in range(0, 61, 5)])
    assert (np.diff(track, axis=0) >= 0).all()
    smallest, largest = math.sqrt((1 + 0.5 / 8) / 2**0.5), math.sqrt((1 + 7.5 / 8) / 2**0.5)
    np.testing.assert_allclose(
        specimen.objects(60).shape % 8, 7, err_msg="everyone has reached the last level"
    )
    np.testing.assert_allclose(areas[7] / areas[0], (largest / smallest) ** 2)


def test_heredity_keeps_the_statistics() -> None:
    specimen = nuclei(3, 500, extent_um=WIDE_UM, cycle_t=10, death_rate=0.05)
    first, last = specimen.objects(0), specimen.objects(130)
    assert set(first.track_ids).isdisjoint(last.track_ids)
    assert len(last.track_ids) > 300
    for objects in (first, last):
        dna, expression = objects.brightness[objects.shape < FORMS].T
        negative = expression < 0.15
        assert negative.mean() == pytest.approx(0.2, abs=0.06)
        assert np.log(dna).std() == pytest.approx(0.2, rel=0.2)
        assert np.log(expression[~negative]).std() == pytest.approx(0.6, rel=0.2)


def test_sisters_are_alike_but_not_the_same() -> None:
    specimen = nuclei(3, 200, extent_um=WIDE_UM, cycle_t=20)
    areas = areas_um2(specimen)
    objects = specimen.objects(20)
    young = (objects.parent_ids > 0) & (objects.shape < FORMS)
    shape, light = objects.shape[young].reshape(-1, 2), objects.brightness[young].reshape(-1, 2, 2)
    assert (shape[:, 0] != shape[:, 1]).mean() > 0.95
    for pair in (areas[shape], np.log(light[:, :, 0])):
        assert 0.6 < np.corrcoef(pair.T)[0, 1] < 0.99
