"""A camera that shows frames from memory: as fast as they are taken, or at a steady rate."""

import time
from collections.abc import Iterator, Sequence
from itertools import count

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
        Give every frame memory of its own, as a camera's driver does.
    """

    def __init__(
        self,
        fields: Sequence[Field],
        *,
        frames: int | None = None,
        seconds: float | None = None,
        fps: float = 0.0,
        fresh: bool = False,
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
        self.ended = False

    def frames(self) -> Iterator[Frame]:
        """Yield the channels of one time point after the other."""
        try:
            yield from self._play()
        finally:
            self.ended = True

    def _play(self) -> Iterator[Frame]:
        begun = time.monotonic()
        seq = count()
        for t in range(self._frames) if self._frames is not None else count():
            if self._seconds is not None and time.monotonic() - begun >= self._seconds:
                return
            if self._fps:
                self._stopping.wait(max(begun + t / self._fps - time.monotonic(), 0.0))
            if self._stopping.is_set():
                return
            for name, plane in self._fields[t % len(self._fields)].planes.items():
                pixels = plane.copy() if self._fresh else plane
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
