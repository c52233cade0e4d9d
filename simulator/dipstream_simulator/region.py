"""Which part of which chip is read out."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from dipstream.errors import SourceError
from dipstream_simulator.limits import require_between
from dipstream_simulator.sensor import Sensor, camera_preset, spanning_gain_e_per_dn

__all__ = ["Region", "region_of"]

_GENERIC_SIDE_PX = 512
_GENERIC = "generic"
_OVERRIDES = ("qe", "read_noise_e", "offset_dn", "full_well_e", "dark_e_per_s", "serial")

Roi = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Region:
    """A camera and its region of interest (y, x, height, width), in sensor px."""

    sensor: Sensor
    roi: Roi

    @property
    def height(self) -> int:
        """Rows, unbinned."""
        return self.roi[2]

    @property
    def width(self) -> int:
        """Columns, unbinned."""
        return self.roi[3]

    def field_um(self, pixel_um: float) -> tuple[float, float]:
        """Height and width of the region in the object, in µm."""
        return self.height * pixel_um, self.width * pixel_um

    def chip_um(self, pixel_um: float) -> tuple[float, float]:
        """Height and width of the whole chip in the object, in µm."""
        return self.sensor.rows * pixel_um, self.sensor.columns * pixel_um

    @property
    def axis_px(self) -> tuple[float, float]:
        """The middle of the chip, in px (y, x) from the middle of the region of interest."""
        y, x, height, width = self.roi
        return (self.sensor.rows - height) / 2 - y, (self.sensor.columns - width) / 2 - x


def region_of(camera: str, p: Mapping[str, Any]) -> Region:
    """Choose camera, readout mode and region of interest.

    Parameters
    ----------
    camera
        A preset; empty for the generic camera, whose chip is as large as is asked for.
    p
        The parameters of `dipstream_simulator.source.open_sim`.

    Raises
    ------
    SourceError
        If there is no such camera or mode, or the region does not lie on the chip.
    """
    sensor = _sensor(camera or _GENERIC, p)
    if sensor.name == _GENERIC and p["roi"] is None:
        height = _GENERIC_SIDE_PX if p["height"] is None else p["height"]
        width = _GENERIC_SIDE_PX if p["width"] is None else p["width"]
        require_between("width", width, 16, 16_384, example=512)
        require_between("height", height, 16, 16_384, example=512)
        sensor = replace(sensor, rows=height, columns=width)
    roi = _centred(sensor, p) if p["roi"] is None else _written(p)
    _check(sensor, roi, p["binning"])
    return Region(sensor, roi)


def _sensor(camera: str, p: Mapping[str, Any]) -> Sensor:
    overrides = {name: p[name] for name in _OVERRIDES if p[name] is not None}
    if p["camera_pixel_um"] is not None:
        require_between("camera_pixel_um", p["camera_pixel_um"], 0.1, 100.0, example=6.5)
        overrides["pixel_um"] = p["camera_pixel_um"]
    if p["gain_e_per_dn"] is not None:
        overrides["gain_e_per_dn"] = p["gain_e_per_dn"]
    sensor = camera_preset(camera).sensor(
        p["mode"],
        bits=p["bits"],
        em_gain=p["em_gain"],
        temperature_c=p["temperature_c"],
        **overrides,
    )
    if sensor.name == _GENERIC and p["gain_e_per_dn"] is None:
        # Its full well spans the ADC, whatever its size.
        gain = spanning_gain_e_per_dn(sensor.full_well_e, sensor.bits, sensor.offset_dn)
        return replace(sensor, gain_e_per_dn=gain)
    return sensor


def _centred(sensor: Sensor, p: Mapping[str, Any]) -> Roi:
    height = sensor.rows if p["height"] is None else p["height"]
    width = sensor.columns if p["width"] is None else p["width"]
    require_between("height", height, 16, sensor.rows, example=min(512, sensor.rows))
    require_between("width", width, 16, sensor.columns, example=min(512, sensor.columns))
    return (sensor.rows - height) // 2, (sensor.columns - width) // 2, height, width


def _written(p: Mapping[str, Any]) -> Roi:
    if p["width"] is not None or p["height"] is not None:
        raise SourceError(
            f"The simulated camera received roi={p['roi']} and a width or height as well; allowed "
            "is one way of saying it. Leave out width and height"
        )
    try:
        y, x, height, width = (int(part) for part in p["roi"].split(","))
    except ValueError as error:
        raise SourceError(
            f"The simulated camera received roi={p['roi']!r}; allowed are four whole numbers, "
            "y,x,height,width, in px. Write for instance roi=256,512,1024,1024"
        ) from error
    return y, x, height, width


def _check(sensor: Sensor, roi: Roi, binning: int) -> None:
    y, x, height, width = roi
    inside = 0 <= y <= sensor.rows - height and 0 <= x <= sensor.columns - width
    if not inside or min(height, width) < 16:
        raise SourceError(
            f"The simulated camera received the region {y},{x},{height},{width}; allowed is what "
            f"lies on the chip of {sensor.rows} x {sensor.columns} px and has at least 16 x 16. "
            "Move or shrink it"
        )
    require_between("binning", binning, 1, 16, example=2)
    if height % binning or width % binning:
        raise SourceError(
            f"The simulated camera received binning={binning} for {height} x {width} px; allowed "
            "are sizes that it divides. Write for instance "
            f"height={height - height % binning}&width={width - width % binning}"
        )
