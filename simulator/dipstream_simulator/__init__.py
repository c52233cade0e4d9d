"""A simulated microscope and camera: specimen, optics and sensor, seeded and with known truth."""

from dipstream_simulator.camera import SimSource
from dipstream_simulator.optics import Microscope, Objective
from dipstream_simulator.sensor import Chip, Sensor, camera_names, camera_preset
from dipstream_simulator.source import open_sim

__all__ = [
    "Chip",
    "Microscope",
    "Objective",
    "Sensor",
    "SimSource",
    "camera_names",
    "camera_preset",
    "open_sim",
]
