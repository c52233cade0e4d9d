"""The truth is what the image shows: labels, centroids, tracks."""

import numpy as np
import pytest
from scipy import ndimage

from dipstream.errors import SourceError
from dipstream.source import SourceTruth
from dipstream_simulator import SimSource, open_sim


@pytest.fixture(scope="module")
def source() -> SimSource:
    return open_sim(n=24, width=320, height=256, fps=0)


def places(truth: SourceTruth) -> dict[int, tuple[float, float]]:
    return {
        int(track): (float(y), float(x))
        for track, y, x in zip(truth.track_ids, truth.y_um, truth.x_um, strict=True)
    }


@pytest.mark.parametrize("seq", [0, 1, 37])
def test_labels_match_positions(source: SimSource, seq: int) -> None:
    truth = source.truth(seq)
    pixel_um = source.info.pixel_um
    assert pixel_um is not None
    assert truth.labels.dtype == np.int32
    assert truth.labels.shape == (256, 320)
    assert truth.count == 24
    np.testing.assert_array_equal(np.unique(truth.labels), np.arange(25))
    centroids = np.array(
        ndimage.center_of_mass(truth.labels > 0, truth.labels, np.arange(1, truth.count + 1))
    )
    # Half a pixel at most, and no systematic half: that would be a defect of the grid.
    error_px = centroids - np.stack([truth.y_um, truth.x_um], axis=1) / pixel_um
    assert np.abs(error_px).max() < 0.5
    assert np.abs(error_px.mean(axis=0)).max() < 0.05


def test_the_image_is_where_the_truth_says(source: SimSource) -> None:
    truth = source.truth(0)
    assert truth.pixels is not None
    photons = truth.pixels().photons.astype(float)
    light = photons - np.percentile(photons, 2)
    assert light[truth.labels > 0].sum() / light.sum() > 0.85
    y_px, x_px = ndimage.center_of_mass(light)
    weights = np.array([light[truth.labels == label].sum() for label in range(1, 25)])
    assert y_px == pytest.approx(np.average(truth.y_um, weights=weights) / 0.325, abs=1.0)
    assert x_px == pytest.approx(np.average(truth.x_um, weights=weights) / 0.325, abs=1.0)


def test_pixels_held_what_the_frame_shows(source: SimSource) -> None:
    frame = next(source.frames())
    truth = source.truth(0)
    assert truth.pixels is not None
    pixels = truth.pixels()
    segment = frame.info.segment
    read_e = (frame.data.astype(float) - segment.offset_dn) * segment.gain_e_per_dn
    assert (read_e - pixels.electrons).std() == pytest.approx(1.5, rel=0.1)
    assert pixels.electrons.sum() == pytest.approx(0.8 * pixels.photons.sum(), rel=5e-3)
    assert pixels.photons.shape == pixels.electrons.shape == pixels.saturated.shape == (256, 320)
    assert not pixels.saturated.any()


def test_both_channels_of_a_set_share_positions(source: SimSource) -> None:
    assert source.truth(6).labels is source.truth(7).labels
    assert places(source.truth(6)) != places(source.truth(8))


def test_tracks_move_continuously(source: SimSource) -> None:
    before = places(source.truth(0))
    for t in range(1, 30):
        now = places(source.truth(2 * t))
        assert now.keys() == before.keys()
        steps_um = [np.hypot(*np.subtract(now[track], before[track])) for track in now]
        assert max(steps_um) < 3.0
        assert 0.3 < np.mean(steps_um) < 1.5
        before = now


def test_going_back_in_time_gives_the_same_truth(source: SimSource) -> None:
    early = source.truth(10)
    for seq in range(40, 80, 2):  # more than are kept
        source.truth(seq)
    again = source.truth(10)
    assert again is not early
    np.testing.assert_array_equal(again.labels, early.labels)
    assert places(again) == places(early)


def test_only_visible_nuclei_are_counted() -> None:
    crowd = open_sim(n=120, width=96, height=96, fps=0).truth(0)
    assert 0 < crowd.count <= 120
    np.testing.assert_array_equal(
        np.unique(crowd.labels[crowd.labels > 0]), np.arange(1, crowd.count + 1)
    )
    assert crowd.count == len(set(crowd.track_ids.tolist())) == len(crowd.y_um)


def test_negative_numbers_are_refused(source: SimSource) -> None:
    with pytest.raises(SourceError, match="seq=-1"):
        source.truth(-1)
