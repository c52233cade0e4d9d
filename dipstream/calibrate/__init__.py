"""Camera calibration by photon transfer, and the camera files that keep it."""

from typing import TYPE_CHECKING

from dipstream.on_use import on_use

if TYPE_CHECKING:
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

# Pipelines read camera files, which takes nothing that measures cameras.
__getattr__ = on_use(
    __name__,
    {
        "Calibration": "dipstream.calibrate.calibration",
        "CameraFile": "dipstream.calibrate.camera_file",
        "CameraMode": "dipstream.calibrate.camera_file",
        "Measured": "dipstream.calibrate.measured",
        "calibrate": "dipstream.calibrate.calibration",
        "mode_of": "dipstream.calibrate.mode",
        "notes_of": "dipstream.calibrate.words",
        "read_camera": "dipstream.calibrate.camera_file",
        "warnings_of": "dipstream.calibrate.words",
        "write_camera": "dipstream.calibrate.camera_file",
    },
)
