"""Pairs of evenly lit frames of a camera whose numbers are known."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from dipstream.calibrate import Calibration, calibrate
from dipstream.frame import BadFrame, Frame, FrameInfo, Origin, Segment
from dipstream.source import BaseSource, SourceEvent, SourceInfo

GAIN, OFFSET, READ_NOISE, FULL_WELL = 0.47, 100.0, 1.6, 30_000.0
Plane = npt.NDArray[Any]


@dataclass(frozen=True)
class Camera:
    """Light becomes DN, in the order of the hardware."""

    gain: float = GAIN
    offset: float = OFFSET
    read_noise: Any = READ_NOISE
    full_well: float = FULL_WELL
    bits: int = 16
    side: int = 96
    em_gain: float | None = None
    curve: float = 0.0

    def expose(self, electrons: Any, rng: np.random.Generator) -> Plane:
        shape = (self.side, self.side)
        if np.min(electrons) > 500:  # a rounded normal is quicker, and the same
            noise = rng.standard_normal(shape, dtype=np.float32)
            caught = np.rint(electrons + np.sqrt(electrons) * noise)
        else:
            caught = rng.poisson(electrons, shape)
        held = np.minimum(caught, self.full_well)
        signal = held * (1 - self.curve * held / self.full_well)
        if self.em_gain is not None:
            signal = np.where(held > 0, rng.gamma(np.maximum(held, 1e-9), self.em_gain), 0.0)
        noisy = signal + self.read_noise * rng.standard_normal(shape, dtype=np.float32)
        rounded = np.floor(noisy / self.gain + self.offset + 0.5)
        pixels: Plane = np.clip(rounded, 0, 2**self.bits - 1).astype(np.uint16)
        return pixels

    def segment(self) -> Segment:
        shape = (self.side, self.side)
        return Segment(shape, "uint16", bit_depth=self.bits, em_gain=self.em_gain)


def pair_frames(
    camera: Camera,
    lights: Sequence[float],
    *,
    shade: Any = 1.0,
    seed: int = 3,
    exposed: bool = False,
    channel: str = "ch0",
) -> list[Frame]:
    """Two frames of each light, in electrons; exposures are proportional to it, if told."""
    rng = np.random.default_rng(seed)
    return [
        Frame(
            camera.expose(light * shade, rng),
            FrameInfo(camera.segment(), channel, t=t, exposure_ms=light / 100 if exposed else None),
        )
        for t, light in enumerate(lights)
        for _ in range(2)
    ]


def ramp(levels: int = 20, top: float = 1.2 * FULL_WELL) -> list[float]:
    lights: list[float] = np.linspace(0, top, levels).tolist()
    return lights


class Series(BaseSource):
    """Flat frames as a folder gives them."""

    def __init__(
        self,
        frames: Sequence[Frame | BadFrame],
        *,
        live: bool = False,
        excess_noise: float | None = None,
    ) -> None:
        super().__init__(SourceInfo("series", live=live, excess_noise=excess_noise))
        self.given = frames

    def frames(self) -> Iterator[Frame | BadFrame]:
        self.report(SourceEvent("warning", "the lamp is old"))
        yield from self.given


class Dimming(Series):
    """A source that dims its own light."""

    asked = 0

    def flats(self, levels: int) -> Iterator[Frame]:
        self.asked = levels
        for frame in self.given:
            assert isinstance(frame, Frame)
            yield frame


def measure(frames: Sequence[Frame | BadFrame], **options: Any) -> Calibration:
    (found,) = calibrate(Series(frames), **options)
    return found


def vignette(side: int, corner: float) -> Plane:
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    shade: Plane = 1 - corner * (y**2 + x**2) / 2
    return shade


def named(frame: Frame, name: str) -> Frame:
    return replace(frame, info=replace(frame.info, origin=Origin(f"/flats/{name}")))
