"""A nucleus is centred, normalised and the same at every magnification."""

import numpy as np
import pytest

from dipstream_simulator.specimen.atlas import Body, Scaled
from dipstream_simulator.specimen.cell import Cell
from dipstream_simulator.specimen.cells import cells
from dipstream_simulator.specimen.lattice import Lattice
from dipstream_simulator.specimen.model import CHANNELS
from dipstream_simulator.specimen.nucleus import Look, Nucleus, random_nucleus
from dipstream_simulator.specimen.outline import Outline
from dipstream_simulator.specimen.population import nuclei
from dipstream_simulator.specimen.remains import Remains, random_remains

NAMES = tuple(CHANNELS)
STEP_UM, HALF = 0.05, 250


def looks() -> list[Nucleus]:
    outline = Outline(4.0, 2.0, 0.7, (0.03, 0.02, 0.1), (1.0, -2.0, 3.0))
    return [Nucleus(outline, 5, NAMES, look) for look in Look]


def bodies() -> list[Body]:
    some = [random_nucleus(np.random.default_rng(seed), 10.0, NAMES) for seed in range(4)]
    pieces = [random_remains(np.random.default_rng(seed), 8.0, 4) for seed in range(3)]
    return [*some, *looks(), *pieces, Scaled(some[0], 0.8)]


@pytest.mark.parametrize("body", bodies())
def test_the_outline_is_centred_and_within_reach(body: Body) -> None:
    inside = body.depth(STEP_UM, HALF) > 0
    assert inside.shape == (2 * HALF + 1, 2 * HALF + 1)
    y_um, x_um = (np.argwhere(inside) - HALF).T * STEP_UM
    assert y_um.mean() == pytest.approx(0.0, abs=0.02)
    assert x_um.mean() == pytest.approx(0.0, abs=0.02)
    assert np.hypot(y_um, x_um).max() <= body.reach_um
    assert np.hypot(y_um, x_um).max() > 0.9 * body.reach_um
    assert inside.sum() * STEP_UM**2 == pytest.approx(body.area_um2, rel=0.02)
    extent_um = np.abs(body.border_um()).max(axis=0)
    assert extent_um == pytest.approx([np.abs(y_um).max(), np.abs(x_um).max()], abs=0.06)


@pytest.mark.parametrize("body", bodies())
def test_light_has_mean_one_inside_and_none_outside(body: Body) -> None:
    inside = body.depth(0.1, 120) > 0
    light = body.light(0.1, 120)
    assert len(light) == 4
    for shown in light:
        assert shown.dtype == np.float32
        assert shown[inside].mean() == pytest.approx(1.0, rel=1e-4)
        assert shown.min() >= 0.0
        assert 0.1 < shown[inside].std() < 0.7
        assert (shown[~inside] == 0).all()


@pytest.mark.parametrize("which", range(4))
def test_the_same_nucleus_at_any_magnification(which: int) -> None:
    nucleus = bodies()[0]
    coarse, fine = nucleus.light(0.1, 90)[which], nucleus.light(0.05, 180)[which]
    inside = coarse > 0.3
    assert np.corrcoef(coarse[inside], fine[::2, ::2][inside])[0, 1] > 0.99


def test_a_nucleus_is_drawn_the_same_elsewhere() -> None:
    nucleus = random_nucleus(np.random.default_rng(0), 10.0, NAMES)
    middle = nucleus.light_on(Lattice(0.1, 90))
    aside = nucleus.light_on(Lattice(0.1, 90).moved((1.5, -0.7)))
    for one, other in zip(middle, aside, strict=True):
        np.testing.assert_allclose(one[10:-25, 10:-25], other[25:-10, 3:-32], atol=1e-3)


def test_a_grown_nucleus_keeps_its_pattern() -> None:
    nucleus = bodies()[0]
    larger = Scaled(nucleus, 1.25)
    np.testing.assert_array_equal(larger.depth(0.125, 80), nucleus.depth(0.1, 80))
    for before, after in zip(nucleus.light(0.1, 80), larger.light(0.125, 80), strict=True):
        np.testing.assert_array_equal(before, after)


def test_contrast_is_that_of_the_texture() -> None:
    outline = Outline(5.0, 4.0, 0.3)
    inside = outline_interior(outline)
    spread = [
        [
            shown[inside].std()
            for shown in Nucleus(outline, 5, NAMES, contrast=contrast).light(0.1, 80)
        ]
        for contrast in (0.0, 1.0, 2.0)
    ]
    assert (np.diff(spread, axis=0) > 0.02).all()
    assert np.max(spread[0]) < 0.12


def outline_interior(outline: Outline) -> np.ndarray:
    return Nucleus(outline, 5).depth(0.1, 80) > 0.3


def test_channels_show_different_things() -> None:
    chromatin, protein, speckles, lamina = bodies()[0].light(0.1, 80)
    depth = bodies()[0].depth(0.1, 80)
    inside = depth > 0
    for one, other in ((chromatin, protein), (protein, speckles), (protein, lamina)):
        assert np.corrcoef(one[inside], other[inside])[0, 1] < 0.95
    rim, middle = (depth > 0.05) & (depth < 0.2), depth > 0.3
    assert lamina[rim].mean() > 1.3 * lamina[middle].mean()
    assert protein[rim].mean() < protein[middle].mean()


def test_names_that_nobody_knows_are_proteins() -> None:
    outline = Outline(5.0, 4.0, 0.3)
    unknown, known, stain, dapi = Nucleus(outline, 5, ("Venus", "GFP", "Hoechst", "DAPI")).light(
        0.2, 40
    )
    np.testing.assert_array_equal(unknown, known)
    np.testing.assert_array_equal(stain, dapi)


def test_all_shapes_of_living_specimens_can_be_drawn() -> None:
    specimens = [
        nuclei(7, 5, extent_um=(99.0, 99.0), cycle_t=20, death_rate=0.1),
        cells(7, 5, extent_um=(99.0, 99.0), cycle_t=20, death_rate=0.1),
    ]
    for specimen in specimens:
        kinds = {type(shape) for shape in specimen.shapes}
        assert kinds <= {Nucleus, Cell, Remains, Scaled}
        for shape in specimen.shapes[::7]:
            half = int(shape.reach_um / 0.4) + 1
            inside = shape.depth(0.4, half) > 0
            assert not inside[[0, -1]].any()
            assert not inside[:, [0, -1]].any()
            for shown in shape.light(0.4, half):
                assert np.isfinite(shown).all()
                assert shown[inside].mean() == pytest.approx(1.0, rel=1e-4)
