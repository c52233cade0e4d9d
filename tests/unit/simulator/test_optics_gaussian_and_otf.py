"""The Gaussian approximation, transfer functions of arrays, and the aberrations' polynomials."""

import itertools
import math

import numpy as np
import numpy.typing as npt
import pytest
from scipy import special

from dipstream.errors import SourceError
from dipstream_simulator.optics import (
    ABERRATIONS,
    Microscope,
    Objective,
    mtf_of_psf,
    otf_of_psf,
    resolution,
)
from dipstream_simulator.optics.field import SCALAR
from dipstream_simulator.optics.gaussian import gaussian_psf, gaussian_sigma_um
from dipstream_simulator.optics.layers import Layers
from dipstream_simulator.optics.radial import _bessel, radial_density
from dipstream_simulator.optics.wavefront import Wavefront

OBJECTIVES = [Objective(10, 0.3), Objective(20, 0.75), Objective(60, 1.4, 1.515)]


@pytest.mark.parametrize("objective", OBJECTIVES, ids=str)
def test_gaussian_is_the_best_fit_to_the_core(objective: Objective) -> None:
    """Equal curvature at the peak, and nearly equal peaks (Zhang 2007)."""
    pixel_um = 0.02 * 0.525 / objective.na
    scalar = Microscope(objective).psf(525.0, 488.0, pixel_um)
    row = scalar[len(scalar) // 2, len(scalar) // 2 :][:8]
    slope = np.polyfit((np.arange(8) * pixel_um) ** 2, np.log(row), 1)[0]
    sigma_um = gaussian_sigma_um(objective.na, objective.immersion_index, 525.0, 0.0)
    assert sigma_um == pytest.approx(math.sqrt(-0.5 / slope), rel=0.03)
    assert sigma_um == resolution.gaussian_sigma_xy_um(objective.na, 525.0)
    gaussian = Microscope(objective, psf_model="gaussian").psf(525.0, 488.0, 5 * pixel_um)
    ring = Microscope(objective).psf(525.0, 488.0, 5 * pixel_um)
    assert gaussian.max() == pytest.approx(ring.max(), rel=0.02)


@pytest.mark.parametrize("objective", OBJECTIVES, ids=str)
@pytest.mark.parametrize("depths", [0.0, 0.5, 1.0, 2.0, 6.0, 12.0])
def test_half_of_the_light_lies_where_it_does_in_the_scalar_pattern(
    objective: Objective, depths: float
) -> None:
    z_um = depths * 0.525 * objective.immersion_index / objective.na**2
    wavefront = Wavefront(objective.na, Layers(objective.immersion_index))
    reach_um = wavefront.reach_um(525.0, z_um) + 3.0 * 0.525 / objective.na
    density = radial_density(SCALAR.terms, wavefront, 525.0, z_um, reach_um)
    radius = np.linspace(0.0, reach_um, 4001)
    light = np.cumsum(density(radius) * 2.0 * math.pi * radius) * radius[1]
    half_um = float(np.interp(0.5, light, radius))
    sigma_um = gaussian_sigma_um(objective.na, objective.immersion_index, 525.0, z_um)
    assert sigma_um * math.sqrt(2.0 * math.log(2.0)) == pytest.approx(half_um, rel=0.15)


def test_gaussian_widens_and_keeps_its_light() -> None:
    sizes = [gaussian_sigma_um(0.75, 1.0, 525.0, z) for z in (0.0, 0.5, 1.0, 5.0)]
    assert sizes == sorted(sizes)
    assert gaussian_sigma_um(0.75, 1.0, 525.0, -2.0) == gaussian_sigma_um(0.75, 1.0, 525.0, 2.0)
    psf = gaussian_psf(0.3, 0.1, 20)
    assert psf.sum() == pytest.approx(1.0, abs=1e-9)
    axis = (np.arange(41) - 20) * 0.1
    # A pixel's own width adds a² / 12.
    assert (psf.sum(axis=0) * axis**2).sum() == pytest.approx(0.09 + 0.01 / 12, rel=1e-6)


def test_transfer_of_a_gaussian_is_a_gaussian() -> None:
    psf, pixel_um = gaussian_psf(0.3, 0.1, 40), 0.1
    frequency, otf = otf_of_psf(psf, pixel_um)
    middle = len(frequency) // 2
    assert frequency[middle] == 0.0
    assert otf[middle, middle] == pytest.approx(1.0)
    # Centred on the middle pixel: no phase.
    assert np.abs(otf.imag).max() < 1e-12
    fx, mtf = mtf_of_psf(psf, pixel_um)
    expected = np.exp(-2.0 * (math.pi * fx * 0.3) ** 2) * np.sinc(fx * pixel_um)
    np.testing.assert_allclose(mtf, np.abs(expected), atol=1e-9)


@pytest.mark.parametrize(
    ("psf", "received"),
    [
        (np.ones((4, 4)), "shape \\(4, 4\\)"),
        (np.ones((3, 5)), "shape \\(3, 5\\)"),
        (np.ones(3), "shape \\(3,\\)"),
        (np.zeros((3, 3)), "sum 0"),
    ],
)
def test_arrays_without_a_transfer_function(psf: npt.NDArray[np.float64], received: str) -> None:
    with pytest.raises(SourceError, match=received):
        otf_of_psf(psf, 0.1)


def test_zernikes_are_orthonormal_over_the_pupil() -> None:
    # Equal areas: ρ² and φ evenly spaced.
    rho = np.sqrt((np.arange(400) + 0.5) / 400)[:, None] * np.ones(48)
    phi = np.arange(48) * (2.0 * math.pi / 48) * np.ones((400, 1))
    values = {name: zernike(rho, phi) for name, zernike in ABERRATIONS.items()}
    for one, other in itertools.combinations_with_replacement(values, 2):
        product = float((values[one] * values[other]).mean())
        assert product == pytest.approx(1.0 if one == other else 0.0, abs=1e-3), (one, other)


def test_second_bessel_function_keeps_its_digits() -> None:
    argument = np.concatenate([[0.0], np.geomspace(1e-6, 300.0, 400)])
    np.testing.assert_allclose(_bessel(argument, 2)[2], special.jv(2, argument), atol=1e-12)
