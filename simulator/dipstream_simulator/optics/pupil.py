"""Any point spread function by Fourier transforms of the pupil: for aberrations that are not round.

The pupil's autocorrelation is the optical transfer function (Goodman, *Fourier Optics*, §6.3), zero
beyond 2 NA/λ by construction. Images are its Fourier sum at the places wanted, by matrices (Soummer
et al., Opt. Express 15, 15935, 2007), so that any pixel fits and its integral over a square is
exact: a product with two sinc functions.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import fft, special

from dipstream_simulator.optics.field import FieldModel
from dipstream_simulator.optics.wavefront import Wavefront

__all__ = ["Transfer", "pupil_transfer"]

_Array = npt.NDArray[np.float64]

_MIN_PUPIL = 256  # the cut cells along the edge then cost some 0.2 % of the peak
_MAX_PUPIL = 1536


@dataclass(frozen=True, slots=True, eq=False)
class Transfer:
    """An optical transfer function on a grid of frequencies.

    Attributes
    ----------
    y_per_um, x_per_um
        float64 frequencies along the rows (both signs) and the columns (0 and positive: the
        other half is the conjugate).
    values
        complex128 (y, x); 1 at frequency 0.
    """

    y_per_um: _Array
    x_per_um: _Array
    values: npt.NDArray[np.complex128]

    def through_pinhole(self, radius_um: float) -> "Transfer":
        """Return the transfer of the light that a disc lets through, scaled by the disc's area.

        The transform of a disc is π a² · 2 J1(2πfa)/(2πfa).
        """
        turn = np.hypot(self.y_per_um[:, None], self.x_per_um) * (2.0 * math.pi * radius_um)
        safe = np.where(turn == 0.0, 1.0, turn)
        disc = np.where(turn == 0.0, 1.0, 2.0 * special.j1(safe) / safe)
        return Transfer(self.y_per_um, self.x_per_um, self.values * (disc * math.pi * radius_um**2))

    def over_pixels(self, pixel_um: float) -> "Transfer":
        """Return the transfer after integration over squares of side `pixel_um`."""
        rows = np.sinc(self.y_per_um * pixel_um) * pixel_um
        columns = np.sinc(self.x_per_um * pixel_um) * pixel_um
        return Transfer(self.y_per_um, self.x_per_um, self.values * rows[:, None] * columns)

    def image(self, axis_um: _Array) -> _Array:
        """Return the image at `axis_um` × `axis_um` (y, x), per µm² unless integrated.

        The sign is such that a phase that rises towards +x moves the image towards +x.
        """
        rows = np.exp(-2j * math.pi * np.outer(axis_um, self.y_per_um))
        columns = np.exp(-2j * math.pi * np.outer(self.x_per_um, axis_um))
        # Columns above 0 stand for their conjugates as well.
        columns[1:] *= 2.0
        half = rows @ self.values
        step = self.x_per_um[1]
        return np.asarray(
            (half.real @ columns.real - half.imag @ columns.imag) * step**2, dtype=np.float64
        )


def pupil_transfer(
    model: FieldModel,
    wavefront: Wavefront,
    wavelength_nm: float,
    z_um: float,
    period_um: float,
) -> Transfer:
    """Return the optical transfer function of a point at `z_um`.

    Parameters
    ----------
    model
        The field's amplitudes.
    wavefront
        Aperture and phase.
    wavelength_nm
        In vacuum.
    z_um
        From the nominal focus to the point.
    period_um
        The image repeats itself after this; twice the width of all that matters, at least.
    """
    edge_per_um = wavefront.filled_na / (wavelength_nm * 1e-3)
    half = math.ceil(min(max(period_um * edge_per_um, _MIN_PUPIL / 2), _MAX_PUPIL / 2))
    step = edge_per_um / half
    axis = np.arange(-half, half + 1) / half
    rho = np.hypot(axis[:, None], axis[None, :])
    phi = np.arctan2(axis[:, None], axis[None, :])
    # A cell that the edge cuts counts with the share of it that is inside.
    inside = np.clip(0.5 + (1.0 - rho) * half, 0.0, 1.0)
    rho = np.minimum(rho, 1.0)
    phase = wavefront.phase(rho, phi, wavelength_nm, z_um)
    cosine = np.sqrt(1.0 - (rho * wavefront.filled_na / wavefront.layers.immersion_index) ** 2)
    waves = inside * np.exp(1j * phase)
    size = fft.next_fast_len(2 * len(axis))
    intensity = np.zeros((size, size))
    for amplitude in model.components(cosine, phi):
        intensity += np.abs(fft.ifft2(waves * amplitude, s=(size, size))) ** 2
    values = fft.rfft2(intensity)
    columns = 2 * half + 1
    return Transfer(
        np.asarray(fft.fftfreq(size, 1.0 / (size * step)), dtype=np.float64),
        np.arange(columns, dtype=np.float64) * step,
        values[:, :columns] / values[0, 0],
    )
