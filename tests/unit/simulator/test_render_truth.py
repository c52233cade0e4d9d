"""The truth's labels lie where the objects are, without holes and without half a pixel."""

from dataclasses import replace

import numpy as np
import pytest

from dipstream.errors import SourceError
from dipstream_simulator.optics import Microscope, Objective
from dipstream_simulator.render import Renderer, View
from dipstream_simulator.specimen.flat import flat
from dipstream_simulator.specimen.model import CHANNELS, Objects
from dipstream_simulator.specimen.points import Point, StillPoints, still_objects
from dipstream_simulator.specimen.population import nuclei
from dipstream_simulator.specimen.targets import usaf

CHANNEL = (CHANNELS["GFP"],)
DRY = Microscope(Objective(20, 0.75))
PIXEL_UM = 0.325


def disks(places_um: list[tuple[float, float]], radius_um: float = 3.0) -> StillPoints:
    y_um, x_um = np.array(places_um).T
    still = still_objects(y_um, x_um, np.zeros(len(y_um)), np.ones((len(y_um), 1)))
    return StillPoints(CHANNEL, (80.0, 80.0), (Point(radius_um),), still)


def with_objects(specimen: StillPoints, **changes: object) -> StillPoints:
    changed: Objects = replace(specimen.still, **changes)  # type: ignore[arg-type]
    return replace(specimen, still=changed)


def renderer(specimen: StillPoints, shape: tuple[int, int] = (100, 120)) -> Renderer:
    return Renderer(specimen, DRY, shape=shape, pixel_um=PIXEL_UM)


@pytest.mark.parametrize("view", [View(), View(3.17, -2.6, 1.5)])
def test_centroids_of_labels_are_those_of_the_objects(view: View) -> None:
    specimen = nuclei(3, 25, extent_um=(60.0, 60.0), channels=CHANNEL)
    truth = Renderer(specimen, DRY, shape=(240, 250), pixel_um=PIXEL_UM).truth(0, view)
    assert len(truth.track_ids) == 25
    y_px, x_px = np.mgrid[: truth.labels.shape[0], : truth.labels.shape[1]]
    error_px = np.array(
        [
            (
                y_px[truth.labels == label].mean() - truth.y_um[label - 1] / PIXEL_UM,
                x_px[truth.labels == label].mean() - truth.x_um[label - 1] / PIXEL_UM,
            )
            for label in range(1, 26)
        ]
    )
    assert np.abs(error_px).max() < 0.5
    assert np.abs(error_px.mean(axis=0)).max() < 0.05, "half a pixel off"
    np.testing.assert_allclose(truth.z_um, -view.z_um)


def test_a_label_covers_the_pixels_whose_middle_is_inside() -> None:
    truth = renderer(disks([(0.4, -1.1)], 4.0)).truth(0, View())
    y_um = (np.arange(100) - 49.5)[:, None] * PIXEL_UM
    x_um = (np.arange(120) - 59.5)[None, :] * PIXEL_UM
    distance_um = np.hypot(y_um - 0.4, x_um + 1.1)
    clear = np.abs(distance_um - 4.0) > 0.01  # a pixel on the very edge may go either way
    np.testing.assert_array_equal((truth.labels == 1)[clear], (distance_um < 4.0)[clear])


def test_the_deeper_one_owns_the_overlap_and_the_hidden_one_is_not_counted() -> None:
    specimen = disks([(0.0, -1.0), (0.0, 1.5), (0.0, -1.0)])
    truth = renderer(specimen).truth(0, View())
    np.testing.assert_array_equal(truth.track_ids, [1, 2])  # 3 lies exactly below 1
    assert set(np.unique(truth.labels)) == {0, 1, 2}
    columns = np.flatnonzero(truth.labels[49] == 2)
    assert (columns[0] - 59.5) * PIXEL_UM == pytest.approx(0.25, abs=PIXEL_UM)


def test_objects_outside_or_uncounted_leave_no_hole_in_the_numbers() -> None:
    specimen = disks([(0.0, 0.0), (60.0, 0.0), (5.0, 9.0), (-9.0, 5.0)])
    specimen = with_objects(
        specimen, counted=np.array([True, True, False, True]), parent_ids=np.array([0, 0, 0, 2])
    )
    truth = renderer(specimen).truth(0, View())
    np.testing.assert_array_equal(truth.track_ids, [1, 4])
    np.testing.assert_array_equal(truth.parent_ids, [0, 2])
    assert set(np.unique(truth.labels)) == {0, 1, 2}
    assert truth.labels.dtype == np.int32


@pytest.mark.parametrize(("dy", "dx"), [(0.0, 0.0), (0.5, 0.5), (0.3, 0.49)])
def test_a_point_smaller_than_a_pixel_has_one_pixel(dy: float, dx: float) -> None:
    specimen = disks([(dy * PIXEL_UM, dx * PIXEL_UM)], 0.0)
    specimen = replace(specimen, shapes=(Point(0.0, 0.02),))
    truth = renderer(specimen, (101, 101)).truth(0, View())
    assert (truth.labels == 1).sum() == 1
    y_px, x_px = np.argwhere(truth.labels)[0]
    assert abs(y_px - 50 - dy) <= 0.5
    assert abs(x_px - 50 - dx) <= 0.5


def test_labels_and_light_lie_on_each_other() -> None:
    drawn = renderer(disks([(0.7, -2.2), (8.1, 9.4)]))
    image = drawn.photons(0, 0, View(0.1, 0.2), signal=1.0, background=0.0)
    truth = drawn.truth(0, View(0.1, 0.2))
    y_px, x_px = np.indices(image.shape)
    for label in (1, 2):
        near = np.hypot(
            y_px - truth.y_um[label - 1] / PIXEL_UM, x_px - truth.x_um[label - 1] / PIXEL_UM
        )
        weights = np.where(near < 18, image, 0.0)
        centre_um = np.average(y_px, weights=weights) * PIXEL_UM
        assert centre_um == pytest.approx(truth.y_um[label - 1], abs=0.01)


def test_elements_of_a_drawing_are_counted() -> None:
    specimen = usaf(extent_um=(60.0, 60.0), channels=CHANNEL, groups=1)
    drawn = Renderer(specimen, DRY, shape=(200, 200), pixel_um=PIXEL_UM)
    truth = drawn.truth(0, View())
    np.testing.assert_array_equal(truth.track_ids, np.arange(1, 37))
    truth.labels[:] = 0  # the caller's own
    assert drawn.truth(9, View()).labels.max() == 36
    half = drawn.truth(0, View(x_um=35.0))
    assert 0 < len(half.track_ids) < 36
    assert half.labels.max() == len(half.track_ids)


def test_nothing_is_seen_in_a_flat_field() -> None:
    specimen = flat(extent_um=(60.0, 60.0), channels=CHANNEL)
    drawn = Renderer(specimen, DRY, shape=(20, 30), pixel_um=PIXEL_UM)
    assert (drawn.photons(4, 0, View(9.0, 9.0, 9.0), signal=5.0, background=12.5) == 12.5).all()
    truth = drawn.truth(4, View())
    assert truth.labels.shape == (20, 30)
    assert not truth.labels.any()
    assert len(truth.track_ids) == 0


def test_impossible_requests_are_refused() -> None:
    specimen = flat(extent_um=(60.0, 60.0), channels=CHANNEL)
    with pytest.raises(SourceError, match="pixel_um=0; allowed are"):
        Renderer(specimen, DRY, shape=(20, 30), pixel_um=0.0)
    with pytest.raises(SourceError, match="width=0"):
        Renderer(specimen, DRY, shape=(20, 0), pixel_um=0.1)
    drawn = Renderer(specimen, DRY, shape=(20, 30), pixel_um=PIXEL_UM)
    with pytest.raises(SourceError, match="channel=1"):
        drawn.photons(0, 1, View(), signal=1.0, background=0.0)
    out = np.zeros((20, 30))
    with pytest.raises(SourceError, match="float64"):
        drawn.photons(0, 0, View(), signal=1.0, background=0.0, out=out)  # type: ignore[arg-type]
