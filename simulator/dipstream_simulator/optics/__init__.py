"""The objective and its point spread function."""

from dipstream_simulator.optics.airy import airy_intensity, airy_psf
from dipstream_simulator.optics.objective import IMMERSION_INDEX, Objective

__all__ = ["IMMERSION_INDEX", "Objective", "airy_intensity", "airy_psf"]
