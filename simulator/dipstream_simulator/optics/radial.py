"""Round point spread functions: a Hankel transform of the pupil, then pixels integrated over it.

The field of a point, at the distance r from its image's centre, is a sum of terms
2π ∫ A(ρ) exp(iφ(ρ)) J_m(2πρr) ρ dρ (Born & Wolf, §8.8.1 for m = 0). By Parseval's theorem its
energy in *any* plane is that in the pupil, 2π ∫ A² ρ dρ: planes are normalised exactly, before
anything is cropped.
"""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import interpolate, special

from dipstream_simulator.optics.field import PupilTerm
from dipstream_simulator.optics.wavefront import Wavefront

__all__ = [
    "Density",
    "gauss_legendre",
    "integrate_pixels",
    "pixel_nodes",
    "radial_density",
    "tabulated",
]

_Array = npt.NDArray[np.float64]

Density = Callable[[_Array], _Array]
"""Share of the light per µm² at a distance r in µm from the centre; any shape."""

_SAMPLES_PER_SPOT = 24  # along λ/NA; the spline's error is then some 1e-4 of the peak
_SPARE_NODES = 24
_MIRRORED = 4


def radial_density(
    terms: Sequence[PupilTerm],
    wavefront: Wavefront,
    wavelength_nm: float,
    z_um: float,
    radius_um: float,
) -> Density:
    """Return the intensity of a point's image as a function of the distance from its centre.

    Parameters
    ----------
    terms
        The model of the field.
    wavefront
        Aperture and phase; only its round aberrations are used.
    wavelength_nm
        In vacuum.
    z_um
        From the nominal focus to the point.
    radius_um
        Where it ends: beyond is no light.

    Returns
    -------
    callable
        A cubic spline through `_SAMPLES_PER_SPOT` samples along λ/NA. Its integral over the
        infinite plane would be 1.
    """
    spot_um = wavelength_nm * 1e-3 / wavefront.filled_na
    samples = math.ceil(radius_um / spot_um * _SAMPLES_PER_SPOT) + 2 * _MIRRORED
    radius = np.arange(samples, dtype=np.float64) * (spot_um / _SAMPLES_PER_SPOT)
    rho, area, phase = _pupil_nodes(wavefront, wavelength_nm, z_um, float(radius[-1]))
    turn = np.outer(radius, 2.0 * math.pi / spot_um * rho)
    bessel = _bessel(turn, max(term.order for term in terms))
    cosine = np.sqrt(1.0 - (rho * wavefront.filled_na / wavefront.layers.immersion_index) ** 2)
    intensity, energy = np.zeros(samples), 0.0
    for term in terms:
        amplitude = term.amplitude(cosine) * area
        waves = np.stack([amplitude * np.cos(phase), amplitude * np.sin(phase)], axis=1)
        intensity += term.weight * ((bessel[term.order] @ waves) ** 2).sum(axis=1)
        energy += term.weight * float((term.amplitude(cosine) ** 2 * area).sum())
    # With ρ in units of NA/λ the integral of |U|² over the plane is ∫A²ρdρ/(2π) · (λ/NA)².
    intensity *= 2.0 * math.pi / (energy * spot_um**2)
    return tabulated(radius, intensity)


def tabulated(radius_um: _Array, density: _Array) -> Density:
    """Return the cubic spline through equidistant samples from 0 up; beyond them is no light.

    A few samples are mirrored at the centre, where round patterns are flat.
    """
    mirrored = slice(_MIRRORED, 0, -1)
    spline = interpolate.make_interp_spline(
        np.concatenate([-radius_um[mirrored], radius_um]),
        np.concatenate([density[mirrored], density]),
    )
    end_um = float(radius_um[-1])
    return lambda r: np.asarray(
        np.where(r <= end_um, spline(np.minimum(r, end_um)), 0.0), dtype=np.float64
    )


@lru_cache(maxsize=64)
def gauss_legendre(count: int) -> tuple[_Array, _Array]:
    """Return the nodes and weights of Gauss-Legendre quadrature over -1..1, read-only."""
    nodes, weights = special.roots_legendre(count)
    nodes.flags.writeable = weights.flags.writeable = False
    return nodes, weights


def _pupil_nodes(
    wavefront: Wavefront, wavelength_nm: float, z_um: float, radius_um: float
) -> tuple[_Array, _Array, _Array]:
    """Return Gauss-Legendre nodes ρ, their areas ρ dρ and the phase there.

    Over t in ρ = sin t: near grazing angles √(n² − ρ²) is then smooth. The number of nodes
    follows the phase's steepest slope, so that no oscillation is missed.
    """
    probe = np.sin(np.linspace(0.0, math.pi / 2, 1000))
    swing = np.abs(np.diff(wavefront.phase(probe, np.zeros_like(probe), wavelength_nm, z_um))).max()
    swing = swing * 999.0 + math.pi**2 * radius_um * wavefront.filled_na / wavelength_nm * 1e3
    count = _SPARE_NODES + 8 * math.ceil(0.3 / 8 * float(swing))
    nodes, weights = gauss_legendre(count)
    angle = (nodes + 1.0) * (math.pi / 4)
    rho = np.sin(angle)
    area = rho * np.cos(angle) * weights * (math.pi / 4)
    phase = wavefront.phase(rho, np.zeros_like(rho), wavelength_nm, z_um)
    # A common phase changes nothing; without it cos and sin keep their digits.
    return rho, area, phase - phase[0]


def _bessel(argument: _Array, highest: int) -> list[_Array]:
    values = [special.j0(argument)]
    if highest >= 1:
        values.append(special.j1(argument))
    if highest >= 2:
        with np.errstate(divide="ignore", invalid="ignore"):
            second = 2.0 * values[1] / argument - values[0]
        # The recursion loses its digits near 0, where J2(x) = x²/8 − x⁴/96.
        small = argument**2 / 8.0 - argument**4 / 96.0
        values.append(np.where(argument < 0.05, small, second))
    return values


def pixel_nodes(pixel_um: float, spot_um: float) -> tuple[_Array, _Array]:
    """Return nodes within a pixel (µm from its middle) and their weights, which sum to 1.

    Gauss-Legendre, as many as an image needs whose finest period is half of `spot_um` = λ/NA.
    """
    count = max(2, 1 + math.ceil(10.0 * pixel_um / spot_um))
    nodes, weights = gauss_legendre(count)
    return nodes * (pixel_um / 2), weights / 2


def integrate_pixels(density: Density, pixel_um: float, half_px: int, spot_um: float) -> _Array:
    """Return the integral of a round density over each of (2·half_px + 1)² pixels.

    Only one quadrant is computed. The array is centred on the middle of its middle pixel.
    """
    nodes, weights = pixel_nodes(pixel_um, spot_um)
    axis = (np.arange(half_px + 1)[:, None] * pixel_um + nodes).ravel()
    values = density(np.hypot(axis[:, None], axis[None, :]))
    size, count = half_px + 1, len(nodes)
    quadrant = np.einsum(
        "iajb,a,b->ij", values.reshape(size, count, size, count), weights, weights, optimize=True
    )
    half = np.concatenate([quadrant[:0:-1], quadrant], axis=0)
    return np.concatenate([half[:, :0:-1], half], axis=1) * pixel_um**2
