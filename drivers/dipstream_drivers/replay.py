"""Frames from files that are there already: a file, a folder, a glob."""

import time
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path

from dipstream.errors import ConfigError, ReadError, SourceError
from dipstream.frame import BadFrame, Frame
from dipstream.source import BaseSource, SeenFrame, SourceInfo
from dipstream_drivers.channels import ChannelMap
from dipstream_drivers.pattern import Pattern, natural_key
from dipstream_drivers.places import Place, sort_key
from dipstream_drivers.sets import unpacked
from dipstream_drivers.targets import Found, absolute, find, listed
from dipstream_drivers.times import Times
from dipstream_drivers.unpack import OpenFile, Options, Unpacker, described
from dipstream_drivers.warn import WarnOnce

__all__ = ["ReplaySource", "open_replay"]

PROBED = 64
"""How many broken files in a row are tried before the shape of frames stays unknown."""


def open_replay(
    target: str | Sequence[str],
    *,
    pattern: str | None = None,
    channels: str | None = None,
    pixel_um: float | None = None,
    bit_depth: int | None = None,
    fps: float = 0.0,
    isolate: bool = True,
) -> "ReplaySource":
    """Read a file, a folder with its subfolders, or a glob, in a fixed order.

    Parameters
    ----------
    target
        A path, a glob (``**`` goes through subfolders), or several of them.
    pattern
        File names with fields, for instance ``xy{position}-{channel}.png``. Files are then taken
        in order of t, position, z and channel; without a pattern in natural order of their
        names, each the next time point of its position (its subfolder, or ``0``).
    channels
        ``1=nuclei,2=reporter`` renames channels, ``DAPI,GFP`` selects them by name or names them
        in order. The first is what presets segment; frames of other channels are ignored, and
        counted in `SourceInfo.ignored`.
    pixel_um
        Side of a pixel in the object, in µm, in place of what files say.
    bit_depth
        Bits of the camera, in place of what files say.
    fps
        Frames per second; 0 is as fast as they are taken.
    isolate
        Decode in a child process under limits, so that a damaged or hostile file cannot harm the
        run; False saves about half a millisecond a file, for files that you made yourself.
    """
    if fps < 0:
        raise ConfigError(f"fps is {fps}; give frames per second, or 0 for as fast as possible")
    compiled = None if pattern is None else Pattern.compile(pattern)
    found = find(target, compiled)
    chosen = ChannelMap.parse(channels)
    matched = _matched(found)
    options = Options(chosen, pixel_um, bit_depth, matched, isolate)
    return ReplaySource(
        ", ".join(str(absolute(each)) for each in listed(target)), found, options, fps
    )


def _matched(found: Found) -> tuple[str, ...]:
    names = {place.channel for place in found.places if place.channel is not None}
    return tuple(sorted(names, key=natural_key))


class ReplaySource(BaseSource):
    """Files in order; a broken one takes its place as a `BadFrame`."""

    def __init__(self, name: str, found: Found, options: Options, fps: float = 0.0) -> None:
        super().__init__(
            SourceInfo(name, replayable=True, live=fps > 0, grouped=True, ignored=found.ignored)
        )
        self._warn = WarnOnce(self.report)
        self._unpacker = Unpacker(options, self._warn, self.report)
        self._fps = fps
        self._ignored = found.ignored
        self._book: dict[str, _Booked] = {}
        self._places = self._ordered(found, options)
        self._info = replace(self._info, ignored=self._ignored)
        self._describe(options)

    def _ordered(self, found: Found, options: Options) -> list[Place]:
        places = [place for place in found.places if self._unpacker.wants(place)]
        self._ignored += len(found.places) - len(places)
        self._check_renames(options)
        if not places:
            raise SourceError(
                f"no file of {self._info.name} has a channel of "
                f"{', '.join(options.channels.names)}; the file names say "
                f"{', '.join(options.matched)}. Give channels as in "
                f"{options.matched[0]}=nuclei"
            )
        if options.matched or any(place.t is not None or place.z is not None for place in places):
            ranks = list(dict.fromkeys(self._raw_order(options)))
            return sorted(places, key=lambda place: sort_key(place, ranks))
        return sorted(places, key=lambda place: (natural_key(place.relative), place.path))

    def _check_renames(self, options: Options) -> None:
        """Refuse a channel that the file names do not have: no image set could be complete."""
        absent = [raw for raw in options.channels.renames or () if raw not in options.matched]
        if options.matched and absent:
            raise SourceError(
                f"channels names {', '.join(absent)}, but the file names of {self._info.name} say "
                f"{', '.join(options.matched)}. Correct --channels or the pattern"
            )

    def _raw_order(self, options: Options) -> Iterator[str]:
        """Yield the channels of file names in the order asked for."""
        named = {
            options.channels.assign(
                options.matched, positional=len(options.matched) == len(options.channels.names)
            ).get(raw): raw
            for raw in options.matched
        }
        yield from (named[name] for name in options.channels.names if name in named)
        yield from options.matched

    def _describe(self, options: Options) -> None:
        """Learn channels, shape and number of frames from the first file that can be read."""
        names = options.channels.order(options.matched)
        self._info = replace(self._info, channels=names)
        for place in self._places[:PROBED]:
            try:
                with self._unpacker.open(place) as opened:
                    self._learn(place, opened, options)
                    return
            except ReadError:
                continue  # it comes again in its turn, as a BadFrame

    def _learn(self, place: Place, opened: OpenFile, options: Options) -> None:
        if not opened.pictures:
            raise SourceError(
                f"{Path(place.path).name} has no channel of "
                f"{', '.join(options.channels.names)}; it has "
                f"{', '.join(self._unpacker.met)}. Give channels as in "
                f"{next(iter(self._unpacker.met))}=nuclei"
            )
        segment = opened.segment()
        if segment is not None:
            chosen = options.channels.order(tuple(self._channels(place, opened, options)))
            self._info = described(replace(self._info, channels=()), segment, chosen)
        several = len(self._places) > 1 and opened.time_points > 1
        counted = None if several else len(self._places) * len(opened.pictures)
        self._info = replace(self._info, frames=counted)

    def _channels(self, place: Place, opened: OpenFile, options: Options) -> Iterator[str]:
        """Yield the channels that are to come, as the first file tells."""
        here = dict.fromkeys(picture.channel for picture in opened.pictures)
        if len(here) == 1 and options.matched:
            yield from options.matched
        elif place.channel is not None:  # each file has several: "DAPI-R", "DAPI-G", …
            ends = [name.removeprefix(place.channel) for name in here]
            yield from (name + end for name in options.matched for end in ends)
        else:
            yield from here

    def resume(self, seen: Iterable[SeenFrame]) -> None:
        """Pass over what is finished; files of which that is all are not even opened."""
        for frame in seen:
            origin = frame.origin
            if origin is not None:
                booked = self._book.setdefault(origin.path, _Booked(origin.planes))
                booked.times.add(frame.t)
                if frame.finished:
                    booked.planes.add(origin.plane)

    def frames(self) -> Iterator[Frame | BadFrame]:
        """Yield all frames in order that are not finished, from the beginning each time."""
        start = time.monotonic()
        self._unpacker.ignored = 0
        for number, frame in enumerate(self._unpaced()):
            if self._fps and self._stopping.wait(
                max(start + number / self._fps - time.monotonic(), 0.0)
            ):
                return
            if self._stopping.is_set():
                return
            yield frame

    def _unpaced(self) -> Iterator[Frame | BadFrame]:
        times = Times()
        for _, group in groupby(self._places, key=_bundle):
            places = list(group)
            if self._pass_over(places, times):
                continue
            yield from unpacked(self._unpacker, places, times, self._is_finished)
            self._info = replace(self._info, ignored=self._ignored + self._unpacker.ignored)

    def _pass_over(self, places: Sequence[Place], times: Times) -> bool:
        """Whether files are finished as a whole; their time points are taken all the same."""
        booked = [self._book.get(str(Path(place.path).absolute())) for place in places]
        if not all(one is not None and one.whole for one in booked):
            return False
        for place, one in zip(places, booked, strict=True):
            for t in one.times if one is not None else ():
                times.reserve(place, t)
        return True

    def _is_finished(self, path: str, plane: int) -> bool:
        booked = self._book.get(path)
        return booked is not None and plane in booked.planes


@dataclass(slots=True)
class _Booked:
    """What the book has of a file: how many frames it makes, those finished, the times of all."""

    expected: int
    planes: set[int] = field(default_factory=set)
    times: set[int] = field(default_factory=set)

    @property
    def whole(self) -> bool:
        return 0 < self.expected <= len(self.planes)


def _bundle(place: Place) -> Hashable:
    """Files of one key are read together, so that the frames of an image set stay together."""
    alone = place.channel is None and place.z is None
    return place.path if alone else (place.t, place.position)
