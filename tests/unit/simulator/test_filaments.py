"""Filaments: as long, as straight and as bright as asked for."""

from typing import Any

import numpy as np
import pytest

from dipstream.errors import SourceError
from dipstream_simulator.specimen.filaments import FilamentCanvas, filaments, worm_like_chains
from dipstream_simulator.specimen.model import CHANNELS

CHANNEL = (CHANNELS["GFP"],)


def canvas_of(**parameters: Any) -> FilamentCanvas:
    specimen = filaments(2, extent_um=(1000.0, 1000.0), channels=CHANNEL, **parameters)
    assert isinstance(specimen.canvas, FilamentCanvas)
    return specimen.canvas


def test_lengths_vary_about_the_typical_one() -> None:
    chains = canvas_of(n=800, length_um=20.0).chains
    lengths_um = np.bincount(chains.filament)[1:] * 0.05
    assert lengths_um.mean() == pytest.approx(20.0, rel=0.03)
    assert lengths_um.std() == pytest.approx(6.0, rel=0.1)
    assert chains.length_um == pytest.approx(lengths_um.sum())


def test_the_direction_is_forgotten_along_the_persistence_length() -> None:
    # In a plane <cos θ(s)> = exp(−s / 2P).
    chains = worm_like_chains(np.random.default_rng(3), 400, (9e4, 9e4), 30.0, 8.0)
    direction_rad = np.arctan2(chains.along_y_um, chains.along_x_um)
    for s_um in (2.0, 8.0):
        gap = round(s_um / 0.05)
        same = chains.filament[gap:] == chains.filament[:-gap]
        cosine = np.cos(direction_rad[gap:] - direction_rad[:-gap])[same].mean()
        assert cosine == pytest.approx(np.exp(-s_um / 16.0), abs=0.03)


def test_segments_hang_together() -> None:
    chains = canvas_of(n=5).chains
    ends = np.stack([chains.y_um + chains.along_y_um / 2, chains.x_um + chains.along_x_um / 2])
    starts = np.stack([chains.y_um - chains.along_y_um / 2, chains.x_um - chains.along_x_um / 2])
    same = chains.filament[1:] == chains.filament[:-1]
    np.testing.assert_allclose(ends[:, :-1][:, same], starts[:, 1:][:, same], atol=1e-9)


@pytest.mark.parametrize("step_um", [0.03, 0.11, 0.7])
def test_the_drawing_holds_the_light_at_its_place_whatever_the_grid(step_um: float) -> None:
    canvas = canvas_of(n=1, length_um=12.0, light_per_um=0.4)
    chains = canvas.chains
    count = round(40 / step_um)
    axis_um = (np.arange(count) - (count - 1) / 2) * step_um
    y_um, x_um = axis_um + chains.y_um.mean(), axis_um + chains.x_um.mean()
    drawn = canvas.draw(y_um, x_um, 0).astype(float)
    assert drawn.sum() * step_um**2 == pytest.approx(0.4 * chains.length_um, rel=1e-4)
    assert drawn.sum(axis=1) @ y_um / drawn.sum() == pytest.approx(chains.y_um.mean(), abs=1e-3)
    assert drawn.sum(axis=0) @ x_um / drawn.sum() == pytest.approx(chains.x_um.mean(), abs=1e-3)


def test_two_halves_of_a_grid_are_the_whole() -> None:
    canvas = canvas_of(n=1)
    y_um = canvas.chains.y_um.mean() + np.arange(-200, 200) * 0.1
    x_um = canvas.chains.x_um.mean() + np.arange(-200, 200) * 0.1
    whole = canvas.draw(y_um, x_um, 0)
    halves = [canvas.draw(y_um, part, 0) for part in (x_um[:200], x_um[200:])]
    np.testing.assert_allclose(np.concatenate(halves, axis=1), whole, atol=1e-5 * whole.max())


def test_labels_follow_the_filaments_without_gaps() -> None:
    canvas = canvas_of(n=1, length_um=30.0, truth_radius_um=0.3)
    chains = canvas.chains
    y_um = chains.y_um.mean() + np.arange(-250, 250) * 0.1
    x_um = chains.x_um.mean() + np.arange(-250, 250) * 0.1
    labels = canvas.labels(y_um, x_um)
    expected_um2 = 0.6 * chains.length_um + np.pi * 0.09
    assert (labels == 1).sum() * 0.01 == pytest.approx(expected_um2, rel=0.03)
    coarse = canvas.labels(y_um[::20], x_um[::20])  # the radius is less than a sample
    rows = np.round((chains.y_um - y_um[0]) / 2.0).astype(int)
    columns = np.round((chains.x_um - x_um[0]) / 2.0).astype(int)
    assert (coarse[rows, columns] == 1).all()


def test_filaments_end_at_the_border_of_the_field() -> None:
    specimen = filaments(1, 30, extent_um=(20.0, 30.0), channels=CHANNEL, length_um=60.0)
    assert specimen.canvas is not None
    y_um = x_um = np.linspace(-40.0, 40.0, 401)
    drawn = specimen.canvas.draw(y_um, x_um, 0)
    assert not drawn[np.abs(y_um) > 10.5].any()
    assert not drawn[:, np.abs(x_um) > 15.5].any()
    assert drawn.any()


@pytest.mark.parametrize(
    "changes",
    [
        {"n": -1},
        {"length_um": 0.0},
        {"persistence_um": 0.0},
        {"light_per_um": -1.0},
        {"seed": 1.0e30},
    ],
)
def test_nonsense_is_refused(changes: dict[str, Any]) -> None:
    good: dict[str, Any] = {"seed": 1, "n": 5, "extent_um": (50.0, 50.0), "channels": CHANNEL}
    with pytest.raises(SourceError, match=f"{next(iter(changes))}="):
        filaments(**(good | changes))
