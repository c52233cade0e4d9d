"""A camera that shows frames from memory: as fast as they are taken, or at a steady rate."""

import mmap
import threading
import time
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.fields import Field
from dipstream.frame import Frame, FrameInfo, Segment
from dipstream.source import BaseSource, SourceInfo, now_ns

__all__ = ["Player"]


class Player(BaseSource):
    """Shows fields over and over, each time as the next time point.

    Parameters
    ----------
    fields
        What is shown, in turn.
    frames
        After how many time points it ends; None for no limit.
    seconds
        After how long it ends; None for no limit.
    fps
        Time points a second; 0 is as fast as they are taken, and then nothing is ever dropped.
    fresh
        Give every frame memory of its own, straight from the operating system, as a camera's
        driver does: it is given back when nobody holds the frame any more.
    rest_every
        After so many time points wait until `go_on` is called; 0 for never.
    """

    def __init__(
        self,
        fields: Sequence[Field],
        *,
        frames: int | None = None,
        seconds: float | None = None,
        fps: float = 0.0,
        fresh: bool = False,
        rest_every: int = 0,
    ) -> None:
        planes = fields[0].planes
        dtype = str(next(iter(planes.values())).dtype)
        self._segment = Segment(fields[0].shape, dtype, camera="player")
        super().__init__(
            SourceInfo(
                "player",
                channels=tuple(planes),
                shape=self._segment.shape,
                dtype=dtype,
                camera=self._segment.camera,
                live=fps > 0,
                grouped=True,
                frames=None if frames is None else frames * len(planes),
            )
        )
        self._fields = fields
        self._frames = frames
        self._seconds = seconds
        self._fps = fps
        self._fresh = fresh
        self._rest_every = rest_every
        self._rested = threading.Event()
        self.shown = 0
        self.rests = False

    def go_on(self) -> None:
        """End a rest."""
        self.rests = False
        self._rested.set()

    def stop(self) -> None:
        """Show no more; a rest is over."""
        super().stop()
        self._rested.set()

    def frames(self) -> Iterator[Frame]:
        """Yield the channels of one time point after the other."""
        begun = time.monotonic()
        seq = count()
        for t in range(self._frames) if self._frames is not None else count():
            if self._seconds is not None and time.monotonic() - begun >= self._seconds:
                return
            if self._rest_every and t and t % self._rest_every == 0:
                self._rest()
            if self._fps:
                self._stopping.wait(max(begun + t / self._fps - time.monotonic(), 0.0))
            if self._stopping.is_set():
                return
            for name, plane in self._fields[t % len(self._fields)].planes.items():
                pixels = _own(plane) if self._fresh else plane
                utc, monotonic = now_ns()
                info = FrameInfo(
                    segment=self._segment,
                    channel=name,
                    seq=next(seq),
                    t=t,
                    received_ns=utc,
                    received_monotonic_ns=monotonic,
                )
                yield Frame(pixels, info)
                # A frame that is handed on is nobody's here: its memory is the run's to free.
                del pixels
            self.shown = t + 1

    def _rest(self) -> None:
        self._rested.clear()
        self.rests = True
        if not self._stopping.is_set():
            self._rested.wait()


def _own(plane: NDArray[Any]) -> NDArray[Any]:
    pixels = np.frombuffer(mmap.mmap(-1, plane.nbytes), plane.dtype).reshape(plane.shape)
    pixels[...] = plane
    return pixels
