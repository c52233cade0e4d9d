"""Spots of known places and heights."""

import numpy as np
import pytest
from scipy import ndimage as ndi
from scipy.optimize import linear_sum_assignment

from dipstream.errors import StepError
from dipstream.steps.image import Image
from dipstream.steps.segment.spots import spots


def field(n=150, size=400, sigma=1.5, heights=(40, 200), background=30.0, seed=0):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    pixels = background * (1.5 - np.hypot(y - size / 2, x - size / 2) / size)
    places = []
    while len(places) < n:
        place = rng.uniform(4, size - 4, 2)
        if all(np.hypot(*(place - other)) > 5 for other in places):
            places.append(place)
    for cy, cx in places:
        box = np.s_[max(0, int(cy) - 9) : int(cy) + 10, max(0, int(cx) - 9) : int(cx) + 10]
        square = (y[box] - cy) ** 2 + (x[box] - cx) ** 2
        pixels[box] += rng.uniform(*heights) * np.exp(-square / (2 * sigma**2))
    noisy = rng.poisson(pixels) + rng.normal(0, 2, pixels.shape) + 100
    return np.clip(noisy, 0, 4095).astype(np.uint16), np.array(places)


def f1(labels, places, reach=2.0):
    n = labels.count
    centres = np.array(ndi.center_of_mass(labels.dense > 0, labels.dense, range(1, n + 1)))
    distance = np.hypot(*(centres[:, None] - places[None]).transpose(2, 0, 1))
    rows, columns = linear_sum_assignment(np.minimum(distance, reach))
    return 2 * (distance[rows, columns] < reach).sum() / (n + len(places))


@pytest.mark.parametrize("sigma", [1.2, 1.5, 1.9])
@pytest.mark.parametrize("seed", [0, 1])
def test_spots_are_found(sigma, seed):
    pixels, places = field(sigma=sigma, seed=seed)
    assert f1(spots(Image(pixels)), places) >= 0.95


def test_crowded_spots_are_found():
    pixels, places = field(n=900, seed=5)
    assert f1(spots(Image(pixels)), places) >= 0.9


@pytest.mark.parametrize("background", [5.0, 30.0, 3000.0])
def test_noise_is_no_spot(background):
    rng = np.random.default_rng(4)
    pixels = (rng.poisson(background, (512, 512)) + 100).astype(np.uint16)
    assert spots(Image(pixels)).count <= 2


@pytest.mark.parametrize("level", [0, 37, 4095, 65535])
def test_one_grey_level_has_no_spot(level):
    labels = spots(Image(np.full((64, 64), level, np.uint16)))
    assert labels.count == 0
    assert labels.dense.dtype == np.int32


def test_a_matched_spot_answers_with_its_height():
    y, x = np.mgrid[:61, :61]
    pixels = 500 + 80 * np.exp(-((y - 30) ** 2 + (x - 30) ** 2) / (2 * 2.0**2))
    assert spots(Image(pixels), sigma_px=2, min_height_sd=1e-9).count == 1
    labels = spots(Image(pixels), sigma_px=2)
    assert labels.count == 1
    assert labels.estimates["threshold"] <= 0.08 + 1e-4 * 80
    # half height of the answer of a matched spot lies at radius 1.27 σ
    assert np.sqrt((labels.dense == 1).sum() / np.pi) == pytest.approx(1.27 * 2, rel=0.12)


def test_two_spots_close_together_are_two():
    y, x = np.mgrid[:61, :61]
    pixels = sum(100 * np.exp(-((y - 30) ** 2 + (x - cx) ** 2) / (2 * 1.5**2)) for cx in (27, 33))
    noisy = np.random.default_rng(0).normal(pixels + 100, 2)
    labels = spots(Image(noisy))
    assert labels.count == 2
    assert (labels.dense[30, 27], labels.dense[30, 33]) in {(1, 2), (2, 1)}


def test_pixels_that_are_no_numbers_are_refused():
    pixels = np.ones((9, 9), np.float32)
    pixels[0, 0] = np.nan
    with pytest.raises(StepError, match="NaN"):
        spots(Image(pixels))
