"""How many electrons a photon makes: quantum efficiency over wavelength, and colour filters."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from dipstream.errors import SourceError
from dipstream_simulator.limits import require_between

__all__ = ["COLOURS", "MOSAICS", "Curve", "colour_of_pixels", "relative_at", "require_curve"]

Curve = tuple[tuple[float, float], ...]
"""Points (wavelength in nm, relative value) in rising order of wavelength; () = 1 everywhere."""

COLOURS = ("R", "G", "B")
"""The colours of a mosaic, in the order of `Sensor.colour_filters`."""

MOSAICS = ("RGGB", "GRBG", "BGGR", "GBRG")
"""The four phases of a Bayer mosaic: the 2 × 2 pixels at the chip's corner, row by row."""


def relative_at(curve: Curve, wavelength_nm: float) -> float:
    """Return a curve's value at a wavelength, linearly between its points.

    Beyond the first and the last point the curve keeps their values. An empty curve is 1.
    """
    if not curve:
        return 1.0
    nm, value = zip(*curve, strict=True)
    return float(np.interp(wavelength_nm, nm, value))


def colour_of_pixels(mosaic: str, roi: tuple[int, int, int, int]) -> npt.NDArray[np.intp]:
    """Return which colour filter lies on each pixel (Bayer, US patent 3 971 065).

    Parameters
    ----------
    mosaic
        One of `MOSAICS`, anchored at the chip's corner, not at the region's.
    roi
        (y, x, height, width) in px.

    Returns
    -------
    ndarray
        (height, width), an index into `COLOURS`.
    """
    y, x, height, width = roi
    tile = np.array([COLOURS.index(letter) for letter in mosaic], dtype=np.intp).reshape(2, 2)
    rows, columns = np.arange(y, y + height) % 2, np.arange(x, x + width) % 2
    return tile[rows[:, None], columns[None, :]]


def require_curve(name: str, curve: Sequence[tuple[float, float]]) -> None:
    """Raise unless wavelengths rise and values lie between 0 and 100.

    Raises
    ------
    SourceError
        With the point that does not fit.
    """
    before_nm = 0.0
    for nm, value in curve:
        require_between(name, value, 0.0, 100.0, example=0.8)
        if not before_nm < nm < 1e5:
            raise SourceError(
                f"The simulated camera received {name} with a point at {nm:g} nm after "
                f"{before_nm:g} nm; allowed are wavelengths that rise. Sort the points"
            )
        before_nm = nm
