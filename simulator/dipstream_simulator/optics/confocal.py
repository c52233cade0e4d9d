"""The confocal microscope: a focused laser, and a pinhole that only light from its place passes.

A point at the distance r from the laser's focus is lit with the excitation pattern there, and its
light passes the pinhole with the probability that the emission pattern, centred on r, falls into
it: h(r) = h_ex(r) · (h_em ⊛ pinhole)(r) (Wilson & Sheppard, *Theory and Practice of Scanning
Optical Microscopy*, 1984, ch. 3). h_ex has the integral 1 in every plane (the laser's power), so
that the integral of h is the share of the emitted light that is detected: 1 for an open pinhole,
as in the widefield microscope, less for a small one, and falling with the distance from the focus.
"""

import math

import numpy as np
import numpy.typing as npt

from dipstream_simulator.optics.pupil import Transfer
from dipstream_simulator.optics.radial import Density, gauss_legendre, pixel_nodes, tabulated
from dipstream_simulator.optics.resolution import AIRY_ZERO

__all__ = ["confocal_density", "confocal_psf", "pinhole_radius_um"]

_Array = npt.NDArray[np.float64]

_SAMPLES_PER_SPOT = 40  # along λ/NA: the product's finest period is half of each factor's


def pinhole_radius_um(pinhole_au: float, na: float, emission_nm: float) -> float:
    """Return the radius of a pinhole as it appears in the object, in µm.

    One Airy unit is the diameter of the Airy disc, 1.22 λ_em/NA.
    """
    return pinhole_au * AIRY_ZERO * emission_nm * 1e-3 / na


def confocal_density(
    excitation: Density,
    emission: Density,
    pinhole_um: float,
    radius_um: float,
    spot_um: float,
) -> Density:
    """Return the round confocal pattern, per µm².

    Parameters
    ----------
    excitation, emission
        Each with the integral 1 over the plane; `emission` must reach to `radius_um` +
        `pinhole_um`.
    pinhole_um
        The pinhole's radius in the object.
    radius_um
        Where the pattern ends.
    spot_um
        λ/NA of the shorter wavelength, for the sampling.
    """
    samples = math.ceil(radius_um / spot_um * _SAMPLES_PER_SPOT) + 8
    radius = np.arange(samples, dtype=np.float64) * (spot_um / _SAMPLES_PER_SPOT)
    passed = _through_pinhole(emission, radius, pinhole_um, spot_um)
    product = np.asarray(excitation(radius) * passed, dtype=np.float64)
    return tabulated(radius, product)


def _through_pinhole(
    emission: Density, radius: _Array, pinhole_um: float, spot_um: float
) -> _Array:
    """Integrate the emission over the pinhole by quadrature in its polar coordinates."""
    along = 6 + math.ceil(5.0 * pinhole_um / spot_um)
    nodes, weights = gauss_legendre(along)
    # Rings of equal width in their squared radius; half a turn, mirrored.
    rings = pinhole_um * np.sqrt(0.5 * (nodes + 1.0))
    count = 8 + math.ceil(16.0 * pinhole_um / spot_um)
    turns = (np.arange(count) + 0.5) * (math.pi / count)
    passed = np.zeros_like(radius)
    for ring, weight in zip(rings, weights, strict=True):
        squared = radius[:, None] ** 2 + ring**2 - 2.0 * radius[:, None] * ring * np.cos(turns)
        passed += 0.5 * weight * emission(np.sqrt(np.maximum(squared, 0.0))).mean(axis=1)
    return passed * math.pi * pinhole_um**2


def confocal_psf(
    excitation: Transfer,
    emission: Transfer,
    pinhole_um: float,
    pixel_um: float,
    half_px: int,
    spot_um: float,
) -> _Array:
    """Return a confocal pattern that need not be round, integrated over (2·half_px + 1)² pixels.

    Parameters as for `confocal_density`; `spot_um` sets the nodes within a pixel.
    """
    # The product of two images has periods as fine as both together.
    nodes, weights = pixel_nodes(pixel_um, spot_um / 2.0)
    size, count = 2 * half_px + 1, len(nodes)
    axis_um = ((np.arange(size) - half_px)[:, None] * pixel_um + nodes).ravel()
    product = excitation.image(axis_um) * emission.through_pinhole(pinhole_um).image(axis_um)
    blocks = product.reshape(size, count, size, count)
    return np.asarray(
        np.einsum("iajb,a,b->ij", blocks, weights, weights, optimize=True) * pixel_um**2,
        dtype=np.float64,
    )
