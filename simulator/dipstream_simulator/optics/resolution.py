"""How fine an objective sees: the formulas of resolution, side by side with what each assumes.

Lengths are in µm in the object, wavelengths in nm in vacuum. The functions take plain numbers, so
that a lesson can plot them; `Objective` offers the ones that it is asked for most.
"""

import math

import numpy as np
import numpy.typing as npt
from scipy import special

__all__ = [
    "AIRY_ZERO",
    "abbe_um",
    "airy_fwhm_um",
    "axial_exact_um",
    "axial_paraxial_um",
    "confocal_axial_fwhm_um",
    "confocal_lateral_fwhm_um",
    "cutoff_per_um",
    "depth_of_field_um",
    "gaussian_sigma_xy_um",
    "gaussian_sigma_z_um",
    "laser_spot_fwhm_um",
    "mtf",
    "nyquist_um",
    "optical_section_um",
    "rayleigh_um",
    "sparrow_um",
]

AIRY_ZERO = float(special.jn_zeros(1, 1)[0]) / (2.0 * math.pi)
"""Radius of the Airy pattern's first zero in units of λ/NA: 0.6098, from J1's zero at 3.8317."""

_AIRY_FWHM = 0.514497
_SPARROW = 0.473578


def rayleigh_um(na: float, wavelength_nm: float) -> float:
    """Radius of the Airy pattern's first zero: 0.6098 λ/NA (Born & Wolf, §8.6.3).

    Two points this far apart show a dip to 0.735 of the peaks.
    """
    return AIRY_ZERO * wavelength_nm * 1e-3 / na


def sparrow_um(na: float, wavelength_nm: float) -> float:
    """Distance at which the dip between two points vanishes: 0.4736 λ/NA (Sparrow 1916).

    There the Airy pattern's second derivative is zero half the distance from its centre.
    """
    return _SPARROW * wavelength_nm * 1e-3 / na


def abbe_um(na: float, wavelength_nm: float) -> float:
    """Period of the finest grating that is transferred: λ/(2 NA) (Abbe 1873).

    A period, not a distance between two points: often mixed up with `rayleigh_um`.
    """
    return 0.5 * wavelength_nm * 1e-3 / na


def airy_fwhm_um(na: float, wavelength_nm: float) -> float:
    """Full width at half maximum of the Airy pattern: 0.5145 λ/NA.

    From [2 J1(v)/v]² = 1/2 at v = 1.6163 (Born & Wolf, §8.5.2).
    """
    return _AIRY_FWHM * wavelength_nm * 1e-3 / na


def axial_paraxial_um(na: float, immersion_index: float, wavelength_nm: float) -> float:
    """First zero on the axis for small angles: 2 λ n/NA² (Born & Wolf, §8.8.2).

    Some 45 % too long at NA 1.4 in oil; compare `axial_exact_um`.
    """
    return 2.0 * wavelength_nm * 1e-3 * immersion_index / na**2


def axial_exact_um(na: float, immersion_index: float, wavelength_nm: float) -> float:
    """First zero on the axis for any angle: λ/[n(1 − cos α)], sin α = NA/n.

    There the marginal ray is one wave behind the axial one (Born & Wolf, §8.8; the paraxial
    formula is its limit for small α).
    """
    cosine = math.sqrt(1.0 - (na / immersion_index) ** 2)
    return wavelength_nm * 1e-3 / (immersion_index * (1.0 - cosine))


def depth_of_field_um(
    na: float,
    immersion_index: float,
    wavelength_nm: float,
    magnification: float,
    camera_pixel_um: float,
) -> float:
    """Depth that looks sharp: λ n/NA² + n e/(M·NA), waves and pixels added up.

    Inoué & Spring, *Video Microscopy*, 2nd ed., ch. 2; e is the camera's pixel.
    """
    wave_um = wavelength_nm * 1e-3 * immersion_index / na**2
    return wave_um + immersion_index * camera_pixel_um / (magnification * na)


def nyquist_um(na: float, wavelength_nm: float) -> float:
    """Largest object pixel that samples everything: λ/(4 NA).

    Half the period of the incoherent cut-off 2 NA/λ (Nyquist-Shannon).
    """
    return 0.25 * wavelength_nm * 1e-3 / na


def cutoff_per_um(na: float, wavelength_nm: float) -> float:
    """Incoherent cut-off in periods per µm: 2 NA/λ (Goodman, *Fourier Optics*, §6.3)."""
    return 2.0 * na / (wavelength_nm * 1e-3)


def mtf(
    frequency_per_um: npt.ArrayLike, na: float, wavelength_nm: float
) -> npt.NDArray[np.float64]:
    """Contrast that is left of a fine pattern, in focus, unaberrated: 1 at 0, 0 at the cut-off.

    MTF(ν) = (2/π)[acos ν − ν√(1 − ν²)], ν = |f| λ/(2 NA): the overlap of two discs (Goodman,
    *Fourier Optics*, §6.3.2). Any shape; float64.
    """
    frequency = np.abs(np.asarray(frequency_per_um, dtype=np.float64))
    share = np.minimum(frequency / cutoff_per_um(na, wavelength_nm), 1.0)
    overlap = np.arccos(share) - share * np.sqrt(1.0 - share**2)
    return np.asarray(2.0 / np.pi * overlap, dtype=np.float64)


def gaussian_sigma_xy_um(na: float, wavelength_nm: float) -> float:
    """Lateral σ of the Gaussian nearest to the Airy pattern: √2 λ/(2π·NA) = 0.225 λ/NA.

    Zhang, Zerubia & Olivo-Marin, Applied Optics 46, 1819 (2007), the paraxial widefield row of
    its table: the same curvature at the peak.
    """
    return math.sqrt(2.0) * wavelength_nm * 1e-3 / (2.0 * math.pi * na)


def gaussian_sigma_z_um(na: float, immersion_index: float, wavelength_nm: float) -> float:
    """Axial σ of the Gaussian nearest to the axial pattern: 2√6 n λ/(2π·NA²) = 0.780 n λ/NA².

    The same source as `gaussian_sigma_xy_um`.
    """
    wave_um = wavelength_nm * 1e-3
    return 2.0 * math.sqrt(6.0) * immersion_index * wave_um / (2.0 * math.pi * na**2)


def laser_spot_fwhm_um(na: float, excitation_nm: float) -> float:
    """Lateral FWHM of a confocal image with a pinhole of 1 Airy unit or more: 0.51 λ_ex/NA.

    Wilhelm et al., *Confocal Laser Scanning Microscopy* (Zeiss), part 1: then the focused laser
    alone makes the resolution, the pinhole only the section.
    """
    return 0.51 * excitation_nm * 1e-3 / na


def confocal_lateral_fwhm_um(na: float, excitation_nm: float, emission_nm: float) -> float:
    """Lateral FWHM of a confocal image with a closed pinhole: 0.37 λ̄/NA.

    Wilhelm et al. (as in `laser_spot_fwhm_um`), for pinholes below 0.25 Airy units, with
    λ̄ = √2 λ_em λ_ex/√(λ_em² + λ_ex²).
    """
    return 0.37 * _mean_wavelength_um(excitation_nm, emission_nm) / na


def confocal_axial_fwhm_um(
    na: float, immersion_index: float, excitation_nm: float, emission_nm: float
) -> float:
    """Axial FWHM of a point in a confocal image with a closed pinhole: 0.64 λ̄/(n − √(n² − NA²)).

    Source and λ̄ as in `confocal_lateral_fwhm_um`.
    """
    sagitta = immersion_index - math.sqrt(immersion_index**2 - na**2)
    return 0.64 * _mean_wavelength_um(excitation_nm, emission_nm) / sagitta


def optical_section_um(
    na: float, immersion_index: float, emission_nm: float, pinhole_au: float
) -> float:
    """Thickness (FWHM) of the section of a pinhole of 1 Airy unit or more.

    √{[0.88 λ_em/(n − √(n² − NA²))]² + [√2 n PH/NA]²}, PH being the pinhole's diameter in the
    object, `pinhole_au` times 1.22 λ_em/NA (source as in `laser_spot_fwhm_um`). A geometric
    estimate on the safe side: wave optics sees a thin fluorescent layer 0.6 to 0.7 as thick.
    """
    wave_um = emission_nm * 1e-3
    diffraction_um = 0.88 * wave_um / (immersion_index - math.sqrt(immersion_index**2 - na**2))
    pinhole_um = pinhole_au * 2.0 * AIRY_ZERO * wave_um / na
    return math.hypot(diffraction_um, math.sqrt(2.0) * immersion_index * pinhole_um / na)


def _mean_wavelength_um(excitation_nm: float, emission_nm: float) -> float:
    product = math.sqrt(2.0) * excitation_nm * emission_nm
    return product / math.hypot(excitation_nm, emission_nm) * 1e-3
