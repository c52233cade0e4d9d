"""Fluorescent spots in cells, as in RNA-FISH: many points in a few dim bodies."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import spatial

from dipstream_simulator.limits import require_between
from dipstream_simulator.specimen.flat import require_extent
from dipstream_simulator.specimen.model import Channel, Objects, Shape
from dipstream_simulator.specimen.points import Point, StillPoints

__all__ = ["Body", "spots"]

_BODIES = 16  # distinct cells
_INSIDE = 0.85  # spots keep this far from the outline, relative to the semi-axes
_PASSES = 100
_Grid = npt.NDArray[np.float32]
_Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Body:
    """An elliptic cell, thick in the middle and thin at its rim.

    Attributes
    ----------
    major_um, minor_um
        Semi-axes in µm.
    angle_rad
        Direction of the major axis, from +x towards +y.
    channels
        In how many channels it shines alike.
    """

    major_um: float
    minor_um: float
    angle_rad: float
    channels: int

    @property
    def reach_um(self) -> float:
        """The larger semi-axis, in µm."""
        return self.major_um

    def depth(self, step_um: float, half: int) -> _Grid:
        """Return 1 in the middle, 0 on the outline, float32 (2·half + 1, 2·half + 1)."""
        axis_um = np.arange(-half, half + 1) * step_um
        y_um, x_um = axis_um[:, None], axis_um[None, :]
        cos, sin = math.cos(self.angle_rad), math.sin(self.angle_rad)
        u = (x_um * cos + y_um * sin) / self.major_um
        v = (y_um * cos - x_um * sin) / self.minor_um
        return np.asarray(1.0 - np.hypot(u, v), dtype=np.float32)

    def light(self, step_um: float, half: int) -> tuple[_Grid, ...]:
        """Return the height of half an ellipsoid, with mean 1 within the outline."""
        depth = self.depth(step_um, half)
        height = np.sqrt(np.clip(1.0 - (1.0 - depth) ** 2, 0.0, None))
        inside = depth > 0.0
        light = np.where(inside, height / max(float(height[inside].mean()), 1e-9), 0.0)
        return (np.asarray(light, dtype=np.float32),) * self.channels

    def random_places_um(self, rng: np.random.Generator, n: int) -> tuple[_Numbers, _Numbers]:
        """Return n places (y, x) anywhere well within the outline, from its middle."""
        radius = _INSIDE * np.sqrt(rng.random(n))
        direction_rad = rng.uniform(-math.pi, math.pi, n)
        along_um = self.major_um * radius * np.cos(direction_rad)
        across_um = self.minor_um * radius * np.sin(direction_rad)
        cos, sin = math.cos(self.angle_rad), math.sin(self.angle_rad)
        return along_um * sin + across_um * cos, along_um * cos - across_um * sin


def spots(
    seed: int,
    n: int,
    *,
    extent_um: tuple[float, float],
    channels: tuple[Channel, ...],
    per_cell: float = 20.0,
    cell_um: float = 18.0,
    cell_brightness: float = 0.5,
    brightness_spread: float = 0.3,
    z_spread_um: float = 0.0,
    truth_radius_um: float = 0.2,
) -> StillPoints:
    """Scatter bright spots in n dim cells; the spots are counted, the cells are not.

    Parameters
    ----------
    seed
        The same seed gives the same cells and spots.
    n
        How many cells, 0 to 5000.
    extent_um
        Height and width of the field, in µm.
    channels
        The channels they can be seen in.
    per_cell
        Mean number of spots in a cell (Poisson), 0 to 1000.
    cell_um
        Typical diameter of a cell, in µm, 1 to 200.
    cell_brightness
        Light of a µm² of cell, relative to that of a whole spot, 0 to 100: autofluorescence and
        probes that float freely.
    brightness_spread
        Standard deviation of the logarithm of the spots' brightness, 0 to 2; the mean is 1.
    z_spread_um
        Standard deviation of the spots' height, in µm, 0 to 1000.
    truth_radius_um
        Radius of a spot's disk in the truth, in µm.

    Raises
    ------
    SourceError
        If a value is outside its limits.
    """
    require_between("seed", seed, 0, 2**63 - 1, example=7)
    require_between("n", n, 0, 5000, example=20)
    require_extent(extent_um)
    require_between("per_cell", per_cell, 0.0, 1000.0, example=20)
    require_between("cell_um", cell_um, 1.0, 200.0, example=18)
    require_between("cell_brightness", cell_brightness, 0.0, 100.0, example=0.5)
    require_between("brightness_spread", brightness_spread, 0.0, 2.0, example=0.3)
    require_between("z_spread_um", z_spread_um, 0.0, 1000.0, example=0.5)
    require_between("truth_radius_um", truth_radius_um, 0.0, 50.0, example=0.2, open_low=True)
    rng = np.random.default_rng([seed, 11])
    bodies = tuple(_random_body(rng, cell_um, len(channels)) for _ in range(min(n, _BODIES)))
    which = np.arange(n) % _BODIES
    sizes_um = np.array([body.reach_um for body in bodies])[which] if n else np.zeros(0)
    cell_y_um, cell_x_um = _apart(rng, sizes_um, extent_um)
    counts = rng.poisson(per_cell, n)
    inside = [bodies[which[i]].random_places_um(rng, counts[i]) for i in range(n)]
    y_um, x_um = np.concatenate(inside, axis=1) if n else np.zeros((2, 0))
    total = len(y_um)
    brightness = rng.lognormal(-0.5 * brightness_spread**2, brightness_spread, total)
    level = np.concatenate([np.full(n, cell_brightness), brightness])
    still = Objects(
        track_ids=np.concatenate([np.arange(total + 1, total + n + 1), np.arange(1, total + 1)]),
        parent_ids=np.zeros(n + total, dtype=np.int64),
        shape=np.concatenate([which + 1, np.zeros(total, dtype=np.int64)]),
        y_um=np.concatenate([cell_y_um, y_um + np.repeat(cell_y_um, counts)]),
        x_um=np.concatenate([cell_x_um, x_um + np.repeat(cell_x_um, counts)]),
        z_um=np.concatenate([np.zeros(n), z_spread_um * rng.standard_normal(total)]),
        brightness=np.repeat(level[:, None], len(channels), axis=1),
        counted=np.arange(n + total) >= n,
    )
    shapes: tuple[Shape, ...] = (Point(0.0, truth_radius_um, len(channels)), *bodies)
    return StillPoints(channels, extent_um, shapes, still)


def _random_body(rng: np.random.Generator, cell_um: float, channels: int) -> Body:
    radius_um = 0.5 * cell_um * float(np.clip(rng.normal(1.0, 0.12), 0.7, 1.3))
    stretch = math.sqrt(rng.uniform(1.0, 1.8))
    angle_rad = float(rng.uniform(0.0, math.pi))
    return Body(radius_um * stretch, radius_um / stretch, angle_rad, channels)


def _apart(
    rng: np.random.Generator, radius_um: _Numbers, extent_um: tuple[float, float]
) -> tuple[_Numbers, _Numbers]:
    """Choose middles (y, x) of disks that lie in the field and push each other apart."""
    room_um = np.maximum(0.5 * np.asarray(extent_um)[:, None] - radius_um, 0.0)
    place_um = rng.uniform(-1.0, 1.0, (2, len(radius_um))) * room_um
    if len(radius_um) < 2:
        return place_um[0], place_um[1]
    for _ in range(_PASSES):
        tree = spatial.cKDTree(place_um.T)
        pairs = tree.query_pairs(2.0 * float(radius_um.max()), output_type="ndarray")
        first, second = pairs[:, 0], pairs[:, 1]
        between_um = place_um[:, second] - place_um[:, first]
        distance_um = np.maximum(np.hypot(*between_um), 1e-6)
        overlap_um = np.clip(radius_um[first] + radius_um[second] - distance_um, 0.0, None)
        if not overlap_um.any():
            break
        push_um = 0.5 * overlap_um * between_um / distance_um
        for axis in (0, 1):
            np.add.at(place_um[axis], first, -push_um[axis])
            np.add.at(place_um[axis], second, push_um[axis])
        place_um = np.clip(place_um, -room_um, room_um)
    return place_um[0], place_um[1]
