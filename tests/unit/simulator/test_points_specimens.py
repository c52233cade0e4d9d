"""Beads, spots in cells and blinking emitters are what their parameters say."""

from typing import Any

import numpy as np
import pytest

from dipstream.errors import SourceError
from dipstream_simulator.specimen.emitters import Emitters, emitters
from dipstream_simulator.specimen.model import CHANNELS
from dipstream_simulator.specimen.points import Point, beads
from dipstream_simulator.specimen.spots import Body, spots

PAIR = (CHANNELS["GFP"], CHANNELS["RFP"])
EXTENT_UM = (60.0, 90.0)


@pytest.mark.parametrize("radius_um", [0.0, 0.004, 0.05, 0.5, 3.0])
@pytest.mark.parametrize("step_um", [0.01, 0.1, 1.0])
def test_the_light_of_a_point_sums_to_one_and_is_centred(radius_um: float, step_um: float) -> None:
    point = Point(radius_um, 0.2, 2)
    half = int(point.reach_um / step_um) + 2
    first, second = point.light(step_um, half)
    assert first.dtype == np.float32
    assert first.sum(dtype=float) * step_um**2 == pytest.approx(1.0, rel=1e-5)
    np.testing.assert_array_equal(first, first[::-1, ::-1])
    np.testing.assert_array_equal(first, second)


def test_a_bead_is_a_sphere() -> None:
    # Of a projected sphere the mean squared radius is 2/5 R².
    (light,) = Point(1.0).light(0.02, 60)
    axis_um = np.arange(-60, 61) * 0.02
    squared = axis_um[:, None] ** 2 + axis_um[None, :] ** 2
    assert np.average(squared, weights=light) == pytest.approx(0.4, rel=0.01)


def test_the_truth_of_a_point_is_as_wide_as_asked_for_and_never_narrower_than_the_bead() -> None:
    for point, radius_um in ((Point(0.05, 0.3), 0.3), (Point(0.9, 0.3), 0.9)):
        inside = (point.depth(0.01, 120) > 0).sum() * 0.01**2
        assert inside == pytest.approx(np.pi * radius_um**2, rel=0.02)


def test_beads_are_spread_over_field_and_height() -> None:
    specimen = beads(
        1, 4000, extent_um=EXTENT_UM, channels=PAIR, z_spread_um=2.0, brightness_spread=0.5
    )
    found = specimen.objects(17)
    for place_um, extent_um in ((found.y_um, 60.0), (found.x_um, 90.0)):
        assert np.abs(place_um).max() <= extent_um / 2
        assert place_um.std() == pytest.approx(extent_um / 12**0.5, rel=0.05)
    assert found.z_um.std() == pytest.approx(2.0, rel=0.05)
    assert found.brightness.mean() == pytest.approx(1.0, rel=0.05)
    assert np.log(found.brightness[:, 0]).std() == pytest.approx(0.5, rel=0.05)
    np.testing.assert_array_equal(found.brightness[:, 0], found.brightness[:, 1])
    np.testing.assert_array_equal(found.track_ids, np.arange(1, 4001))


def test_spots_lie_in_cells_and_only_they_are_counted() -> None:
    specimen = spots(2, 12, extent_um=(150.0, 150.0), channels=PAIR, per_cell=30.0)
    found = specimen.objects(0)
    cells = ~found.counted
    assert cells.sum() == 12
    assert found.counted.sum() == pytest.approx(360, abs=4 * 360**0.5)
    assert len(np.unique(found.track_ids)) == len(found.track_ids)
    np.testing.assert_array_equal(
        found.track_ids[found.counted], 1 + np.arange(found.counted.sum())
    )
    for y_um, x_um in zip(found.y_um[found.counted], found.x_um[found.counted], strict=True):
        inside = []
        for cell in np.flatnonzero(cells):
            body = specimen.shapes[found.shape[cell]]
            assert isinstance(body, Body)
            cos, sin = np.cos(body.angle_rad), np.sin(body.angle_rad)
            dy, dx = y_um - found.y_um[cell], x_um - found.x_um[cell]
            inside.append(
                np.hypot(
                    (dx * cos + dy * sin) / body.major_um, (dy * cos - dx * sin) / body.minor_um
                )
            )
        assert min(inside) <= 0.85 + 1e-9


def test_cells_of_spots_keep_apart_and_inside() -> None:
    specimen = spots(3, 10, extent_um=(150.0, 150.0), channels=PAIR)
    found = specimen.objects(0)
    cells = np.flatnonzero(~found.counted)
    reach_um = np.array([specimen.shapes[found.shape[cell]].reach_um for cell in cells])
    y_um, x_um = found.y_um[cells], found.x_um[cells]
    distance_um = np.hypot(y_um[:, None] - y_um, x_um[:, None] - x_um) + 1e3 * np.eye(10)
    assert (distance_um > 0.9 * (reach_um[:, None] + reach_um)).all()
    assert (np.abs(y_um) + reach_um <= 75.0 + 1e-9).all()


def test_a_body_has_mean_one_within_its_outline() -> None:
    body = Body(8.0, 5.0, 0.4, 2)
    inside = body.depth(0.1, 90) > 0
    assert inside.sum() * 0.01 == pytest.approx(np.pi * 40.0, rel=0.01)
    for light in body.light(0.1, 90):
        assert light[inside].mean() == pytest.approx(1.0, rel=1e-5)
        assert not light[~inside].any()


def test_emitters_are_on_as_long_and_as_often_as_asked_for() -> None:
    specimen = emitters(4, 500, extent_um=EXTENT_UM, channels=PAIR, on_t=4.0, off_t=36.0)
    on = np.zeros((2500, 500), dtype=bool)
    photons = []
    for t in range(2500):
        found = specimen.objects(t)
        on[t, found.track_ids - 1] = True
        photons.append(found.brightness[:, 0])
    assert on.mean() == pytest.approx(0.1, rel=0.05)
    starts = (on[1:] & ~on[:-1]).sum()
    assert on[1:].sum() / starts == pytest.approx(4.0, rel=0.05)
    seen = np.concatenate(photons)
    assert seen.mean() == pytest.approx(1.0, rel=0.02)
    assert np.log(seen).std() == pytest.approx(0.3, rel=0.03)


def test_emitters_at_a_time_are_the_same_in_any_order() -> None:
    def make() -> Emitters:
        return emitters(5, 300, extent_um=EXTENT_UM, channels=PAIR)

    forwards = make()
    expected = [forwards.objects(t) for t in range(1100)]
    jumping = make()
    for specimen in (jumping, jumping.fork()):
        for t in (700, 3, 1099, 511, 512, 0, 3):
            found = specimen.objects(t)
            np.testing.assert_array_equal(found.track_ids, expected[t].track_ids)
            np.testing.assert_array_equal(found.brightness, expected[t].brightness)
            np.testing.assert_array_equal(found.y_um, expected[t].y_um)


def test_bleached_emitters_stay_dark() -> None:
    specimen = emitters(
        6, 3000, extent_um=EXTENT_UM, channels=PAIR, on_t=5.0, off_t=5.0, bleach_t=50.0
    )
    counts = [len(specimen.objects(t).track_ids) for t in (0, 50, 100, 400)]
    expected = 1500 * np.exp(-np.array([0, 50, 100, 400]) / 50.0)
    np.testing.assert_allclose(counts, expected, atol=100)
    assert counts[-1] < 10


@pytest.mark.parametrize("arrangement", ["filaments", "uniform"])
def test_emitters_lie_in_the_field_and_filaments_gather_them(arrangement: Any) -> None:
    specimen = emitters(
        7, 2000, extent_um=EXTENT_UM, channels=PAIR, on_t=1e6, off_t=1.0, arrangement=arrangement
    )
    found = specimen.objects(0)
    assert np.abs(found.y_um).max() <= 30.1
    assert np.abs(found.x_um).max() <= 45.1
    counts, _, _ = np.histogram2d(found.y_um, found.x_um, bins=(60, 90))
    assert ((counts.var() / counts.mean()) > 2.0) == (arrangement == "filaments")


@pytest.mark.parametrize("builder", [beads, spots, emitters])
def test_the_seed_fixes_the_specimen(builder: Any) -> None:
    def places(seed: int) -> np.ndarray:
        return np.asarray(builder(seed, 50, extent_um=EXTENT_UM, channels=PAIR).objects(3).y_um)

    np.testing.assert_array_equal(places(1), places(1))
    assert not np.array_equal(places(1), places(2))


@pytest.mark.parametrize("builder", [beads, spots, emitters])
def test_none_is_allowed(builder: Any) -> None:
    assert not builder(1, 0, extent_um=EXTENT_UM, channels=PAIR).objects(0).counted.any()


@pytest.mark.parametrize(
    ("builder", "changes", "message"),
    [
        (beads, {"n": -1}, "n=-1; allowed are numbers 0 and up to 200000"),
        (beads, {"bead_um": -0.1}, "bead_um=-0.1"),
        (beads, {"bead_um": float("nan")}, "bead_um=nan"),
        (beads, {"truth_radius_um": 0.0}, "truth_radius_um=0; allowed are numbers above 0"),
        (beads, {"extent_um": (0.0, 5.0)}, "height_um=0"),
        (spots, {"per_cell": -3.0}, "per_cell=-3"),
        (spots, {"cell_um": 0.0}, "cell_um=0"),
        (emitters, {"on_t": 0.5}, "on_t=0.5; allowed are numbers 1"),
        (emitters, {"off_t": 0.0}, "off_t=0"),
        (emitters, {"arrangement": "grid"}, "arrangement='grid'; allowed are filaments"),
        (emitters, {"seed": -1}, "seed=-1"),
    ],
)
def test_nonsense_is_refused(builder: Any, changes: dict[str, Any], message: str) -> None:
    good: dict[str, Any] = {"seed": 1, "n": 5, "extent_um": EXTENT_UM, "channels": PAIR}
    with pytest.raises(SourceError, match=message):
        builder(**(good | changes))
