"""The simulated camera itself: frames on time, orders taken, and the truth about each of them."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from dipstream.errors import SourceError
from dipstream.frame import Frame, FrameInfo, Pixels, Segment
from dipstream.source import (
    BaseSource,
    SeenFrame,
    SourceEvent,
    SourceInfo,
    SourceTruth,
    now_ns,
)
from dipstream_simulator.acquisition import Sequence, Shot
from dipstream_simulator.bench import Bench, Setup
from dipstream_simulator.faults import Faults
from dipstream_simulator.flats import flat_shots
from dipstream_simulator.limits import require_between
from dipstream_simulator.oracle import Oracle, cropped
from dipstream_simulator.orders import Orders
from dipstream_simulator.pacing import Pacer

if TYPE_CHECKING:
    from useq import MDAEvent

__all__ = ["SimSource", "Timing"]

_BLINDING = 1e4  # brighter than any camera can take
_FAR_BEHIND_S = 1.0
_SLOW_START_S = 1.0
_PLANES_PREPARED = 32


@dataclass(frozen=True, slots=True)
class Timing:
    """When frames come.

    Attributes
    ----------
    fps
        Frames per second; 0 = as fast as they are taken.
    frames
        How many; None = without end.
    """

    fps: float = 20.0
    frames: int | None = None

    def __post_init__(self) -> None:
        require_between("fps", self.fps, 0.0, 100_000.0, example=20)
        if self.frames is not None:
            require_between("frames", self.frames, 1, 2**53, example=200)


class SimSource(BaseSource):
    """A camera behind a microscope that looks at a specimen, and knows the truth about it.

    A frame is a pure function of its shot (what was ordered) and the seed: bit-identical however
    fast it is asked for, on any number of threads, and again in every call of `frames`.

    Parameters
    ----------
    name
        The source's URI.
    camera
        The camera's name.
    setup
        Specimen, microscope, chip, stage and light.
    sequence, timing, faults
        Which frames come, when, and what goes wrong.
    warnings
        What a person should know before the first frame.
    clock, wait
        Monotonic time in s, and an interruptible sleep that returns True if it was interrupted;
        for tests.
    """

    def __init__(
        self,
        name: str,
        camera: str,
        setup: Setup,
        sequence: Sequence,
        timing: Timing,
        *,
        faults: Faults | None = None,
        warnings: tuple[str, ...] = (),
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        chip = setup.chip
        pixel_um = setup.pixel_um * setup.binning
        super().__init__(
            SourceInfo(
                name=name,
                channels=tuple(channel for channel, _ in setup.exposures),
                shape=chip.shape,
                dtype=chip.dtype.name,
                pixel_um=pixel_um,
                bit_depth=chip.bit_depth,
                offset_dn=chip.offset_dn,
                gain_e_per_dn=chip.gain_e_per_dn,
                em_gain=chip.em_gain,
                camera=camera,
                binning=setup.binning,
                excess_noise=chip.sensor.noise_factor if chip.em_gain > 1 else None,
                replayable=True,
                live=timing.fps > 0,
                grouped=True,
                frames=timing.frames,
            )
        )
        self._setup, self._sequence, self._timing = setup, sequence, timing
        self._faults = faults or Faults()
        self._warnings = warnings
        self._clock, self._wait = clock, wait or self._stopping.wait
        self._segment = _segment(camera, setup)
        self._bench = Bench(setup)
        self._oracle = Oracle(setup, self._bench.fork())
        self._orders: Orders | None = None
        self._finished: set[int] = set()

    @property
    def setup(self) -> Setup:
        """What is on the table."""
        return self._setup

    @property
    def sequence(self) -> Sequence:
        """Which frames come in the source's own order."""
        return self._sequence

    def frames(self) -> Iterator[Frame]:
        """Yield frames from number 0 on, until `timing.frames`, the last order or `stop`.

        Raises
        ------
        SourceError
            Where a scripted fault says so, or an order asks for what there is not.
        """
        for warning in self._warnings:
            self.report(SourceEvent("warning", warning))
        bench = self._prepared()
        fps = self._timing.fps
        pacer = Pacer(fps, self._clock, self._wait) if fps > 0 else None
        first_ns = 0
        told = False
        for shot in self._shots():
            if self._stopping.is_set() or self._hangs(shot.number):
                return
            if self._faults.at("drop", shot.number):
                continue
            data, segment = self._expose(bench, shot)
            if pacer is not None and not pacer.wait_for(shot.number):
                return
            received_ns, monotonic_ns = now_ns()
            if pacer is None:
                ended_ns = received_ns
            else:
                # The device's clock: the exposure ended at the deadline, not when it was taken.
                first_ns = first_ns or received_ns - round(pacer.offset_s(shot.number) * 1e9)
                ended_ns = first_ns + round(pacer.offset_s(shot.number) * 1e9)
                if pacer.late_s > _FAR_BEHIND_S and not told:
                    told = True
                    self._tell_behind(pacer.late_s)
            info = self._frame_info(shot, segment)
            yield Frame(
                data,
                replace(
                    info,
                    exposed_ns=ended_ns - round(shot.exposure_ms * 1e6),
                    received_ns=received_ns,
                    received_monotonic_ns=monotonic_ns,
                ),
            )

    def resume(self, seen: Iterable[SeenFrame]) -> None:
        """Do not take the frames again that are finished: each is known by its number."""
        self._finished = {frame.seq for frame in seen if frame.finished and frame.seq is not None}

    def steer(self, events: Iterable["MDAEvent"]) -> None:
        """Take one frame for each event, instead of the sequence in the URI.

        Parameters
        ----------
        events
            `useq.MDAEvent`s with channel, exposure (ms), x_pos, y_pos, z_pos (µm) and index; what
            one leaves out stays as it was. The iterable may block.
        """
        self._orders = Orders(events, self._setup.exposures, self._sequence)
        self._info = replace(self._info, grouped=False, frames=None)

    def flats(self, levels: int) -> Iterator[Frame]:
        """Yield pairs of flat frames at so many light levels, see `dipstream.source.FlatSource`.

        The light is uniform and steady; the exposure sets the level, from none to beyond the
        camera's range.
        """
        require_between("levels", levels, 5, 1000, example=50)
        setup, shots = flat_shots(self._setup, levels)
        bench = Bench(setup)
        for shot in shots:
            if self._stopping.is_set():
                return
            data = bench.expose(shot).dn
            received_ns, monotonic_ns = now_ns()
            info = replace(
                self._frame_info(shot, self._segment),
                received_ns=received_ns,
                received_monotonic_ns=monotonic_ns,
            )
            yield Frame(data, info)

    def truth(self, seq: int) -> SourceTruth:
        """Return what frame `seq` ≥ 0 shows; from any thread, whether it was yielded or not.

        Raises
        ------
        SourceError
            If `seq` is negative, or was not ordered.
        """
        require_between("seq", seq, 0, 2**53, example=0)
        shot = self._sequence.shot(seq) if self._orders is None else self._orders.shot(seq)
        truth = self._oracle.truth(self._as_lit(shot))
        return (
            cropped(truth, self._segment.shape[0] // 2) if self._faults.at("shape", seq) else truth
        )

    def _shots(self) -> Iterator[Shot]:
        if self._orders is not None:
            yield from self._orders.shots()
            return
        limit = self._timing.frames
        number = 0
        while limit is None or number < limit:
            if number not in self._finished:
                yield self._sequence.shot(number)
            number += 1

    def _prepared(self) -> Bench:
        """Compile and blur everything before the clock starts: no pause in a live run."""
        began = time.monotonic()
        bench = self._bench.fork()
        first = self._sequence.channels * min(self._sequence.planes, _PLANES_PREPARED)
        for number in range(0, first, self._sequence.channels):
            if not self._stopping.is_set():
                bench.prepare(self._sequence.shot(number))
        took_s = time.monotonic() - began
        if took_s > _SLOW_START_S:
            text = f"the simulated microscope was prepared in {took_s:.1f} s"
            self.report(SourceEvent("info", text))
        return bench

    def _hangs(self, number: int) -> bool:
        seconds = self._faults.hang_s(number)
        return seconds > 0 and self._wait(seconds)

    def _expose(self, bench: Bench, shot: Shot) -> tuple[Pixels, Segment]:
        if self._faults.at("raise", shot.number):
            raise SourceError(
                f"the simulated camera failed at frame {shot.number}, as its faults= says; "
                "leave out raise@ to go on"
            )
        data = bench.expose(self._as_lit(shot)).dn
        if not self._faults.at("shape", shot.number):
            return data, self._segment
        half = np.ascontiguousarray(data[: data.shape[0] // 2])
        return half, replace(self._segment, shape=(half.shape[0], half.shape[1]))

    def _as_lit(self, shot: Shot) -> Shot:
        """Return a shot with the light that it really gets."""
        if self._faults.at("saturate", shot.number):
            return replace(shot, light=shot.light * _BLINDING)
        return shot

    def _frame_info(self, shot: Shot, segment: Segment) -> FrameInfo:
        return FrameInfo(
            segment=segment,
            channel=self._setup.exposures[shot.channel][0],
            seq=shot.number,
            t=shot.t,
            position=shot.position,
            z=shot.z,
            time_source="device",
            exposure_ms=shot.exposure_ms,
            stage_um=shot.stage_um,
            index=shot.index,
        )

    def _tell_behind(self, late_s: float) -> None:
        self.report(
            SourceEvent(
                "degraded",
                f"frames come {late_s:.1f} s behind the {self._timing.fps:g} frames/s asked for: "
                "this machine does not simulate them, or the run does not take them, that fast; "
                "lower fps, width or height",
            )
        )


def _segment(camera: str, setup: Setup) -> Segment:
    chip = setup.chip
    pixel_um = setup.pixel_um * setup.binning
    # The image's (x, y) = (0, 0) is the middle of its first pixel; the stage points at its middle,
    # or, with a region of interest, at the optical axis.
    x0_um, y0_um = (
        -(side - 1) / 2 * pixel_um - axis_px * setup.pixel_um
        for side, axis_px in zip(reversed(chip.shape), reversed(setup.axis_px), strict=True)
    )
    return Segment(
        shape=chip.shape,
        dtype=chip.dtype.name,
        camera=camera,
        roi=chip.roi,
        binning=setup.binning,
        pixel_um=pixel_um,
        bit_depth=chip.bit_depth,
        offset_dn=chip.offset_dn,
        gain_e_per_dn=chip.gain_e_per_dn,
        em_gain=chip.em_gain,
        camera_to_stage=(1.0, 0.0, x0_um, 0.0, 1.0, y0_um),
    )
