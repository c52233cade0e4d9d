"""Whole cells: one outline, with a nucleus that lies in it."""

import math
from typing import Any

import numpy as np
import pytest

from dipstream.errors import SourceError
from dipstream_simulator.specimen.cell import Cell, fitted
from dipstream_simulator.specimen.cells import cells
from dipstream_simulator.specimen.model import CHANNELS
from dipstream_simulator.specimen.nucleus import Nucleus
from dipstream_simulator.specimen.outline import Outline

EXTENT_UM = (400.0, 400.0)
STEP_UM, HALF = 0.2, 120
CELLS = cells(7, 8, extent_um=EXTENT_UM, channels=tuple(CHANNELS.values())).shapes


@pytest.mark.parametrize("cell", CELLS)
def test_one_outline_holds_all_channels(cell: Cell) -> None:
    depth = cell.depth(STEP_UM, HALF)
    inside = depth > 0
    y_um, x_um = (np.argwhere(inside) - HALF).T * STEP_UM
    assert [y_um.mean(), x_um.mean()] == pytest.approx([0.0, 0.0], abs=0.05)
    assert inside.sum() * STEP_UM**2 == pytest.approx(cell.area_um2, rel=0.02)
    assert np.hypot(y_um, x_um).max() <= cell.reach_um
    for shown in cell.light(STEP_UM, HALF):
        assert shown[inside].mean() == pytest.approx(1.0, rel=1e-4)
        assert (shown[~inside] == 0).all()


@pytest.mark.parametrize("cell", CELLS)
def test_the_nucleus_lies_within_and_is_dim_in_the_cytoplasm_channel(cell: Cell) -> None:
    dapi, gfp, rfp, cy5 = cell.light(STEP_UM, HALF)
    depth = cell.depth(STEP_UM, HALF)
    nucleus = dapi > 0
    assert nucleus.sum() * STEP_UM**2 == pytest.approx(cell.dna_area_um2, rel=0.03)
    assert depth[nucleus].min() > 0.05
    y_um, x_um = (np.argwhere(nucleus) - HALF).T * STEP_UM
    assert [y_um.mean(), x_um.mean()] == pytest.approx(list(cell.nucleus_um), abs=0.05)
    deep = nucleus & (dapi > 0.8 * dapi[nucleus].mean())
    around = ~nucleus & (depth > 0.35)
    assert gfp[deep].mean() < 0.85 * gfp[around].mean()
    assert rfp[deep].mean() < 0.5 * rfp[around].mean()
    rim = (depth > 0.02) & (depth < 0.08)
    assert cy5[rim].mean() > 1.5 * cy5[depth > 0.3].mean()


def test_dapi_is_as_bright_as_in_a_specimen_of_nuclei() -> None:
    specimen = cells(7, 400, extent_um=(2000.0, 2000.0))
    objects = specimen.objects(0)
    levels = []
    for which in range(0, 48, 6):
        cell = specimen.shapes[which]
        dapi = cell.light(STEP_UM, HALF)[0]
        level = dapi[dapi > 0].mean()
        levels.append(level * np.median(objects.brightness[objects.shape == which, 0]))
    assert np.mean(levels) == pytest.approx(1.0, abs=0.15)
    assert np.median(objects.brightness[:, 1]) == pytest.approx(1.0, abs=0.1)
    assert (objects.brightness[:, 1] > 0.1).all()  # none is negative


def test_cells_have_the_diameters_asked_for() -> None:
    specimen = cells(7, 48, extent_um=EXTENT_UM, cell_um=24.0, nucleus_um=9.0)
    whole, inner = np.mean(
        [(cell.area_um2, cell.dna_area_um2) for cell in specimen.shapes],
        axis=0,
    )
    assert 2 * math.sqrt(whole / math.pi) == pytest.approx(24.0, rel=0.06)
    assert 2 * math.sqrt(inner / math.pi) == pytest.approx(9.0, rel=0.06)


def test_a_nucleus_too_large_for_its_cell_is_made_to_fit() -> None:
    cell = fitted(
        Outline(10.0, 6.0, 0.0), Nucleus(Outline(8.0, 7.0, 1.0), 3), (4.0, 0.0), 5, spread=True
    )
    border_um = cell.nucleus.border_um() + np.array(cell.nucleus_um)
    assert cell.outline.depth_at(border_um[:, 0], border_um[:, 1]).min() >= 0.12


def test_dividing_cells_keep_their_protein_and_dna() -> None:
    specimen = cells(7, 30, extent_um=EXTENT_UM, cycle_t=40)
    atlas = specimen._plan.atlas
    content = (atlas.area_um2[:, None] * atlas.gain)[24 * 8 :].reshape(-1, 3, 2)
    typical = np.pi * np.array([5.0, 10.0]) ** 2
    np.testing.assert_allclose(content[:, 0] / typical, math.sqrt(2), rtol=0.15)
    np.testing.assert_allclose(content[:, 1], content[:, 0], rtol=0.03)
    np.testing.assert_allclose(content[:, 2], content[:, 0] / 2, rtol=0.03)


def test_cells_live_like_nuclei() -> None:
    specimen = cells(7, 30, extent_um=EXTENT_UM, cycle_t=20, death_rate=0.01)
    last = specimen.objects(100)
    assert (last.parent_ids > 0).mean() > 0.8
    again = cells(7, 30, extent_um=EXTENT_UM, cycle_t=20, death_rate=0.01).objects(100)
    np.testing.assert_array_equal(last.y_um, again.y_um)
    np.testing.assert_array_equal(last.track_ids, again.track_ids)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"cell_um": 1.0}, "cell_um=1;"),
        ({"cell_um": 12.0}, r"nucleus_um=10 and cell_um=12; .* Write for instance nucleus_um=6"),
        ({"nucleus_um": 0.0}, "nucleus_um=0;"),
        ({"cycle_t": 2}, "cycle_t=2;"),
    ],
)
def test_nonsense_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(SourceError, match=message):
        cells(7, 5, extent_um=EXTENT_UM, **wrong)
