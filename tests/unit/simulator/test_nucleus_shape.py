"""A nucleus is centred, normalised and the same at every magnification."""

import numpy as np
import pytest

from dipstream_simulator.specimen.nucleus import Nucleus, random_nucleus

NUCLEI = [random_nucleus(np.random.default_rng(seed), 10.0) for seed in range(6)]


@pytest.mark.parametrize("nucleus", NUCLEI)
def test_the_outline_is_centred_and_within_reach(nucleus: Nucleus) -> None:
    step_um, half = 0.05, 250
    inside = nucleus.depth(step_um, half) > 0
    y_um, x_um = (np.argwhere(inside) - half).T * step_um
    assert y_um.mean() == pytest.approx(0.0, abs=0.02)
    assert x_um.mean() == pytest.approx(0.0, abs=0.02)
    assert np.hypot(y_um, x_um).max() <= nucleus.reach_um
    area_um2 = inside.sum() * step_um**2
    assert area_um2 == pytest.approx(np.pi * nucleus.major_um * nucleus.minor_um, rel=0.02)


@pytest.mark.parametrize("nucleus", NUCLEI)
def test_light_is_textured_with_mean_one_inside_and_none_outside(nucleus: Nucleus) -> None:
    inside = nucleus.depth(0.1, 120) > 0
    for light in nucleus.light(0.1, 120):
        assert light[inside].mean() == pytest.approx(1.0, rel=1e-4)
        assert 0.1 < light[inside].std() < 0.6
        assert (light[~inside] == 0).all()


def test_the_same_nucleus_at_any_magnification() -> None:
    for coarse, fine in zip(NUCLEI[0].light(0.1, 90), NUCLEI[0].light(0.05, 180), strict=True):
        inside = coarse > 0.3
        assert np.corrcoef(coarse[inside], fine[::2, ::2][inside])[0, 1] > 0.99
