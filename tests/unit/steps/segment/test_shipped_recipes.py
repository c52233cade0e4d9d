"""The segmentation of the shipped presets, on fields whose truth is known."""

import inspect
from importlib.resources import files

import numpy as np
import pytest
import yaml
from scipy import ndimage as ndi

from dipstream.steps.correct.smooth import gaussian
from dipstream.steps.image import Image, Labels
from dipstream.steps.segment.clean import clean, clear_border, fill_holes
from dipstream.steps.segment.split import split
from dipstream.steps.segment.spots import spots
from dipstream.steps.segment.threshold import threshold
from dipstream.truth import f1_score

STEPS = {
    step.__name__: step
    for step in (clean, clear_border, fill_holes, gaussian, split, spots, threshold)
}
PRESETS = ("nuclei", "cells", "spots")


def recipe(preset):
    text = (files("dipstream") / "presets" / f"{preset}.yaml").read_text(encoding="utf-8")
    return yaml.safe_load(text)


def labels_of(preset, pixels):
    value = Image(pixels)
    for step in recipe(preset)["objects"][preset]["steps"]:
        ((name, parameters),) = step.items()
        value = STEPS[name](value, **parameters)
    assert isinstance(value, Labels)
    return value.dense


def camera(field, seed, offset=100):
    rng = np.random.default_rng(seed)
    noisy = rng.poisson(field) + rng.normal(0, 2, field.shape) + offset
    return np.clip(np.rint(noisy), 0, 4095).astype(np.uint16)


def discs(size, n, radii, height, seed, touching=0.9):
    """Blurred flat-topped discs, uneven in brightness, some of them touching."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    truth = np.zeros((size, size), np.int32)
    field = np.zeros((size, size))
    placed = []
    while len(placed) < n:
        radius = rng.uniform(*radii)
        centre = rng.uniform(radius, size - radius, 2)
        if any(np.hypot(*(centre - c)) < touching * (radius + r) for c, r in placed):
            continue
        placed.append((centre, radius))
        square = ((y - centre[0]) ** 2 + (x - centre[1]) ** 2) / radius**2
        inside = (square <= 1) & (truth == 0)
        truth[inside] = len(placed)
        field[inside] = height * rng.lognormal(0, 0.4) * np.sqrt(1.2 - square[inside])
    return ndi.gaussian_filter(field, 1.2) + 30, truth


@pytest.mark.parametrize("height", [40, 150, 900])
@pytest.mark.parametrize("n", [10, 60])
def test_nuclei(n, height):
    field, truth = discs(400, n, (10, 15), height, seed=n)
    assert f1_score(truth, labels_of("nuclei", camera(field, 1))) >= 0.97


def test_nuclei_in_8_bits_under_uneven_light():
    field, truth = discs(400, 50, (9, 14), 120, seed=3)
    y, x = np.mgrid[:400, :400] / 400 - 0.5
    pixels = np.clip(field * (1 - 0.8 * (y**2 + x**2)), 0, 255).astype(np.uint8)
    assert f1_score(truth, labels_of("nuclei", pixels)) >= 0.96


@pytest.mark.parametrize("height", [60, 300])
def test_cells(height):
    field, truth = discs(500, 20, (28, 45), height, seed=5, touching=0.95)
    nuclei = ndi.distance_transform_edt(truth) > 20
    assert f1_score(truth, labels_of("cells", camera(field * np.where(nuclei, 0.6, 1), 2))) >= 0.95


def test_spots():
    rng = np.random.default_rng(7)
    field = np.zeros((300, 300))
    places = rng.permutation(29 * 29)[:150]
    truth = np.zeros((300, 300), np.int32)
    for number, place in enumerate(places, start=1):
        y, x = 10 * (place // 29 + 1), 10 * (place % 29 + 1)
        field[y, x] = rng.uniform(600, 3000)
        truth[y - 1 : y + 2, x - 1 : x + 2] = number
    pixels = camera(ndi.gaussian_filter(field, 1.5) + 20, 3)
    assert f1_score(truth, labels_of("spots", pixels), iou=0.2) >= 0.95


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("level", [0, 100, 4095, 65535])
def test_one_grey_level_holds_nothing(preset, level):
    assert labels_of(preset, np.full((200, 210), level, np.uint16)).max() == 0


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("background", [5, 30, 400])
def test_an_empty_field_holds_next_to_nothing(preset, background):
    y, x = np.mgrid[:512, :512] / 512 - 0.5
    field = background * (1 - 0.2 * (y**2 + x**2))
    assert labels_of(preset, camera(field, 4)).max() <= 1


@pytest.mark.parametrize("preset", PRESETS)
def test_every_parameter_is_one_of_the_step(preset):
    for step in recipe(preset)["objects"][preset]["steps"]:
        ((name, parameters),) = step.items()
        known = inspect.signature(STEPS[name]).parameters
        assert set(parameters) <= {k for k, p in known.items() if p.kind is p.KEYWORD_ONLY}
