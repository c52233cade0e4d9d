"""One cell nucleus: its outline and its texture, drawn as finely as asked for."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

__all__ = ["Nucleus", "random_nucleus"]

_WOBBLE_ORDERS = (2, 3, 4)
_WOBBLE_SIZES = (0.04, 0.05, 0.03)
_TEXTURE_STEP_UM = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Nucleus:
    """A wobbly ellipse whose centroid is its origin.

    Attributes
    ----------
    major_um, minor_um
        Semi-axes in µm.
    angle_rad
        Direction of the major axis, from +x towards +y.
    wobble, wobble_phase_rad
        Amplitude and phase of the outline's ripples of order 2, 3 and 4, relative to the
        ellipse.
    texture_seed
        Fixes chromatin and nucleoli.
    """

    major_um: float
    minor_um: float
    angle_rad: float
    wobble: tuple[float, ...]
    wobble_phase_rad: tuple[float, ...]
    texture_seed: int

    @property
    def reach_um(self) -> float:
        """No part of the nucleus is farther from its centroid than this, in µm."""
        return self.major_um * (1.0 + 1.1 * sum(map(abs, self.wobble)))

    def depth(self, step_um: float, half: int) -> npt.NDArray[np.float32]:
        """Return how deep each point lies: 1 in the middle, 0 on the outline, negative outside.

        Parameters
        ----------
        step_um
            Distance between samples, in µm.
        half
            Samples from the centre to each edge.

        Returns
        -------
        ndarray
            (2·half + 1, 2·half + 1), float32; the nucleus' centroid is the middle sample.
        """
        axis_um = np.arange(-half, half + 1) * step_um
        y_um, x_um = axis_um[:, None], axis_um[None, :]
        cos, sin = math.cos(self.angle_rad), math.sin(self.angle_rad)
        offset_u, offset_v = self._centroid()
        u = (x_um * cos + y_um * sin) / self.major_um + offset_u
        v = (y_um * cos - x_um * sin) / self.minor_um + offset_v
        outline = self._outline(np.arctan2(v, u))
        return np.asarray(1.0 - np.hypot(u, v) / outline, dtype=np.float32)

    def light(self, step_um: float, half: int) -> tuple[npt.NDArray[np.float32], ...]:
        """Return what shines: chromatin (DNA stain) and nucleoplasm (fluorescent protein).

        Returns
        -------
        tuple of ndarray
            Two arrays as in `depth`, relative brightness with mean 1 within the outline and 0
            outside.
        """
        depth = self.depth(step_um, half)
        rng = np.random.default_rng(self.texture_seed)
        # The ripples of chromatin and the holes of nucleoli; sizes in µm.
        coarse = self._ripples(rng, 0.7, step_um, half)
        fine = self._ripples(rng, 0.3, step_um, half)
        holes = self._nucleoli(rng, step_um, half)
        # Flattened, not spherical: adherent cells have steep flanks and a broad top.
        thickness = np.clip(1.0 - (1.0 - depth) ** 2, 0.0, None) ** 0.28
        chromatin = thickness * np.exp(0.18 * coarse + 0.10 * fine) * (1.0 - 0.35 * holes)
        nucleoplasm = thickness * np.exp(0.08 * coarse) * (1.0 - 0.55 * holes)
        inside = depth > 0.0
        return tuple(
            np.asarray(np.where(inside, part / part[inside].mean(), 0.0), dtype=np.float32)
            for part in (chromatin, nucleoplasm)
        )

    def _outline(self, theta: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        ripples = sum(
            size * np.cos(order * theta + phase)
            for order, size, phase in zip(
                _WOBBLE_ORDERS, self.wobble, self.wobble_phase_rad, strict=True
            )
        )
        return np.asarray(1.0 + ripples, dtype=np.float64)

    def _centroid(self) -> tuple[float, float]:
        """Centroid of the rippled outline, along both axes in units of the semi-axes."""
        theta = np.linspace(-np.pi, np.pi, 360, endpoint=False)
        radius = self._outline(theta)
        scale = 2.0 / 3.0 / np.sum(radius**2)
        return (
            float(scale * np.sum(radius**3 * np.cos(theta))),
            float(scale * np.sum(radius**3 * np.sin(theta))),
        )

    def _ripples(
        self, rng: np.random.Generator, size_um: float, step_um: float, half: int
    ) -> npt.NDArray[np.float64]:
        """Smooth noise with unit variance, the same at any `step_um` for the same seed."""
        known = math.ceil(self.reach_um / _TEXTURE_STEP_UM)
        noise = ndimage.gaussian_filter(
            rng.standard_normal((2 * known + 1, 2 * known + 1)),
            size_um / _TEXTURE_STEP_UM,
            mode="wrap",
        )
        scale = step_um / _TEXTURE_STEP_UM
        drawn = ndimage.affine_transform(
            noise / noise.std(),
            np.array([scale, scale]),
            offset=known - half * scale,
            output_shape=(2 * half + 1, 2 * half + 1),
            order=1,
            mode="nearest",
        )
        return np.asarray(drawn, dtype=np.float64)

    def _nucleoli(
        self, rng: np.random.Generator, step_um: float, half: int
    ) -> npt.NDArray[np.float64]:
        axis_um = np.arange(-half, half + 1) * step_um
        holes = np.zeros((axis_um.size, axis_um.size))
        for _ in range(int(rng.integers(1, 4))):
            y_um, x_um = rng.uniform(-0.45, 0.45, size=2) * self.minor_um
            sigma_um = rng.uniform(0.07, 0.13) * self.minor_um
            squared = (axis_um[:, None] - y_um) ** 2 + (axis_um[None, :] - x_um) ** 2
            np.maximum(holes, np.exp(-0.5 * squared / sigma_um**2), out=holes)
        return holes


def random_nucleus(rng: np.random.Generator, diameter_um: float) -> Nucleus:
    """Draw a nucleus whose area is, on average, near that of a disk of this diameter in µm."""
    radius_um = 0.5 * diameter_um * float(np.clip(rng.normal(1.0, 0.12), 0.7, 1.3))
    stretch = math.sqrt(rng.uniform(1.0, 1.6))
    return Nucleus(
        major_um=radius_um * stretch,
        minor_um=radius_um / stretch,
        angle_rad=float(rng.uniform(0.0, math.pi)),
        wobble=tuple(float(size * rng.uniform(0.3, 1.0)) for size in _WOBBLE_SIZES),
        wobble_phase_rad=tuple(rng.uniform(-math.pi, math.pi, size=3).tolist()),
        texture_seed=int(rng.integers(2**32)),
    )
