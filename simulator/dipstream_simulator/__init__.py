"""A simulated camera: specimen, optics and sensor, seeded and with known truth."""

from dipstream_simulator.camera import SimSource
from dipstream_simulator.optics import Objective, airy_psf
from dipstream_simulator.sensor import Sensor
from dipstream_simulator.source import open_sim
from dipstream_simulator.specimen.nuclei import Specimen

__all__ = ["Objective", "Sensor", "SimSource", "Specimen", "airy_psf", "open_sim"]
