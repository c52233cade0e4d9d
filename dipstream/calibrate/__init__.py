"""Camera calibration by photon transfer, and the camera files that keep it."""

from dipstream.calibrate.calibration import Calibration, calibrate
from dipstream.calibrate.camera_file import CameraFile, CameraMode, read_camera, write_camera
from dipstream.calibrate.measured import Measured
from dipstream.calibrate.mode import mode_of
from dipstream.calibrate.words import notes_of, warnings_of

__all__ = [
    "Calibration",
    "CameraFile",
    "CameraMode",
    "Measured",
    "calibrate",
    "mode_of",
    "notes_of",
    "read_camera",
    "warnings_of",
    "write_camera",
]
