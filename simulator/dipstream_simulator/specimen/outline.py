"""Where a nucleus or a cell ends: a rippled ellipse."""

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from dipstream_simulator.specimen.lattice import Lattice

__all__ = ["Outline", "random_outline"]

_BORDER_POINTS = 360
_FIRST_ORDER = 2  # order 1 only shifts the outline

_Vectors = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Outline:
    """A rippled ellipse whose centroid is its origin.

    Attributes
    ----------
    major_um, minor_um
        Semi-axes in µm.
    angle_rad
        Direction of the major axis, from +x towards +y.
    wobble, wobble_phase_rad
        Amplitude and phase of the ripples of order 2, 3, 4, …, relative to the ellipse.
    """

    major_um: float
    minor_um: float
    angle_rad: float
    wobble: tuple[float, ...] = ()
    wobble_phase_rad: tuple[float, ...] = ()

    @property
    def reach_um(self) -> float:
        """No part is farther from the centroid than this, in µm."""
        # The border is known at some points only; between them it bulges by less than 1 %.
        return 1.01 * float(np.hypot(*self.border_um().T).max())

    @property
    def area_um2(self) -> float:
        """Area within the outline, in µm²."""
        radius = self._radius(_angles(_BORDER_POINTS))
        return math.pi * self.major_um * self.minor_um * float(np.mean(radius**2))

    def border_um(self) -> _Vectors:
        """Return points of the outline, float64 (360, 2): (y, x) from the centroid, in µm."""
        theta = _angles(_BORDER_POINTS)
        radius = self._radius(theta)
        offset_u, offset_v = self._centroid()
        u_um = self.major_um * (radius * np.cos(theta) - offset_u)
        v_um = self.minor_um * (radius * np.sin(theta) - offset_v)
        cos, sin = math.cos(self.angle_rad), math.sin(self.angle_rad)
        return np.stack([u_um * sin + v_um * cos, u_um * cos - v_um * sin], axis=1)

    def depth(self, lattice: Lattice) -> npt.NDArray[np.float32]:
        """Return how deep each sample lies: 1 in the middle, 0 on the outline, negative outside.

        float32, one value for each sample of the lattice.
        """
        return self.depth_at(lattice.y_um, lattice.x_um).astype(np.float32)

    def depth_at(self, y_um: _Vectors, x_um: _Vectors) -> _Vectors:
        """Return how deep points lie that are given by their distance from the centroid, in µm."""
        cos, sin = math.cos(self.angle_rad), math.sin(self.angle_rad)
        offset_u, offset_v = self._centroid()
        u = (x_um * cos + y_um * sin) / self.major_um + offset_u
        v = (y_um * cos - x_um * sin) / self.minor_um + offset_v
        return np.asarray(1.0 - np.hypot(u, v) / self._radius(np.arctan2(v, u)))

    def scaled(self, factor: float) -> "Outline":
        """Return the same outline with all lengths multiplied."""
        return replace(self, major_um=factor * self.major_um, minor_um=factor * self.minor_um)

    def _radius(self, theta: _Vectors) -> _Vectors:
        radius = np.ones_like(theta)
        ripples = zip(self.wobble, self.wobble_phase_rad, strict=True)
        for order, (size, phase) in enumerate(ripples, start=_FIRST_ORDER):
            radius += size * np.cos(order * theta + phase)
        return radius

    def _centroid(self) -> tuple[float, float]:
        """Centroid of the rippled outline, along both axes in units of the semi-axes."""
        theta = _angles(_BORDER_POINTS)
        radius = self._radius(theta)
        scale = 2.0 / 3.0 / np.sum(radius**2)
        return (
            float(scale * np.sum(radius**3 * np.cos(theta))),
            float(scale * np.sum(radius**3 * np.sin(theta))),
        )


def random_outline(
    rng: np.random.Generator,
    diameter_um: float,
    *,
    spread: float,
    stretch: float,
    wobble: tuple[float, ...],
) -> Outline:
    """Draw an outline whose area is, on average, near that of a disk.

    Parameters
    ----------
    rng
        Where chance comes from.
    diameter_um
        Of that disk, in µm.
    spread
        Relative standard deviation of the diameter; beyond 2.5 of them it is cut.
    stretch
        Largest ratio of the axes; the smallest is 1.
    wobble
        Largest amplitude of the ripples of order 2, 3, 4, …
    """
    radius_um = 0.5 * diameter_um * (1.0 + spread * float(np.clip(rng.normal(), -2.5, 2.5)))
    axes = math.sqrt(rng.uniform(1.0, stretch))
    return Outline(
        major_um=radius_um * axes,
        minor_um=radius_um / axes,
        angle_rad=float(rng.uniform(0.0, math.pi)),
        wobble=tuple(float(size * rng.uniform(0.3, 1.0)) for size in wobble),
        wobble_phase_rad=tuple(rng.uniform(-math.pi, math.pi, size=len(wobble)).tolist()),
    )


def _angles(count: int) -> _Vectors:
    return np.linspace(-np.pi, np.pi, count, endpoint=False)
