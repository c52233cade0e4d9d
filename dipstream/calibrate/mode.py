"""From a calibration to the mode that a camera file keeps."""

from dipstream.calibrate.calibration import Calibration
from dipstream.calibrate.camera_file import CameraMode
from dipstream.calibrate.measured import Measured

__all__ = ["mode_of"]


def mode_of(calibration: Calibration) -> CameraMode:
    """Return what a camera file keeps of a calibration, in digits that mean something."""
    segment = calibration.segment
    dark = calibration.dark.histogram_pair
    camera = segment.known_camera
    return CameraMode(
        channel=calibration.channel,
        offset_dn=_kept(calibration.offset_dn.value),
        offset_se_dn=_kept(calibration.offset_dn.se),
        gain_e_per_dn=_kept(calibration.gain_e_per_dn.value),
        gain_se_e_per_dn=_kept(calibration.gain_e_per_dn.se),
        bit_depth=calibration.bit_depth,
        dtype=segment.dtype,
        shape=segment.shape,
        # Files do not tell how their camera was binned.
        binning=None if camera is None else segment.binning,
        camera=camera,
        em_gain=segment.em_gain,
        excess_noise=None if calibration.excess_noise_from == "none" else calibration.excess_noise,
        dark_from=calibration.dark.told_by,
        exposure_ms=None if dark is None else dark.exposure_ms,
        read_noise_e=_kept(calibration.read_noise_e.value),
        read_noise_se_e=_kept(calibration.read_noise_e.se),
        read_noise_reliable=calibration.floor.resolved,
        saturation_e=_value(calibration.saturation_e),
        full_well_e=_value(calibration.full_well_e),
        linearity_error_percent=_value(calibration.linearity_error_percent),
        pairs=len(calibration.pairs),
        levels=calibration.levels,
    )


def _value(measured: Measured | None) -> float | None:
    return None if measured is None else _kept(measured.value)


def _kept(value: float) -> float:
    return float(f"{value:.8g}")
