"""Beads and other things too small to have a shape of their own in the image."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dipstream_simulator.limits import require_between
from dipstream_simulator.specimen.flat import require_extent
from dipstream_simulator.specimen.model import Channel, Objects, Shape

__all__ = ["Point", "StillPoints", "beads", "still_objects"]

_MOST_FINER = 8  # samples of a sphere within a sample of the grid, along an edge
_FINE_STEPS = 16  # at least so many within the radius, unless that takes more
_Grid = npt.NDArray[np.float32]
_Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Point:
    """A bright sphere, filled with dye; a mathematical point if its radius is 0.

    Attributes
    ----------
    radius_um
        Of the sphere, in µm.
    truth_radius_um
        Radius of the disk that is the truth, in µm, unless the sphere is larger: about what one
        can see of a point, half the width of its image.
    channels
        In how many channels it shines alike.
    """

    radius_um: float = 0.0
    truth_radius_um: float = 0.2
    channels: int = 1

    @property
    def reach_um(self) -> float:
        """Radius of the truth's disk, in µm."""
        return max(self.radius_um, self.truth_radius_um)

    def depth(self, step_um: float, half: int) -> _Grid:
        """Return 1 in the middle, 0 on the edge of the disk, float32 (2·half + 1, 2·half + 1)."""
        axis_um = np.arange(-half, half + 1) * step_um
        distance_um = np.hypot(axis_um[:, None], axis_um[None, :])
        return np.asarray(1.0 - distance_um / self.reach_um, dtype=np.float32)

    def light(self, step_um: float, half: int) -> tuple[_Grid, ...]:
        """Return the projected sphere, per µm², with integral 1, the same in every channel.

        A ray at distance r from the centre crosses 2·√(R² − r²) of the sphere.
        """
        size = 2 * half + 1
        drawn = np.zeros((size, size))
        near = min(half, math.ceil(self.radius_um / step_um + 0.5))
        if self.radius_um <= 0.0 or near == 0:
            drawn[half, half] = 1.0
        else:
            finer = min(_MOST_FINER, math.ceil(_FINE_STEPS * step_um / self.radius_um))
            count = (2 * near + 1) * finer
            axis_um = (np.arange(count) - (count - 1) / 2) * step_um / finer
            squared = self.radius_um**2 - axis_um[:, None] ** 2 - axis_um[None, :] ** 2
            rays = np.sqrt(np.clip(squared, 0.0, None))
            inner = rays.reshape(2 * near + 1, finer, 2 * near + 1, finer).sum(axis=(1, 3))
            if not inner.any():  # smaller than the finest sample
                inner[near, near] = 1.0
            drawn[half - near : half + near + 1, half - near : half + near + 1] = inner
        light = np.asarray(drawn / (drawn.sum() * step_um**2), dtype=np.float32)
        return (light,) * self.channels


@dataclass(frozen=True, slots=True, eq=False)
class StillPoints:
    """Objects that never move nor change.

    Attributes
    ----------
    channels, extent_um, shapes
        As in `dipstream_simulator.specimen.model.Specimen`.
    still
        The objects at any time.
    """

    channels: tuple[Channel, ...]
    extent_um: tuple[float, float]
    shapes: Sequence[Shape]
    still: Objects

    @property
    def canvas(self) -> None:
        """None."""
        return

    def objects(self, t: int) -> Objects:  # noqa: ARG002
        """Return the same objects at any time."""
        return self.still

    def fork(self) -> "StillPoints":
        """Return itself: nothing in it moves."""
        return self


def still_objects(y_um: _Numbers, x_um: _Numbers, z_um: _Numbers, brightness: _Numbers) -> Objects:
    """Return counted objects 1, 2, … of shape 0.

    Parameters
    ----------
    y_um, x_um, z_um
        float64 (n,): world coordinates.
    brightness
        float64 (n, channels).
    """
    n = len(y_um)
    return Objects(
        track_ids=np.arange(1, n + 1),
        parent_ids=np.zeros(n, dtype=np.int64),
        shape=np.zeros(n, dtype=np.int64),
        y_um=y_um,
        x_um=x_um,
        z_um=z_um,
        brightness=brightness,
        counted=np.ones(n, dtype=np.bool_),
    )


def beads(
    seed: int,
    n: int,
    *,
    extent_um: tuple[float, float],
    channels: tuple[Channel, ...],
    bead_um: float = 0.1,
    z_spread_um: float = 0.0,
    brightness_spread: float = 0.1,
    truth_radius_um: float = 0.2,
) -> StillPoints:
    """Strew fluorescent beads over the field; each shines in every channel alike.

    Parameters
    ----------
    seed
        The same seed gives the same beads.
    n
        How many, 0 to 200000.
    extent_um
        Height and width of the field, in µm.
    channels
        The channels they can be seen in.
    bead_um
        Diameter in µm, 0 (points) to 50.
    z_spread_um
        Standard deviation of their height, in µm, 0 to 1000.
    brightness_spread
        Standard deviation of the logarithm of their brightness, 0 to 2; the mean is 1.
    truth_radius_um
        Radius of a bead's disk in the truth, in µm, unless the bead is larger.

    Raises
    ------
    SourceError
        If a value is outside its limits.
    """
    require_between("seed", seed, 0, 2**63 - 1, example=7)
    require_between("n", n, 0, 200_000, example=60)
    require_extent(extent_um)
    require_between("bead_um", bead_um, 0.0, 50.0, example=0.1)
    require_between("z_spread_um", z_spread_um, 0.0, 1000.0, example=1)
    require_between("brightness_spread", brightness_spread, 0.0, 2.0, example=0.1)
    require_between("truth_radius_um", truth_radius_um, 0.0, 50.0, example=0.2, open_low=True)
    rng = np.random.default_rng([seed, 10])
    y_um, x_um = (rng.uniform(-0.5, 0.5, n) * extent for extent in extent_um)
    z_um = z_spread_um * rng.standard_normal(n)
    brightness = rng.lognormal(-0.5 * brightness_spread**2, brightness_spread, n)
    return StillPoints(
        channels,
        extent_um,
        (Point(bead_um / 2.0, truth_radius_um, len(channels)),),
        still_objects(y_um, x_um, z_um, np.repeat(brightness[:, None], len(channels), axis=1)),
    )
