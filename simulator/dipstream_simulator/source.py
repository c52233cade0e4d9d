"""The driver `sim:`: from what a person writes to a simulated microscope."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, Literal, TypeAlias
from urllib.parse import quote, urlencode

from dipstream_simulator.assembly import assemble
from dipstream_simulator.camera import SimSource
from dipstream_simulator.experiment import is_experiment, read_experiment

__all__ = ["open_sim"]

_Open: TypeAlias = Callable[..., SimSource]


def _or_from_file(function: _Open) -> _Open:
    """Let the target be an experiment: its parameters, unless the caller gives them too."""

    @wraps(function)
    def opened(target: str = "", **given: Any) -> SimSource:
        if not is_experiment(target):
            return function(target, **given)
        camera, written = read_experiment(target, function)
        return function(camera, **{**written, **given})

    return opened


@_or_from_file
def open_sim(
    target: str = "",
    *,
    specimen: str = "nuclei",
    n: int | None = None,
    channels: str | None = None,
    seed: int = 7,
    photons: float | None = None,
    background_photons: float | None = None,
    nucleus_um: float | None = None,
    step_um: float | None = None,
    motion: str | None = None,
    cycle_t: int | None = None,
    death_rate: float | None = None,
    grow: float | None = None,
    flow_um: str | None = None,
    density: float | None = None,
    touching: float | None = None,
    contrast: float | None = None,
    cell_um: float | None = None,
    z_spread_um: float | None = None,
    bead_um: float | None = None,
    per_cell: int | None = None,
    on_t: float | None = None,
    off_t: float | None = None,
    length_um: float | None = None,
    distance_um: float | None = None,
    distance_rayleigh: float | None = None,
    angle_deg: float | None = None,
    file: str | None = None,
    file_pixel_um: float | None = None,
    objective: str = "20x0.75",
    method: Literal["widefield", "confocal"] = "widefield",
    psf: Literal["scalar", "vectorial", "gaussian"] = "scalar",
    pinhole_au: float = 1.0,
    aberrations_nm: str = "",
    sample_index: float | None = None,
    depth_um: float = 0.0,
    coverslip_um: float = 170.0,
    transmission: float = 1.0,
    vignetting: float = 0.0,
    illumination: Literal["flat", "gaussian"] = "flat",
    mode: str | None = None,
    width: int | None = None,
    height: int | None = None,
    roi: str | None = None,
    binning: int = 1,
    exposure_ms: float = 10.0,
    bits: int | None = None,
    em_gain: float | None = None,
    temperature_c: float | None = None,
    camera_pixel_um: float | None = None,
    scan_um: float | None = None,
    qe: float | None = None,
    read_noise_e: float | None = None,
    gain_e_per_dn: float | None = None,
    offset_dn: float | None = None,
    full_well_e: float | None = None,
    dark_e_per_s: float | None = None,
    serial: int | None = None,
    z: int = 1,
    z_step_um: float = 1.0,
    tiles: str = "1x1",
    overlap: float = 0.0,
    focus_um: float = 0.0,
    focus_drift_um: float = 0.0,
    drift_um: str = "0,0",
    jitter_um: float = 0.0,
    bleach_ms: float = 0.0,
    flicker_hz: float = 0.0,
    flicker_depth: float = 0.2,
    fps: float = 20.0,
    frames: int | None = None,
    faults: str = "",
    noise: Literal["fast", "exact"] = "fast",
    threads: int = 1,
) -> SimSource:
    """Open a simulated microscope and camera, with a specimen whose truth is known.

    Parameters
    ----------
    target
        A camera: orca-flash4, orca-quest2, kinetix, prime-95b, ixon-888, orca-r2, zelux-cs165c,
        pmt-gaasp; generic if left out. Or a YAML file with the parameters below in sections.
    specimen
        nuclei, cells, beads, spots, emitters, filaments, usaf, siemens, pair, picture or flat.
    n, density
        How many objects the specimen has, all tiles together, and the share of its area that they
        cover at most (0.4): where they need more room than the tiles have, the specimen is larger,
        and a part of it is seen.
    channels
        Channels in order, from DAPI, GFP, RFP, Cy5; DAPI+GFP sees both in one exposure.
    seed
        Fixes specimen, motion and noise: the same seed gives bit-identical frames.
    photons
        Emitted into all directions: per µm² and ms by a typical body (nucleus, cell, bar), per ms
        by a typical point (bead, spot, emitter). For specimen=flat: photons that reach each sensor
        pixel in one exposure, as a flash (no smear).
    background_photons
        Emitted per µm² and ms by everything else.
    nucleus_um, cell_um, touching, contrast
        Typical diameters, the share of nuclei that ignore the others' space, and how pronounced
        their texture is (1 = natural).
    step_um, motion
        Root mean square displacement from one time point to the next; persistent, diffusion, drift
        or still.
    flow_um
        With motion=drift, the step y,x that all make at each time point.
    cycle_t, death_rate, grow
        Time points from division to division (0 = none), the share that dies at each time point,
        and the share of its area that a nucleus gains at each.
    z_spread_um
        Standard deviation of the objects' heights.
    bead_um
        Diameter of beads; 0 = points.
    per_cell, length_um
        Spots in each cell; length of a filament.
    on_t, off_t
        Mean time points for which an emitter shines and rests.
    distance_um, distance_rayleigh, angle_deg
        Distance of the two points of a pair, in µm or in Rayleigh distances, and its direction.
    file, file_pixel_um
        The image that is the specimen (specimen=picture), and the side of its pixels.
    objective
        Magnification, x, NA and the immersion medium: 20x0.75, 60x1.40oil. A shipped one is known
        without its medium (60x1.40).
    method, pinhole_au
        widefield or confocal, and the pinhole's diameter in Airy units.
    psf
        Diffraction model: scalar, vectorial (high NA) or gaussian.
    aberrations_nm
        Zernike aberrations, in nm root mean square: spherical=50,coma_x=30.
    sample_index, depth_um, coverslip_um
        Refractive index of the sample, depth of the focus in it and thickness of the coverslip, for
        the mismatch after Gibson and Lanni.
    transmission
        Share of the collected light that the glass lets through.
    vignetting, illumination
        Light that is lost at the corner of the sensor, 0 to 1; profile of the illumination.
    mode
        Readout mode of the camera, see its preset.
    width, height, roi
        Sensor columns and rows, in the middle of the sensor; or a region as y,x,height,width.
    binning
        Sensor pixels along the side of an image pixel.
    exposure_ms
        Exposure time (of a point scanner: on each pixel): sets light, dark current and time stamps.
        A frame rate that no camera could reach with it is announced, not refused.
    bits
        Bits of the ADC, 1 to 16, over the same analogue range.
    em_gain, temperature_c
        Multiplication of an EMCCD; temperature of the sensor.
    camera_pixel_um, scan_um
        Side of a pixel on the camera; of a point scanner, in the object.
    qe, read_noise_e, gain_e_per_dn, offset_dn, full_well_e, dark_e_per_s
        Override the preset: quantum efficiency, read noise (e⁻), conversion (e⁻/DN), offset (DN),
        full well (e⁻), dark current (e⁻ per pixel and s).
    serial
        Serial number of the camera: fixes its per-pixel pattern.
    z, z_step_um
        Planes of a stack around the focus, and their distance.
    tiles, overlap
        Rows x columns of fields on one specimen, and what neighbours share, 0 to 0.9.
    focus_um, focus_drift_um
        How far the focus is off, and by how much more at each time point.
    drift_um, jitter_um
        Drift of the stage y,x at each time point, and its random error in every frame.
    bleach_ms
        Exposure after which 1/e of the dye is left; 0 = it does not bleach.
    flicker_hz, flicker_depth
        A lamp that flickers, which a rolling shutter turns into bands.
    fps
        Frames per second; 0 = as fast as they are taken.
    frames
        How many frames; without end if left out.
    faults
        drop@10-14,hang@20:1.5,raise@30,shape@40,saturate@50: frames lost, seconds stalled, an
        error, half a frame, too much light.
    noise, threads
        fast (compiled) or exact (the numpy model), both with fresh noise in every pixel; threads
        inside a frame, which change no bit.

    Returns
    -------
    SimSource
        Free-running if fps is 0 (it waits for whoever takes its frames), otherwise live.

    Raises
    ------
    SourceError
        If a value is outside its limits or does not belong to the specimen; nothing is ever
        adjusted silently.
    """
    parameters = locals()
    name = _uri(parameters)
    del parameters["target"]
    return assemble(name, target, parameters)


def _uri(parameters: dict[str, Any]) -> str:
    """Write the source as people would: only what differs from the defaults.

    What an experiment's file said stands in it too, so that a run can be repeated without it.
    """
    defaults = inspect.signature(open_sim).parameters
    changed = {
        key: int(value) if isinstance(value, float) and value.is_integer() else value
        for key, value in parameters.items()
        if key != "target" and value != defaults[key].default
    }
    query = urlencode(changed, quote_via=quote, safe="+,/:@=")
    return f"sim:{parameters['target']}" + (f"?{query}" if changed else "")
