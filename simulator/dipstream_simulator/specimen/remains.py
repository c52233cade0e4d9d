"""What is left of a dying nucleus: a cluster of bright round pieces."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dipstream_simulator.specimen import texture
from dipstream_simulator.specimen.lattice import Lattice
from dipstream_simulator.specimen.model import Grid

__all__ = ["Remains", "random_remains"]

_BORDER_POINTS = 48
_SAMPLES = 120  # across the cluster, to measure it
_ROUND = 0.5
_PIECES = (4, 7)

_Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Remains:
    """Balls that touch; the centroid of what they cover is the origin.

    Attributes
    ----------
    pieces
        (y_um, x_um, radius_um) of each, from the centroid.
    channels
        How many channels they are drawn for: they look the same in all.
    """

    pieces: tuple[tuple[float, float, float], ...]
    channels: int

    @property
    def reach_um(self) -> float:
        """No part is farther from the centroid than this, in µm."""
        return max(math.hypot(y_um, x_um) + radius_um for y_um, x_um, radius_um in self.pieces)

    @property
    def area_um2(self) -> float:
        """Area that the pieces cover, in µm²."""
        return float(np.count_nonzero(self._measured() > 0.0)) * self._sample_um() ** 2

    @property
    def dna_area_um2(self) -> float:
        """Area that holds DNA, in µm²: all of it."""
        return self.area_um2

    def border_um(self) -> _Numbers:
        """Return points on the pieces' outlines, float64 (n, 2): (y, x), in µm."""
        phi = np.linspace(0.0, 2.0 * np.pi, _BORDER_POINTS, endpoint=False)
        circle = np.stack([np.sin(phi), np.cos(phi)], axis=1)
        return np.concatenate([np.array([y, x]) + radius * circle for y, x, radius in self.pieces])

    def depth(self, step_um: float, half: int) -> Grid:
        """Return how deep each sample lies, as `Shape.depth`."""
        lattice = Lattice(step_um, half)
        deepest = np.full((2 * half + 1, 2 * half + 1), -np.inf)
        for y_um, x_um, radius_um in self.pieces:
            away_um = np.hypot(lattice.y_um - y_um, lattice.x_um - x_um)
            np.maximum(deepest, 1.0 - away_um / radius_um, out=deepest)
        return deepest.astype(np.float32)

    def light(self, step_um: float, half: int) -> tuple[Grid, ...]:
        """Return relative brightness, as `Shape.light`."""
        depth = self.depth(step_um, half)
        lit = texture.normalised(texture.flattened(depth, _ROUND), depth > 0.0)
        return (lit,) * self.channels

    def _sample_um(self) -> float:
        return 2.0 * self.reach_um / _SAMPLES

    def _measured(self) -> Grid:
        return self.depth(self._sample_um(), _SAMPLES // 2)


def random_remains(rng: np.random.Generator, diameter_um: float, channels: int) -> Remains:
    """Draw the pieces of a nucleus that would fit into a disk of this diameter, in µm."""
    count = int(rng.integers(_PIECES[0], _PIECES[1] + 1))
    turn = 2.0 * np.pi * (np.arange(count) + rng.uniform(-0.3, 0.3, count)) / count
    radius = 0.5 * diameter_um * rng.uniform(0.2, 0.5, count)
    away = 0.5 * diameter_um * rng.uniform(0.3, 0.6, count)
    away[0] *= 0.2  # one of them in the middle
    rough = Remains(
        tuple(
            zip(
                (away * np.sin(turn)).tolist(),
                (away * np.cos(turn)).tolist(),
                radius.tolist(),
                strict=True,
            )
        ),
        channels,
    )
    for _ in range(3):  # the raster's middle moves a little with its extent
        y_um, x_um = _middle_um(rough)
        rough = Remains(tuple((y - y_um, x - x_um, r) for y, x, r in rough.pieces), channels)
    return rough


def _middle_um(remains: Remains) -> tuple[float, float]:
    step_um = 2.0 * remains.reach_um / _SAMPLES
    inside = remains.depth(step_um, _SAMPLES // 2) > 0.0
    y_um, x_um = (np.argwhere(inside).mean(axis=0) - _SAMPLES // 2) * step_um
    return float(y_um), float(x_um)
