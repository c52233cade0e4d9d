"""The noise is judged right where there is more than noise."""

import numpy as np
import pytest
from scipy import ndimage as ndi

from dipstream.steps.segment.noise import noise_sd, robust_sd


def white(sd=3.0, shape=(400, 400), seed=1):
    return np.random.default_rng(seed).normal(100, sd, shape)


def test_of_noise_alone():
    assert noise_sd(white()) == pytest.approx(3, rel=0.02)


@pytest.mark.parametrize("sigma", [0.7, 1.0, 1.5])
def test_of_smoothed_noise(sigma):
    smooth = ndi.gaussian_filter(white(), sigma)
    assert noise_sd(smooth) == pytest.approx(smooth.std(), rel=0.12)


def test_an_uneven_background_is_no_noise():
    slope = np.linspace(0, 150, 400)[None, :]
    assert noise_sd(white() + slope) == pytest.approx(3, rel=0.1)


def test_objects_are_no_noise():
    pixels = white()
    for y in range(10, 390, 40):
        for x in range(10, 390, 40):
            pixels[y : y + 22, x : x + 22] += 500
    assert noise_sd(pixels) == pytest.approx(3, rel=0.2)


@pytest.mark.parametrize("shape", [(1, 1), (4, 4), (0, 0)])
def test_tiny_images_have_none(shape):
    assert noise_sd(np.ones(shape, np.float32)) == 0


def test_robust_against_half_of_something_else():
    values = white(shape=(200, 200)) - 100
    values[:, ::3] += 1000
    assert robust_sd(values) == pytest.approx(3, rel=0.65)
    assert np.std(values) > 400
