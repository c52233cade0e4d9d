"""The simulated camera's URI: `sim:?n=60&fps=20`."""

import inspect
from typing import Any
from urllib.parse import urlencode

from dipstream.errors import SourceError
from dipstream_simulator.camera import SimSource, Timing
from dipstream_simulator.limits import require_between
from dipstream_simulator.optics import Objective
from dipstream_simulator.render.scene import make_scene
from dipstream_simulator.sensor import Sensor, spanning_gain_e_per_dn
from dipstream_simulator.specimen.nuclei import random_specimen

__all__ = ["open_sim"]


def open_sim(
    target: str = "",
    *,
    n: int = 60,
    width: int = 512,
    height: int = 512,
    seed: int = 7,
    fps: float = 20.0,
    frames: int | None = None,
    photons: float = 2400.0,
    background_photons: float = 200.0,
    exposure_ms: float = 10.0,
    nucleus_um: float = 10.0,
    step_um: float = 0.8,
    objective: str = "20x0.75",
    camera_pixel_um: float = 6.5,
    bits: int = 12,
    qe: float = 0.8,
    read_noise_e: float = 1.5,
    gain_e_per_dn: float | None = None,
    offset_dn: float = 100.0,
    full_well_e: float = 8000.0,
    dark_e_per_s: float = 0.1,
) -> SimSource:
    """Open a simulated camera that looks at moving nuclei in two channels, DAPI and GFP.

    Parameters
    ----------
    target
        Reserved for presets of cameras; only the empty text is allowed.
    n
        How many nuclei are in the field.
    width, height
        Columns and rows of the camera, in px.
    seed
        Fixes specimen, motion and noise: the same seed gives bit-identical frames.
    fps
        Frames per second (an image set takes two); 0 = as fast as they are taken.
    frames
        How many frames; without end if left out.
    photons
        Photons that a nucleus of typical brightness emits per µm² and ms, into all directions.
        At the other defaults about 430 of them reach each pixel.
    background_photons
        The same for everything that is no nucleus.
    exposure_ms
        Exposure time in ms: sets the light and the time stamps, but does not limit fps.
    nucleus_um
        Typical diameter of a nucleus, in µm.
    step_um
        Root mean square displacement of a nucleus between image sets, in µm.
    objective
        Magnification, x, NA and the immersion medium unless it is air: 20x0.75, 60x1.40oil.
    camera_pixel_um
        Side of a pixel on the camera, in µm.
    bits
        Bits of the ADC, 1 to 16.
    qe
        Quantum efficiency, e⁻ per photon.
    read_noise_e
        Read noise in e⁻ (standard deviation).
    gain_e_per_dn
        Conversion in e⁻/DN. Left out, the full well spans the ADC, so that more bits mean finer
        steps over the same range.
    offset_dn
        The camera's offset in DN.
    full_well_e
        Electrons at which a pixel is full.
    dark_e_per_s
        Dark current in e⁻ per pixel and second.

    Returns
    -------
    SimSource
        Free-running if fps is 0 (it waits for whoever takes its frames), otherwise live.

    Raises
    ------
    SourceError
        If a value is outside its limits; nothing is ever adjusted silently.
    """
    name = _uri(locals())
    if target:
        raise SourceError(
            f"The simulated camera received the target {target!r}; allowed is none. "
            f"Write sim: followed by parameters, for instance sim:?n={n}&seed={seed}"
        )
    require_between("width", width, 16, 16_384, example=512)
    require_between("height", height, 16, 16_384, example=512)
    require_between("photons", photons, 0.0, 1e9, example=2400)
    require_between("background_photons", background_photons, 0.0, 1e9, example=200)
    require_between("camera_pixel_um", camera_pixel_um, 0.1, 100.0, example=6.5)
    timing = Timing(fps, frames, exposure_ms)
    sensor = Sensor(
        qe=qe,
        read_noise_e=read_noise_e,
        gain_e_per_dn=(
            spanning_gain_e_per_dn(full_well_e, bits, offset_dn)
            if gain_e_per_dn is None
            else gain_e_per_dn
        ),
        offset_dn=offset_dn,
        bits=bits,
        full_well_e=full_well_e,
        dark_e_per_s=dark_e_per_s,
    )
    scene = make_scene(
        random_specimen(seed, n, nucleus_um),
        Objective.parse(objective),
        shape=(height, width),
        camera_pixel_um=camera_pixel_um,
        exposure_ms=exposure_ms,
        photons=photons,
        background_photons=background_photons,
    )
    return SimSource(name, scene, sensor, timing, step_um=step_um, seed=seed)


def _uri(parameters: dict[str, Any]) -> str:
    """Write the source as people would: only what differs from the defaults."""
    defaults = inspect.signature(open_sim).parameters
    changed = {
        key: int(value) if isinstance(value, float) and value.is_integer() else value
        for key, value in parameters.items()
        if key != "target" and value != defaults[key].default
    }
    return f"sim:{parameters['target']}" + (f"?{urlencode(changed)}" if changed else "")
