"""Frames of nuclei with their truth: the pixels that every engine gets."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage as ndi

__all__ = ["DARK_DN", "Scene", "make_scene"]

DARK_DN = 100.0


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """One frame.

    Attributes
    ----------
    raw
        uint16 (y, x), offset 100 DN.
    truth
        int32 (y, x), 0 = background.
    flat
        float32 (y, x): the illumination, 1 at its brightest.
    """

    raw: npt.NDArray[np.uint16]
    truth: npt.NDArray[np.int32]
    flat: npt.NDArray[np.float32]


@cache
def make_scene(size: int, n: int, seed: int | None = None) -> Scene:
    """Return a frame of `size`² px with `n` nuclei of 20 to 30 px, 30 % of them touching another.

    Blurred by σ 1.2 px, with shot noise, 2 DN read noise, offset 100 and an uneven illumination.
    """
    rng = np.random.default_rng(size + n if seed is None else seed)
    centres, radii = _place(size, n, rng)
    image = np.zeros((size, size), np.float32)
    truth = np.zeros((size, size), np.int32)
    for number, (centre, radius) in enumerate(zip(centres, radii, strict=True), 1):
        _draw(image, truth, number, centre, radius, rng)
    image = ndi.gaussian_filter(image, 1.2)
    y, x = np.mgrid[0:size, 0:size] / size - 0.5
    flat = 1 - 0.3 * (y**2 + x**2)
    light = (image + 30) * flat
    raw = rng.poisson(light) + rng.normal(0, 2, image.shape) + DARK_DN
    return Scene(np.clip(raw, 0, 65535).astype(np.uint16), truth, flat.astype(np.float32))


def _place(
    size: int, n: int, rng: np.random.Generator
) -> tuple[list[npt.NDArray[Any]], list[float]]:
    centres: list[npt.NDArray[Any]] = []
    radii: list[float] = []
    near: dict[tuple[int, int], list[int]] = {}
    cell = 40
    for _ in range(200_000):
        if len(centres) == n:
            break
        radius = rng.uniform(20, 30) / 2
        beside = -1
        if centres and rng.random() < 0.3:
            beside = int(rng.integers(len(centres)))
            angle = rng.uniform(0, 2 * np.pi)
            way = (radius + radii[beside]) * rng.uniform(0.86, 0.97)
            centre = centres[beside] + way * np.array([np.sin(angle), np.cos(angle)])
        else:
            centre = rng.uniform(radius + 4, size - radius - 4, 2)
        if (centre < radius + 4).any() or (centre > size - radius - 4).any():
            continue
        gy, gx = int(centre[0] // cell), int(centre[1] // cell)
        others = [k for a in (-1, 0, 1) for b in (-1, 0, 1) for k in near.get((gy + a, gx + b), ())]
        least = 0.84 if beside >= 0 else 1.15
        if all(
            np.hypot(*(centres[k] - centre))
            >= (radius + radii[k]) * (0.84 if k == beside else least)
            for k in others
        ):
            near.setdefault((gy, gx), []).append(len(centres))
            centres.append(centre)
            radii.append(radius)
    return centres, radii


def _draw(
    image: npt.NDArray[np.float32],
    truth: npt.NDArray[np.int32],
    number: int,
    centre: npt.NDArray[Any],
    radius: float,
    rng: np.random.Generator,
) -> None:
    size = len(image)
    roundness = rng.uniform(0.8, 1.0)
    major, minor, angle = radius / roundness**0.5, radius * roundness**0.5, rng.uniform(0, np.pi)
    reach = int(np.ceil(major)) + 1
    box = tuple(slice(max(0, int(c) - reach), min(size, int(c) + reach + 2)) for c in centre)
    y, x = np.mgrid[box]
    dy, dx = y - centre[0], x - centre[1]
    u, v = dx * np.cos(angle) + dy * np.sin(angle), -dx * np.sin(angle) + dy * np.cos(angle)
    square = (u / major) ** 2 + (v / minor) ** 2
    inside = square <= 1
    height = rng.lognormal(np.log(900), 0.3)
    texture = 1 + 0.15 * np.sin(u / 2.3 + rng.uniform(0, 6)) * np.cos(v / 2.7 + rng.uniform(0, 6))
    value = height * np.sqrt(np.clip(1.2 - square, 0, None)) * texture
    owned = truth[box]
    owned[inside & (owned == 0)] = number
    drawn = image[box]
    drawn[inside] = np.maximum(drawn[inside], value[inside])
