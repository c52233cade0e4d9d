"""The signal chain, compiled: fresh noise for every pixel of every frame.

The same steps in the same order as `exact`, over blocks of rows on one or more threads. Maps of
one row stand for all rows.
"""

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dipstream_simulator.sensor.rows import (
    LightArguments,
    ReadoutArguments,
    draw_rows,
    expose_rows,
    multiply_rows,
    read_rows,
)

__all__ = ["Stream", "draw_electrons", "expose", "multiply", "read_out", "warm_up"]

Map = npt.NDArray[np.float32]

_F = np.float32
_U = np.uint64
_MASK = 2**64 - 1


@dataclass(frozen=True, slots=True)
class Stream:
    """Where a frame's noise comes from, and how many threads may draw it."""

    seed: int
    number: int
    threads: int = 1

    def rows(self, count: int, draw: Callable[[int, int, np.uint64, np.uint64], None]) -> None:
        """Call `draw(first, last, seed, number)` for all rows, in one block a thread."""
        seed, number = _U(self.seed & _MASK), _U(self.number & _MASK)
        blocks = min(max(1, self.threads), count)
        if blocks <= 1:
            draw(0, count, seed, number)
            return
        edges = [count * block // blocks for block in range(blocks + 1)]
        with ThreadPoolExecutor(blocks) as pool:
            done = [
                pool.submit(draw, first, last, seed, number)
                for first, last in itertools.pairwise(edges)
            ]
            for block in done:
                block.result()


@dataclass(frozen=True, slots=True, eq=False)
class Mean:
    """What makes the mean electrons of each pixel: light · response · row_light + dark.

    Attributes
    ----------
    light
        Photons, float32 (height, width).
    response
        e⁻ per photon, (height, width) or (1, width).
    row_light
        Relative light of each row, (height,).
    dark_e_per_s
        Dark current, (height, width) or (1, width).
    exposure_s, cic_e
        Exposure time, and electrons that come in any case.
    """

    light: Map
    response: Map
    row_light: Map
    dark_e_per_s: Map
    exposure_s: float
    cic_e: float

    def arguments(self, full_well_e: float) -> LightArguments:
        """Return all of it, and the full well, as the kernels take it."""
        maps = self.light, self.response, self.row_light, self.dark_e_per_s
        return *maps, _F(self.exposure_s), _F(self.cic_e), _F(full_well_e)


@dataclass(frozen=True, slots=True, eq=False)
class Readout:
    """What makes DN of electrons: clip(floor(scale · e + noise · z + offset + ½), 0, max_dn).

    Maps in DN, (height, width) or (1, width).
    """

    scale: Map
    noise: Map
    offset: Map
    max_dn: int

    def arguments(self) -> ReadoutArguments:
        """Return all of it as the kernels take it."""
        return self.scale, self.noise, self.offset, _F(self.max_dn)


def expose(
    stream: Stream, mean: Mean, full_well_e: float, readout: Readout, electrons: Map | None
) -> npt.NDArray[np.uint16]:
    """Return a frame in DN: shot noise, full well, read noise and ADC in one pass.

    Parameters
    ----------
    electrons
        (height, width), where to leave the electrons as well; None = nowhere.
    """
    dn = np.empty(mean.light.shape, dtype=np.uint16)
    kept = np.empty((0, 0), dtype=np.float32) if electrons is None else electrons
    light, maps = mean.arguments(full_well_e), readout.arguments()

    def draw(first: int, last: int, seed: np.uint64, number: np.uint64) -> None:
        expose_rows(first, last, seed, number, light, maps, kept, dn)

    stream.rows(len(dn), draw)
    return dn


def draw_electrons(stream: Stream, mean: Mean, full_well_e: float) -> Map:
    """Return the electrons of each pixel after the full well, float32 (height, width)."""
    electrons = np.empty(mean.light.shape, dtype=np.float32)
    light = mean.arguments(full_well_e)

    def draw(first: int, last: int, seed: np.uint64, number: np.uint64) -> None:
        draw_rows(first, last, seed, number, light, electrons)

    stream.rows(len(electrons), draw)
    return electrons


def multiply(stream: Stream, electrons: Map, shape_per_e: float, scale: float) -> Map:
    """Return Gamma(N · shape_per_e, scale) of each pixel's N electrons, float32 (rows, columns)."""
    amplified = np.empty_like(electrons)

    def draw(first: int, last: int, seed: np.uint64, number: np.uint64) -> None:
        multiply_rows(first, last, seed, number, electrons, shape_per_e, scale, amplified)

    stream.rows(len(electrons), draw)
    return amplified


def read_out(stream: Stream, electrons: Map, readout: Readout) -> npt.NDArray[np.uint16]:
    """Return DN of electrons that were drawn, binned or multiplied before."""
    dn = np.empty(electrons.shape, dtype=np.uint16)
    maps = readout.arguments()

    def draw(first: int, last: int, seed: np.uint64, number: np.uint64) -> None:
        read_rows(first, last, seed, number, electrons, maps, dn)

    stream.rows(len(dn), draw)
    return dn


def warm_up() -> None:
    """Compile all of it, or load it from the cache, so that no frame has to wait for it."""
    row = np.ones((1, 4), dtype=np.float32)
    light = np.array([[0.5, 5.0, 50.0, 500.0]] * 2, dtype=np.float32)
    stream = Stream(1, 1)
    mean = Mean(light, row, np.ones(2, dtype=np.float32), row, 0.01, 0.0)
    readout = Readout(row, row, row, 4095)
    expose(stream, mean, 1e4, readout, np.empty_like(light))
    electrons = draw_electrons(stream, mean, 1e4)
    read_out(stream, multiply(stream, electrons, 1.0, 300.0), readout)
