"""What the camera does to light."""

from dipstream_simulator.sensor.chip import Chip, Exposed
from dipstream_simulator.sensor.fast import warm_up
from dipstream_simulator.sensor.noise import snr
from dipstream_simulator.sensor.presets import CameraPreset, camera_names, camera_preset
from dipstream_simulator.sensor.sensor import Sensor, spanning_gain_e_per_dn

__all__ = [
    "CameraPreset",
    "Chip",
    "Exposed",
    "Sensor",
    "camera_names",
    "camera_preset",
    "snr",
    "spanning_gain_e_per_dn",
    "warm_up",
]
