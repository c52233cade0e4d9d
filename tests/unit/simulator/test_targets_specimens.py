"""The drawings of test targets, before any blur."""

from typing import Any

import numpy as np
import pytest

from dipstream.errors import SourceError
from dipstream_simulator.specimen.model import CHANNELS
from dipstream_simulator.specimen.targets import Bars, Star, pair, siemens, usaf, usaf_bar_um

CHANNEL = (CHANNELS["GFP"],)


def axis_um(count: int, step_um: float, middle_um: float = 0.0) -> np.ndarray:
    return middle_um + (np.arange(count) - (count - 1) / 2) * step_um


# Printed on every chart: line pairs a millimetre of group and element.
@pytest.mark.parametrize(
    ("group", "element", "line_pairs_per_mm"),
    [(0, 1, 1.0), (1, 1, 2.0), (4, 3, 20.16), (7, 6, 228.1), (9, 1, 512.0)],
)
def test_bars_have_the_width_of_the_chart(
    group: int, element: int, line_pairs_per_mm: float
) -> None:
    assert 1000.0 / (2.0 * usaf_bar_um(group, element)) == pytest.approx(
        line_pairs_per_mm, rel=1e-3
    )


@pytest.mark.parametrize("step_um", [0.07, 0.3, 1.7])
def test_bars_cover_their_area_whatever_the_grid(step_um: float) -> None:
    bars = Bars(np.array([[-2.13, 1.4, 0.31, 5.0], [3.0, 3.2, -4.0, -3.9]]))
    grid_um = axis_um(int(24 / step_um), step_um, 0.123)
    drawn = bars.draw(grid_um, grid_um, 0)
    assert drawn.sum(dtype=float) * step_um**2 == pytest.approx(3.53 * 4.69 + 0.02, rel=1e-5)
    assert drawn.max() <= 1.0 + 1e-6


def test_bars_are_cut_at_the_border_of_the_grid() -> None:
    bars = Bars(np.array([[-100.0, 100.0, 0.0, 100.0]]))
    drawn = bars.draw(axis_um(10, 1.0), axis_um(10, 1.0), 0)
    np.testing.assert_array_equal(drawn, np.repeat([[0.0] * 5 + [1.0] * 5], 10, axis=0))
    np.testing.assert_array_equal(bars.labels(axis_um(10, 1.0), axis_um(10, 1.0)), drawn)


@pytest.mark.parametrize("extent_um", [(166.0, 166.0), (20.0, 60.0), (1500.0, 700.0)])
def test_the_chart_fits_into_the_field_and_bars_do_not_touch(
    extent_um: tuple[float, float],
) -> None:
    specimen = usaf(extent_um=extent_um, channels=CHANNEL)
    assert isinstance(specimen.canvas, Bars)
    edges_um = specimen.canvas.edges_um
    assert edges_um.shape == (216, 4)
    assert np.abs(edges_um[:, :2]).max() <= extent_um[0] / 2
    assert np.abs(edges_um[:, 2:]).max() <= extent_um[1] / 2
    top, bottom, left, right = edges_um.T
    apart = (
        (top[:, None] >= bottom - 1e-9)
        | (bottom[:, None] <= top + 1e-9)
        | (left[:, None] >= right - 1e-9)
        | (right[:, None] <= left + 1e-9)
    )
    assert (apart | np.eye(216, dtype=bool)).all()
    short_um = np.minimum(bottom - top, right - left)
    long_um = np.maximum(bottom - top, right - left)
    np.testing.assert_allclose(long_um, 5 * short_um)


def test_half_of_the_star_is_bright_and_its_spokes_are_counted() -> None:
    star = Star(12, 10.0)
    grid_um = axis_um(301, 0.1)
    drawn = star.draw(grid_um, grid_um, 0)
    assert drawn.sum(dtype=float) * 0.01 == pytest.approx(np.pi * 50.0, rel=0.005)
    labels = star.labels(grid_um, grid_um)
    np.testing.assert_array_equal(np.unique(labels), np.arange(13))
    assert labels[150, 240] == 1  # along +x
    assert labels[240, 150] == 4  # a quarter further, towards +y
    assert (drawn[labels > 0] > 0.24).all()  # a quarter at the corner of a spoke


def test_pairs_fill_the_field() -> None:
    specimen = pair(
        extent_um=(40.0, 60.0), channels=CHANNEL, distance_um=1.0, angle_deg=90.0, spacing_um=10.0
    )
    still = specimen.objects(0)
    assert len(still.track_ids) == 2 * 4 * 6
    np.testing.assert_allclose(np.diff(still.y_um)[::2], 1.0)  # towards +y
    np.testing.assert_allclose(np.diff(still.x_um)[::2], 0.0, atol=1e-12)
    assert still.y_um.mean() == pytest.approx(0.0, abs=1e-12)
    single = pair(extent_um=(5.0, 5.0), channels=CHANNEL, distance_um=1.0, spacing_um=10.0)
    np.testing.assert_allclose(single.objects(0).x_um, [-0.5, 0.5])


@pytest.mark.parametrize(
    ("builder", "changes", "message"),
    [
        (usaf, {"group": 1}, "group=1, whose bars of 250 µm do not fit"),
        (usaf, {"group": 33}, "group=33; allowed"),
        (usaf, {"groups": 0}, "groups=0"),
        (siemens, {"spokes": 1}, "spokes=1"),
        (siemens, {"radius_um": -1.0}, "radius_um=-1"),
        (pair, {"distance_um": -0.2}, "distance_um=-0.2"),
        (pair, {"distance_um": 0.2, "spacing_um": 0.01}, "spacing_um=0.01"),
        (pair, {"distance_um": 0.2, "angle_deg": float("inf")}, "angle_deg=inf"),
    ],
)
def test_nonsense_is_refused(builder: Any, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SourceError, match=message):
        builder(extent_um=(60.0, 60.0), channels=CHANNEL, **changes)
