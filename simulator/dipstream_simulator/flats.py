"""Flat fields for a calibration: uniform light in pairs of frames, from none to too much."""

from collections.abc import Iterator
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from dipstream_simulator.acquisition import Shot
from dipstream_simulator.bench import Setup
from dipstream_simulator.light import Lamp
from dipstream_simulator.sensor import Chip
from dipstream_simulator.specimen.flat import flat
from dipstream_simulator.specimen.model import Channel

__all__ = ["flat_shots"]

_FULL_MS = 100.0  # exposure that fills the camera
_OVEREXPOSED = (1.1, 1.25, 1.5)


def flat_shots(setup: Setup, levels: int) -> tuple[Setup, Iterator[Shot]]:
    """Return a bench with uniform light, and pairs of shots that fill the camera step by step.

    Parameters
    ----------
    setup
        The camera's bench; its chip is used without shading, at the wavelength of its quoted
        quantum efficiency.
    levels
        Light levels, at least 5: one dark, three beyond saturation, the others evenly between. The
        exposure time sets the level, as with a steady lamp.
    """
    sensor = setup.chip.sensor
    wavelength_nm = sensor.qe_nm
    electrons = setup.chip.saturation_e
    specimen = flat(
        extent_um=setup.specimen.extent_um,
        channels=(Channel("flat", wavelength_nm, wavelength_nm),),
    )
    bench = replace(
        setup,
        specimen=specimen,
        chip=Chip(sensor, roi=setup.chip.roi, binning=setup.binning),
        shading=None,
        lamp=Lamp(photons=0.0),
        exposures=tuple((name, (0,)) for name, _ in setup.exposures),
        photons_per_pixel=electrons / sensor.qe_at(wavelength_nm),
    )
    between = np.linspace(0.0, 1.0, levels - len(_OVEREXPOSED)).tolist()
    return bench, _shots([*between, *_OVEREXPOSED])


def _shots(fills: list[float]) -> Iterator[Shot]:
    for level, fill in enumerate(fills):
        for half in range(2):
            yield Shot(
                number=2 * level + half,
                t=level,
                channel=0,
                position="0",
                stage_um=(0.0, 0.0, 0.0),
                exposure_ms=fill * _FULL_MS,
                light=fill,
                index=MappingProxyType({"t": level}),
            )
