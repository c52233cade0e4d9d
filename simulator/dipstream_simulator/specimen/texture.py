"""What makes a body's light uneven: ripples, nucleoli, speckles, and how thick it is."""

import math

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from dipstream_simulator.specimen.lattice import Lattice

__all__ = ["flattened", "normalised", "ripples", "spots"]

_STEP_UM = 0.1

_Field = npt.NDArray[np.float64]


def ripples(rng: np.random.Generator, size_um: float, reach_um: float, lattice: Lattice) -> _Field:
    """Return smooth noise with unit variance, the same at any lattice for the same seed.

    Parameters
    ----------
    rng
        Where chance comes from.
    size_um
        Standard deviation of the Gaussian that smooths it, in µm.
    reach_um
        How far from the origin it is wanted; farther out its border is repeated.
    lattice
        Where it is sampled.
    """
    known = math.ceil(reach_um / _STEP_UM)
    noise = ndimage.gaussian_filter(
        rng.standard_normal((2 * known + 1, 2 * known + 1)), size_um / _STEP_UM, mode="wrap"
    )
    scale = lattice.step_um / _STEP_UM
    first = known - lattice.half * scale
    drawn = ndimage.affine_transform(
        noise / noise.std(),
        np.array([scale, scale]),
        offset=[first - origin_um / _STEP_UM for origin_um in lattice.origin_um],
        output_shape=(2 * lattice.half + 1, 2 * lattice.half + 1),
        order=1,
        mode="nearest",
    )
    return np.asarray(drawn, dtype=np.float64)


def spots(
    rng: np.random.Generator,
    count: int,
    *,
    within_um: float,
    sigma_um: tuple[float, float],
    lattice: Lattice,
) -> _Field:
    """Return round spots with peak 1 on a ground of 0; where they overlap, the higher one.

    Parameters
    ----------
    rng
        Where chance comes from.
    count
        How many.
    within_um
        Their middles are at most this far from the origin along y and along x.
    sigma_um
        Smallest and largest standard deviation of their Gaussian profile, in µm.
    lattice
        Where they are sampled.
    """
    field = np.zeros((2 * lattice.half + 1, 2 * lattice.half + 1))
    for _ in range(count):
        y_um, x_um = rng.uniform(-within_um, within_um, size=2)
        two_variance = 2.0 * rng.uniform(*sigma_um) ** 2
        along_y = np.exp(-((lattice.y_um - y_um) ** 2) / two_variance)
        along_x = np.exp(-((lattice.x_um - x_um) ** 2) / two_variance)
        np.maximum(field, along_y * along_x, out=field)
    return field


def flattened(depth: npt.NDArray[np.float32], flatness: float) -> _Field:
    """Return how thick a body is, 1 at its thickest, 0 outside.

    Parameters
    ----------
    depth
        As in `Shape.depth`.
    flatness
        Exponent of the sphere's squared profile: 0.5 is a sphere, towards 0 a disk with steep
        flanks, as adherent cells have.
    """
    return np.asarray(np.clip(1.0 - (1.0 - depth) ** 2, 0.0, None) ** flatness, dtype=np.float64)


def normalised(field: _Field, inside: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """Return the field with mean 1 inside and 0 outside, float32."""
    mean = field[inside].mean() if inside.any() else 1.0
    return np.asarray(np.where(inside, field / mean, 0.0), dtype=np.float32)
