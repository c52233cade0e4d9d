"""The transfer function of a point spread function that is given as an array."""

import numpy as np
import numpy.typing as npt

from dipstream.errors import SourceError
from dipstream_simulator.limits import require_between

__all__ = ["mtf_of_psf", "otf_of_psf"]


def otf_of_psf(
    psf: npt.NDArray[np.float64], pixel_um: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.complex128]]:
    """Return the frequencies and the optical transfer function of a point spread function.

    Parameters
    ----------
    psf
        float64 (k, k), k odd, the middle pixel on the optical axis.
    pixel_um
        Side of a pixel in the object.

    Returns
    -------
    frequency_per_um, otf
        float64 (k,), rising, and complex128 (k, k) with 1 at frequency 0 in its middle. The
        pixel's own sinc is part of it, as it is of every recorded image.

    Raises
    ------
    SourceError
        If the array is not square with an odd side, or holds no light.
    """
    require_between("pixel_um", pixel_um, 0.0, 1000.0, example=0.1, open_low=True)
    if psf.ndim != 2 or psf.shape[0] != psf.shape[1] or psf.shape[0] % 2 == 0:
        raise SourceError(
            f"The transfer function received a point spread function of shape {psf.shape}; allowed "
            "are squares with an odd side, centred on the middle pixel. Crop it to one"
        )
    total = float(psf.sum())
    if not total > 0.0:
        raise SourceError(
            f"The transfer function received a point spread function with the sum {total:g}; "
            "allowed are sums above 0. Change it to one that holds light"
        )
    otf = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(psf))) / total
    frequency = np.fft.fftshift(np.fft.fftfreq(psf.shape[0], pixel_um))
    return frequency, otf


def mtf_of_psf(
    psf: npt.NDArray[np.float64], pixel_um: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the frequencies from 0 up and the contrast transferred along x, 1 at frequency 0.

    Parameters and errors as for `otf_of_psf`; both arrays are float64 ((k + 1)/2,).
    """
    frequency, otf = otf_of_psf(psf, pixel_um)
    middle = len(frequency) // 2
    return frequency[middle:], np.abs(otf[middle, middle:])
