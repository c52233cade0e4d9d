"""Reads flat frames one after the other and compares each with the one before.

Which neighbours are the two halves of a pair is decided later, when all means are known; that costs
twice as many comparisons, and no more memory than two frames.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import PurePath

import numpy as np

from dipstream.calibrate.difference import Difference, compare
from dipstream.errors import SourceError
from dipstream.frame import BadFrame, Frame, Segment

__all__ = ["FlatFrame", "FlatSeries", "read_flats"]

_FEWEST_PX = 256
_LOSSY = (".jpg", ".jpeg", ".jpe", ".jfif")
_KEPT = ("camera", "shape", "dtype", "bit_depth", "binning", "gain_e_per_dn", "em_gain")


@dataclass(frozen=True, slots=True)
class FlatFrame:
    """Which frame it was.

    Attributes
    ----------
    number
        Its place among the frames of its channel, from 1.
    name
        The file's name, or nothing for frames of a camera.
    level
        The number of its light level, where the source tells it.
    exposure_ms
        Exposure time in ms, where it is known.
    """

    number: int
    name: str = ""
    level: int | None = None
    exposure_ms: float | None = None

    def __str__(self) -> str:
        return f"{self.number} ({self.name})" if self.name else str(self.number)


@dataclass(slots=True)
class FlatSeries:
    """The flat frames of one channel.

    Attributes
    ----------
    frames
        All frames, in order.
    neighbours
        The comparison of each frame with the one after it: one fewer than frames. None where the
        source says that they are of two light levels.
    """

    channel: str
    segment: Segment
    frames: list[FlatFrame] = field(default_factory=list)
    neighbours: list[Difference | None] = field(default_factory=list)
    last: Frame | None = None

    @property
    def full_dn(self) -> int:
        """The ADC's largest value as far as it is known, in DN."""
        largest = int(np.iinfo(self.segment.dtype).max)
        depth = self.segment.bit_depth
        return largest if depth is None else min(largest, 2**depth - 1)

    def take(self, frame: Frame, *, told_levels: bool) -> None:
        """Compare a frame with the one before it, and remember it."""
        _require_same_mode(self, frame)
        info = frame.info
        one = FlatFrame(
            number=len(self.frames) + 1,
            name=PurePath(info.origin.path).name if info.origin is not None else "",
            level=info.t if told_levels else None,
            exposure_ms=info.exposure_ms,
        )
        if self.last is not None:
            same = one.level == self.frames[-1].level
            self.neighbours.append(
                compare(self.last.data, frame.data, self.full_dn) if same else None
            )
        self.frames.append(one)
        self.last = frame


def read_flats(
    frames: Iterable[Frame | BadFrame],
    *,
    channel: str | None = None,
    told_levels: bool = False,
    limit: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> tuple[dict[str, FlatSeries], list[str]]:
    """Read all frames; return the series of each channel, and what could not be used.

    Parameters
    ----------
    frames
        Flat frames; the two of a pair follow each other within their channel.
    channel
        Take the frames of this channel only.
    told_levels
        `FrameInfo.t` is the number of the light level.
    limit
        Stop after this many frames.
    progress
        Called with the number of frames read so far.

    Raises
    ------
    SourceError
        If frames cannot serve: JPEG, colours, floats, two modes of a camera in one series, or no
        frame at all.
    """
    series: dict[str, FlatSeries] = {}
    problems: list[str] = []
    seen: set[str] = set()
    for number, frame in enumerate(frames, start=1):
        if isinstance(frame, BadFrame):
            problems.append(f"frame {number} is left out: {frame.reason}")
        elif channel is None or frame.info.channel == channel:
            _require_raw(frame)
            name = frame.info.channel
            if name not in series:
                series[name] = FlatSeries(name, frame.info.segment)
            series[name].take(frame, told_levels=told_levels)
        else:
            seen.add(frame.info.channel)
        if progress is not None:
            progress(number)
        if limit is not None and number >= limit:
            break
    for one in series.values():
        one.last = None
    if not series:
        raise SourceError(_nothing(channel, seen, problems))
    return series, problems


def _nothing(channel: str | None, seen: set[str], problems: list[str]) -> str:
    if seen:
        return (
            f"no frame is of the channel {channel!r}; there are {', '.join(sorted(seen))}. "
            "Correct --channel, or leave it out to calibrate each"
        )
    why = f" ({problems[0]})" if problems else ""
    return (
        f"the source gave no frame that can be read{why}; a calibration needs pairs of evenly lit "
        "frames at many light levels, and a pair without light"
    )


def _require_raw(frame: Frame) -> None:
    info = frame.info
    name = PurePath(info.origin.path).name if info.origin is not None else "the source"
    if name.lower().endswith(_LOSSY):
        raise SourceError(
            f"{name} is a JPEG: lossy, 8 bit and not linear, so that its noise is not the "
            "camera's. Let the microscope write raw TIFF or PNG"
        )
    if info.origin is not None and info.channel.rpartition("-")[2] in ("R", "G", "B"):
        raise SourceError(
            f"{name} is a colour picture: its pixels are interpolated from their neighbours, which "
            "hides the noise of the camera. Save the raw mosaic as a grey TIFF"
        )
    if frame.data.dtype.kind not in "iu":
        raise SourceError(
            f"{name} has pixels of type {frame.data.dtype}; allowed are the integers of the "
            "camera's ADC. Save raw frames, neither averaged nor corrected"
        )
    if frame.data.size < _FEWEST_PX or min(frame.data.shape) < 2:
        raise SourceError(
            f"{name} has {frame.data.shape[0]} × {frame.data.shape[1]} px; a calibration needs at "
            f"least {_FEWEST_PX}, in two rows and columns. Take a larger region"
        )


def _require_same_mode(series: FlatSeries, frame: Frame) -> None:
    for key in _KEPT:
        first, now = getattr(series.segment, key), getattr(frame.info.segment, key)
        if first != now:
            raise SourceError(
                f"{key} changes from {first} to {now} at frame {len(series.frames) + 1} of channel "
                f"{series.channel!r}; a camera file is of one mode of a camera. Calibrate each "
                "mode by itself"
            )
