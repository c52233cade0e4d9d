"""The signal chain over rows, compiled.

A row goes through buffers of `_CHUNK` pixels that stay in the processor's first cache. Kernels
that run on blocks of rows write nothing but their own rows.
"""

import numpy as np
import numpy.typing as npt

from dipstream_simulator.sensor.compiled import compiled
from dipstream_simulator.sensor.draws import (
    Doubles,
    Word,
    gamma_chunk,
    normal_chunk,
    poisson_chunk,
    stream_of_row,
)

__all__ = [
    "LightArguments",
    "ReadoutArguments",
    "draw_rows",
    "expose_rows",
    "multiply_rows",
    "read_rows",
]

Map = npt.NDArray[np.float32]
Frame = npt.NDArray[np.uint16]
Number = np.float32
Buffers = tuple[Map, Map, Map, Doubles]

LightArguments = tuple[Map, Map, Map, Map, Number, Number, Number]
"""Light, response, row_light, dark e⁻/s, exposure in s, clock-induced charge, full well."""

ReadoutArguments = tuple[Map, Map, Map, Number]
"""Scale, noise and offset in DN, largest DN."""

_F = np.float32
_U = np.uint64
_CHUNK = 512
_READ_NOISE = 1 << 42  # where a row's stream keeps normal variates that come without a Poisson


@compiled
def expose_rows(
    first: int,
    last: int,
    seed: Word,
    number: Word,
    light: LightArguments,
    readout: ReadoutArguments,
    kept: Map,
    dn: Frame,
) -> None:
    """Draw and read the rows from `first` to before `last`; keep electrons if there is room."""
    buffers = _buffers()
    electrons = np.empty(_CHUNK, dtype=np.float32)
    width = dn.shape[1]
    for y in range(first, last):
        start, step = stream_of_row(seed, number, _U(y))
        for x in range(0, width, _CHUNK):
            n = min(_CHUNK, width - x)
            _draw(start, step, y, x, n, light, buffers, electrons)
            _read(y, x, n, electrons, buffers[2], readout, dn)
            if kept.size > 0:
                for i in range(n):
                    kept[y, x + i] = electrons[i]


@compiled
def draw_rows(
    first: int, last: int, seed: Word, number: Word, light: LightArguments, electrons: Map
) -> None:
    """Draw electrons and clip them at the full well."""
    buffers = _buffers()
    width = electrons.shape[1]
    for y in range(first, last):
        start, step = stream_of_row(seed, number, _U(y))
        for x in range(0, width, _CHUNK):
            n = min(_CHUNK, width - x)
            _draw(start, step, y, x, n, light, buffers, electrons[y, x:])


@compiled
def multiply_rows(
    first: int,
    last: int,
    seed: Word,
    number: Word,
    electrons: Map,
    shape_per_e: float,
    scale: float,
    amplified: Map,
) -> None:
    """Draw Gamma(electrons · shape_per_e, scale); without a shape, electrons · scale."""
    width = electrons.shape[1]
    shape = np.empty(width, dtype=np.float64)
    for y in range(first, last):
        start, step = stream_of_row(seed, number, _U(y))
        if shape_per_e == 0.0:
            for x in range(width):
                amplified[y, x] = _F(electrons[y, x] * scale)
            continue
        for x in range(width):
            shape[x] = electrons[y, x] * shape_per_e
        gamma_chunk(start, step, width, shape, scale, amplified[y])


@compiled
def read_rows(
    first: int,
    last: int,
    seed: Word,
    number: Word,
    electrons: Map,
    readout: ReadoutArguments,
    dn: Frame,
) -> None:
    """Add read noise to electrons and digitise them."""
    z = np.empty(_CHUNK, dtype=np.float32)
    spare = np.empty(_CHUNK, dtype=np.float32)
    width = dn.shape[1]
    for y in range(first, last):
        start, step = stream_of_row(seed, number, _U(y))
        for x in range(0, width, _CHUNK):
            n = min(_CHUNK, width - x)
            normal_chunk(start, step, _READ_NOISE + x, n, z, spare)
            _read(y, x, n, electrons[y, x:], z, readout, dn)


@compiled
def _buffers() -> Buffers:
    mean = np.empty(_CHUNK, dtype=np.float32)
    z = np.empty(_CHUNK, dtype=np.float32)
    z_read = np.empty(_CHUNK, dtype=np.float32)
    return mean, z, z_read, np.empty((5, _CHUNK), dtype=np.float64)


@compiled
def _draw(
    start: Word,
    step: Word,
    y: int,
    x: int,
    n: int,
    light: LightArguments,
    buffers: Buffers,
    electrons: Map,
) -> None:
    """Draw n pixels of row y from x on; leaves as many normal variates in the third buffer."""
    mean, z, z_read, work = buffers
    photons, response, row_light, dark, exposure_s, cic_e, well_e = light
    of_row = row_light[y]
    of_photons, of_response, of_dark = photons[y, x:], _row(response, y, x), _row(dark, y, x)
    for i in range(n):
        mean[i] = of_photons[i] * of_response[i] * of_row + (of_dark[i] * exposure_s + cic_e)
    normal_chunk(start, step, x, n, z, z_read)
    poisson_chunk(start, step, x, n, mean, z, electrons, work)
    for i in range(n):
        electrons[i] = min(electrons[i], well_e)


@compiled
def _read(
    y: int, x: int, n: int, electrons: Map, z: Map, readout: ReadoutArguments, dn: Frame
) -> None:
    scale, noise, offset, max_dn = readout
    to_dn, sigma_dn, zero_dn, read = _row(scale, y, x), _row(noise, y, x), _row(offset, y, x), dn[y]
    for i in range(n):
        value = to_dn[i] * electrons[i] + sigma_dn[i] * z[i] + zero_dn[i] + _F(0.5)
        # Below zero is clipped before the conversion, so that cutting off is rounding down.
        read[x + i] = np.uint16(np.int32(min(max(value, _F(0)), max_dn)))


@compiled
def _row(values: Map, y: int, x: int) -> Map:
    """Return a row of a map from x on; a map of one row is the same in all."""
    row: Map = values[y if values.shape[0] > 1 else 0, x:]
    return row
