"""Puts a simulated microscope together from its parameters."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from dipstream.errors import SourceError
from dipstream_simulator.acquisition import (
    ExposureChannel,
    Sequence,
    exposure_channels,
    grid,
)
from dipstream_simulator.bench import Setup
from dipstream_simulator.budget import require_affordable
from dipstream_simulator.camera import SimSource, Timing
from dipstream_simulator.faults import Faults
from dipstream_simulator.kinds import Kind, find_kind, make_specimen
from dipstream_simulator.light import Lamp
from dipstream_simulator.limits import require_between, y_and_x
from dipstream_simulator.meaning import require_meaning
from dipstream_simulator.optics import Microscope, Objective, parse_aberrations, shading
from dipstream_simulator.region import Region, region_of
from dipstream_simulator.room import crowding, extent_of
from dipstream_simulator.sensor import Chip, Sensor
from dipstream_simulator.specimen.model import CHANNELS, Channel
from dipstream_simulator.stage import Stage

__all__ = ["assemble"]

Exposures = tuple[tuple[str, ExposureChannel], ...]
Parameters = Mapping[str, Any]


def assemble(name: str, camera: str, p: Parameters) -> SimSource:
    """Return the source.

    Parameters
    ----------
    name
        The source's URI.
    camera
        A camera's preset; empty for the generic one.
    p
        The parameters of `dipstream_simulator.source.open_sim`, all of them.

    Raises
    ------
    SourceError
        If anything about it is impossible.
    """
    _check(p)
    require_meaning(p)
    kind = find_kind(p["specimen"])
    region = region_of(camera, p)
    sensor = region.sensor
    uniform = kind.name == "flat"
    if uniform:  # a flash: that many photons and no more, even while a CCD shifts its frame
        sensor = replace(sensor, smear_row_us=0.0)
    emitters, exposures = _channels(kind, sensor, p)
    microscope = _microscope(p)
    pixel_um = _pixel_um(sensor, microscope.objective, emitters, p)
    places = grid(p["tiles"], region.field_um(pixel_um), p["overlap"])
    # A region of interest is a window on what the whole chip would show.
    seen_um = region.field_um(pixel_um) if p["roi"] is None else region.chip_um(pixel_um)
    extent_um = extent_of(kind, p, places, seen_um)
    lamp = Lamp(
        photons=kind.photons if p["photons"] is None else p["photons"],
        background_photons=(
            kind.background_photons if p["background_photons"] is None else p["background_photons"]
        ),
        bleach_ms=p["bleach_ms"],
        flicker_hz=p["flicker_hz"],
        flicker_depth=p["flicker_depth"],
    )
    shade = _shading(sensor, region.roi, pixel_um, p)
    specimen = make_specimen(kind, p, microscope.objective, extent_um, emitters)
    require_affordable(specimen, microscope, pixel_um, region.height * region.width, p)
    setup = Setup(
        specimen=specimen,
        microscope=microscope,
        chip=Chip(sensor, roi=region.roi, binning=p["binning"], shading=shade),
        stage=_stage(p),
        lamp=lamp,
        exposures=exposures,
        pixel_um=pixel_um,
        axis_px=region.axis_px,
        roi_shape=(region.height, region.width),
        binning=p["binning"],
        transmission=p["transmission"],
        photons_per_pixel=lamp.photons if uniform else None,
        shading=shade,
        fps=p["fps"],
        seed=p["seed"],
        exact=p["noise"] == "exact",
        threads=p["threads"],
    )
    return SimSource(
        name,
        "sim" if not camera else sensor.name,
        setup,
        Sequence(len(exposures), places, p["z"], p["z_step_um"], p["exposure_ms"]),
        Timing(p["fps"], p["frames"]),
        faults=Faults.parse(p["faults"]),
        warnings=(*crowding(kind, p, extent_um), *_too_fast(sensor, region, p)),
    )


def _check(p: Parameters) -> None:
    require_between("seed", p["seed"], 0, 2**63 - 1, example=7)
    require_between("exposure_ms", p["exposure_ms"], 0.0, 1e6, example=10)
    require_between("transmission", p["transmission"], 0.0, 1.0, example=0.8)
    require_between("z", p["z"], 1, 10_000, example=5)
    require_between("z_step_um", p["z_step_um"], 0.0, 100.0, example=0.5, open_low=True)
    require_between("threads", p["threads"], 1, 64, example=2)
    if p["n"] is not None:
        require_between("n", p["n"], 0, 200_000, example=60)


def _channels(kind: Kind, sensor: Sensor, p: Parameters) -> tuple[tuple[Channel, ...], Exposures]:
    if p["channels"] is None and not kind.channels:
        # A uniform field has the colour for which the camera's efficiency is quoted.
        return (Channel("flat", sensor.qe_nm, sensor.qe_nm),), (("flat", (0,)),)
    text = kind.channels if p["channels"] is None else p["channels"]
    return exposure_channels(text, CHANNELS)


def _microscope(p: Parameters) -> Microscope:
    return Microscope(
        objective=Objective.parse(p["objective"]),
        method=p["method"],
        psf_model=p["psf"],
        pinhole_au=p["pinhole_au"],
        aberrations_nm=parse_aberrations(p["aberrations_nm"]),
        sample_index=p["sample_index"],
        depth_um=p["depth_um"],
        coverslip_um=p["coverslip_um"],
    )


def _pixel_um(
    sensor: Sensor, objective: Objective, emitters: tuple[Channel, ...], p: Parameters
) -> float:
    """Return the side of a sensor pixel in the object; a point scanner sets it itself."""
    if sensor.kind == "PMT":
        for name in ("camera_pixel_um", "flicker_hz"):
            if p[name]:
                raise SourceError(
                    f"The simulated camera received {name}={p[name]:g} for {sensor.name}, which "
                    "scans point by point and has none. Leave it out; scan_um is its step"
                )
    if sensor.kind != "PMT":
        if p["scan_um"] is not None:
            raise SourceError(
                f"The simulated camera received scan_um={p['scan_um']:g} for {sensor.name}, which "
                "does not scan; it belongs to pmt-gaasp. Leave it out, or change the objective"
            )
        return objective.object_pixel_um(sensor.pixel_um)
    if p["scan_um"] is None:
        return min(objective.nyquist_um(channel.emission_nm) for channel in emitters)
    require_between("scan_um", p["scan_um"], 0.005, 100.0, example=0.1)
    return float(p["scan_um"])


def _stage(p: Parameters) -> Stage:
    drift_um = y_and_x("drift_um", p["drift_um"])
    return Stage(p["focus_um"], p["focus_drift_um"], drift_um, p["jitter_um"], p["seed"])


def _shading(
    sensor: Sensor, roi: tuple[int, int, int, int], pixel_um: float, p: Parameters
) -> npt.NDArray[np.float32] | None:
    if not p["vignetting"] and p["illumination"] == "flat":
        return None
    whole = shading(
        (sensor.rows, sensor.columns),
        pixel_um,
        vignetting=p["vignetting"],
        profile=p["illumination"],
    )
    y, x, height, width = roi
    return np.ascontiguousarray(whole[y : y + height, x : x + width])


def _too_fast(sensor: Sensor, region: Region, p: Parameters) -> tuple[str, ...]:
    """Warn of a frame rate that such a camera does not reach."""
    if sensor.kind == "PMT":  # one pixel after the other
        frame_ms = p["exposure_ms"] * region.height * region.width
        limits = [1000.0 / frame_ms] if frame_ms else []
    else:
        limits = [1000.0 / p["exposure_ms"]] if p["exposure_ms"] else []
        if sensor.max_fps:
            # Reading out takes as long as there are rows.
            limits.append(sensor.max_fps * sensor.rows / region.height)
    fastest = min(limits, default=math.inf)
    if p["fps"] <= fastest * 1.0001:
        return ()
    warning = (
        f"fps={p['fps']:g} is more than this camera could do with exposure_ms="
        f"{p['exposure_ms']:g} and {region.height} x {region.width} px ({fastest:.3g}); the frames "
        "come all the same"
    )
    return (warning,)
