"""The simulated camera itself: frames on time, and the truth about each of them."""

import math
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from dipstream.frame import Frame, FrameInfo, Pixels, Segment
from dipstream.source import BaseSource, SourceEvent, SourceInfo, SourceTruth, now_ns
from dipstream_simulator.limits import require_between
from dipstream_simulator.pacing import Pacer
from dipstream_simulator.render.scene import Scene
from dipstream_simulator.sensor import Sensor
from dipstream_simulator.specimen.motion import Motion
from dipstream_simulator.specimen.nuclei import CHANNELS
from dipstream_simulator.truth import scene_truth

__all__ = ["SimSource", "Timing"]

_CROWDED = 0.55  # share of the field above which nuclei cannot keep apart
_FAR_BEHIND_S = 1.0
_TRUTHS_KEPT = 8


@dataclass(frozen=True, slots=True)
class Timing:
    """When frames come.

    Attributes
    ----------
    fps
        Frames per second; 0 = as fast as they are taken.
    frames
        How many; None = without end.
    exposure_ms
        Exposure time in ms. It sets the light, and the time stamp; it does not limit `fps`.
    """

    fps: float = 20.0
    frames: int | None = None
    exposure_ms: float = 10.0

    def __post_init__(self) -> None:
        require_between("fps", self.fps, 0.0, 100_000.0, example=20)
        require_between("exposure_ms", self.exposure_ms, 0.0, 1e6, example=10)
        if self.frames is not None:
            require_between("frames", self.frames, 1, 2**53, example=200)


class SimSource(BaseSource):
    """A camera that looks at moving nuclei, and knows the truth about them.

    Frames of the two channels alternate; both frames of a time show the same positions. Frame
    `seq` is a pure function of the seed: bit-identical however fast it is asked for, and again
    in every call of `frames`.

    Parameters
    ----------
    name
        The source's URI.
    scene, sensor, timing
        What is imaged, by what, and when.
    step_um
        Root mean square displacement of a nucleus from one time to the next, in µm.
    seed
        Fixes motion and noise.
    clock, wait
        Monotonic time in s, and an interruptible sleep that returns True if it was interrupted;
        for tests.
    """

    def __init__(
        self,
        name: str,
        scene: Scene,
        sensor: Sensor,
        timing: Timing,
        *,
        step_um: float,
        seed: int,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        super().__init__(
            SourceInfo(
                name=name,
                channels=tuple(channel.name for channel in CHANNELS),
                shape=scene.shape,
                dtype=sensor.dtype.name,
                pixel_um=scene.pixel_um,
                bit_depth=sensor.bits,
                replayable=True,
                live=timing.fps > 0,
                grouped=True,
                frames=timing.frames,
            )
        )
        self._scene, self._sensor, self._timing = scene, sensor, timing
        self._step_um, self._seed = step_um, seed
        self._clock, self._wait = clock, wait or self._stopping.wait
        self._segment = Segment(
            shape=scene.shape,
            dtype=sensor.dtype.name,
            camera="sim",
            pixel_um=scene.pixel_um,
            bit_depth=sensor.bits,
            offset_dn=sensor.offset_dn,
            gain_e_per_dn=sensor.gain_e_per_dn,
        )
        self._truth_lock = threading.Lock()
        self._truth_motion = self._motion()
        self._truths: dict[int, SourceTruth] = {}

    def frames(self) -> Iterator[Frame]:
        """Yield frames from number 0 on, until `timing.frames` or `stop`."""
        self._warn_if_crowded()
        motion = self._motion()
        fps, limit = self._timing.fps, self._timing.frames
        pacer = Pacer(fps, self._clock, self._wait) if fps > 0 else None
        first_ns = 0
        told = False
        seq = 0
        while not self._stopping.is_set() and (limit is None or seq < limit):
            data = self._expose(motion, seq)
            if pacer is not None and not pacer.wait_for(seq):
                return
            received_ns, monotonic_ns = now_ns()
            first_ns = first_ns or received_ns
            if pacer is not None and pacer.late_s > _FAR_BEHIND_S and not told:
                told = True
                self._tell_behind(pacer.late_s)
            # The device's clock: the exposure ended at the deadline, not when it was taken.
            ended_ns = received_ns if pacer is None else first_ns + round(pacer.offset_s(seq) * 1e9)
            yield Frame(data, self._frame_info(seq, ended_ns, received_ns, monotonic_ns))
            seq += 1

    def truth(self, seq: int) -> SourceTruth:
        """Return what frame `seq` ≥ 0 shows; from any thread, whether it was yielded or not.

        Raises
        ------
        SourceError
            If `seq` is negative.
        """
        require_between("seq", seq, 0, 2**53, example=0)
        t = seq // len(CHANNELS)
        with self._truth_lock:
            if t not in self._truths:
                while len(self._truths) >= _TRUTHS_KEPT:
                    del self._truths[next(iter(self._truths))]
                self._truths[t] = scene_truth(self._scene, self._truth_motion.at(t))
            return self._truths[t]

    def _motion(self) -> Motion:
        rows, columns = self._scene.shape
        field_um = (rows * self._scene.pixel_um, columns * self._scene.pixel_um)
        return Motion(self._scene.specimen, field_um, step_um=self._step_um, seed=self._seed)

    def _expose(self, motion: Motion, seq: int) -> Pixels:
        t, channel = divmod(seq, len(CHANNELS))
        photons = self._scene.photons(motion.at(t), channel)
        rng = np.random.default_rng([self._seed, 3, seq])
        return self._sensor.expose(photons, self._timing.exposure_ms, rng)

    def _frame_info(
        self, seq: int, ended_ns: int, received_ns: int, monotonic_ns: int
    ) -> FrameInfo:
        t, c = divmod(seq, len(CHANNELS))
        return FrameInfo(
            segment=self._segment,
            channel=CHANNELS[c].name,
            seq=seq,
            t=t,
            exposed_ns=ended_ns - round(self._timing.exposure_ms * 1e6),
            time_source="device",
            received_ns=received_ns,
            received_monotonic_ns=monotonic_ns,
            exposure_ms=self._timing.exposure_ms,
            stage_um=(0.0, 0.0, 0.0),
            index=MappingProxyType({"t": t, "p": 0, "c": c, "z": 0}),
        )

    def _warn_if_crowded(self) -> None:
        coverage = self._scene.coverage
        if coverage > _CROWDED and self._scene.specimen.count > 1:
            fair = max(1, math.floor(self._scene.specimen.count * _CROWDED / coverage))
            self.report(
                SourceEvent(
                    "warning",
                    f"{self._scene.specimen.count} nuclei would cover {coverage:.0%} of the field, "
                    f"so they overlap and cannot be counted fairly; use n={fair} or fewer, or a "
                    "larger width and height",
                )
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
