"""From files to frames: opening, naming, colours, and what to say of those that are broken."""

import math
import traceback
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

from dipstream.errors import ConfigError, ReadError
from dipstream.frame import BadFrame, Frame, FrameInfo, Origin, Pixels, Segment
from dipstream.reader import ImageFile, Plane
from dipstream.source import SourceEvent, SourceInfo, now_ns
from dipstream_drivers.channels import ChannelMap, raw_name
from dipstream_drivers.colour import is_colour, read_grey
from dipstream_drivers.places import Place
from dipstream_drivers.readers import reader_for
from dipstream_drivers.readers.guard import reading
from dipstream_drivers.readers.isolated import IsolatedReading

__all__ = ["OpenFile", "Options", "Picture", "Unpacker", "described"]

PROBED = 8


def described(info: SourceInfo, segment: Segment, channels: Sequence[str]) -> SourceInfo:
    """Return what is known of a source once its first file is."""
    return replace(
        info,
        channels=info.channels or tuple(channels),
        shape=segment.shape,
        dtype=segment.dtype,
        pixel_um=segment.pixel_um,
        bit_depth=segment.bit_depth,
    )


def traced(error: ReadError) -> str:
    """Return the traceback of an error as text."""
    return "".join(traceback.format_exception(error))


@dataclass(frozen=True, slots=True)
class Options:
    """What the person said that files cannot say, or say wrongly.

    Attributes
    ----------
    matched
        All channel names that the pattern found in file names, where they are known beforehand.
    isolate
        Whether files are read in a child process under limits.
    """

    channels: ChannelMap
    pixel_um: float | None = None
    bit_depth: int | None = None
    matched: tuple[str, ...] = ()
    isolate: bool = True

    def __post_init__(self) -> None:
        if self.pixel_um is not None and not 0 < self.pixel_um < math.inf:
            raise ConfigError(
                f"pixel_um is {self.pixel_um}; give the side of a pixel in µm, above 0"
            )
        if self.bit_depth is not None and not 1 <= self.bit_depth <= 64:
            raise ConfigError(f"bit_depth is {self.bit_depth}; give the camera's bits, 1 to 64")


@dataclass(frozen=True, slots=True)
class Picture:
    """One frame to be: its planes (three if R, G and B make one grey frame) and its channel."""

    planes: tuple[Plane, ...]
    channel: str

    @property
    def plane(self) -> Plane:
        """The plane, or the first of three."""
        return self.planes[0]


class Unpacker:
    """Opens the files of one source; keeps what must not change within it.

    Whether colour pictures are grey in truth is decided once (for each channel of the pattern),
    on the first file that can be read. `report` hears when the process that reads files dies again
    and again.
    """

    def __init__(
        self,
        options: Options,
        warn: Callable[[str], None],
        report: Callable[[SourceEvent], None] = lambda _: None,
    ) -> None:
        self.options = options
        self.ignored = 0
        self.met: dict[str, None] = {}
        self._warn = warn
        self._colour: dict[str | None, bool] = {}
        self._positions: dict[str, int] = {}
        self._channels: list[str] = list(options.channels.names)
        self._segment = Segment.unread()
        self._isolated = _isolated(report) if options.isolate else None
        if self._isolated is not None:
            self._isolated.warm()

    def wants(self, place: Place) -> bool:
        """Whether the channel in a file's name is one of those asked for."""
        return place.channel is None or bool(self.field_channel(place))

    def field_channel(self, place: Place) -> str:
        """Return the name of the channel that the file's name tells; empty if none."""
        if place.channel is None:
            return ""
        channels, matched = self.options.channels, self.options.matched
        if matched:
            fits = len(matched) == len(channels.names)
            return channels.assign(matched, positional=fits).get(place.channel, "")
        return channels.assign((place.channel,), positional=False).get(place.channel, "")

    def open(self, place: Place) -> "OpenFile":
        """Open a file; raises `ReadError` if it cannot be read or does not belong here."""
        path = Path(place.path)
        reader = reader_for(path)
        if reader is None:
            raise ReadError(f"{path.name}: no reader has its ending. Convert it to TIFF or PNG")
        with ExitStack() as stack, reading(path):
            opening = reader.open if self._isolated is None else self._isolated.open
            image = stack.enter_context(opening(path))
            pictures, ignored = self._pictures(place, image)
            return OpenFile(self, place, image, pictures, ignored, stack.pop_all())

    def _pictures(self, place: Place, image: ImageFile) -> tuple[tuple[Picture, ...], int]:
        """Return the pictures that are wanted, and how many are not."""
        planes = image.planes
        coloured = is_colour(planes)
        self._judge_colour(place, image, planes, coloured)
        grey = coloured and not self._colour[place.channel]
        step = 3 if grey else 1
        groups = [tuple(planes[at : at + step]) for at in range(0, len(planes), step)]
        raws = {group[0].c // step: _raw(group[0], grey=grey) for group in groups}
        self.met.update(dict.fromkeys(raws.values()))
        names = self._names(place, [raws[c] for c in sorted(raws)])
        found = [
            Picture(group, name)
            for group in groups
            if (name := names.get(raws[group[0].c // step])) is not None
        ]
        return tuple(found), len(groups) - len(found)

    def _judge_colour(
        self,
        place: Place,
        image: ImageFile,
        planes: Sequence[Plane],
        coloured: bool,
    ) -> None:
        key = place.channel
        if key not in self._colour:
            self._colour[key] = coloured and read_grey(image, planes[:3]) is None
        elif self._colour[key] and not coloured:
            raise ReadError(
                f"{Path(place.path).name} is grey, but the files before it are coloured (R, G, B). "
                "Move it to a folder of its own, or tell the kinds apart with a pattern"
            )

    def _names(self, place: Place, raws: Sequence[str]) -> dict[str, str]:
        """Return the name of each wanted raw channel of a file."""
        if place.channel is None:
            return self.options.channels.assign(raws)
        if len(raws) == 1:
            name = self.field_channel(place)
            return {raws[0]: name} if name else {}
        joint = {raw: f"{place.channel}-{raw}" for raw in raws}
        wanted = self.options.channels.assign(tuple(joint.values()), positional=False)
        return {raw: wanted[name] for raw, name in joint.items() if name in wanted}

    def warn(self, image: ImageFile) -> None:
        """Pass a file's warnings on."""
        for line in image.warnings:
            self._warn(line)

    @property
    def channels(self) -> tuple[str, ...]:
        """The channels in order, as far as they are known."""
        return tuple(self._channels)

    def channel_number(self, name: str) -> int:
        """Return the place of a channel in the order of channels."""
        if name not in self._channels:
            self._channels.append(name)
        return self._channels.index(name)

    def position_number(self, name: str) -> int:
        """Return the ordinal of a position: 0 for the first one met."""
        return self._positions.setdefault(name, len(self._positions))

    def segment(self, image: ImageFile, pixels: Pixels) -> Segment:
        """Return the segment that a file's pixels belong to."""
        options = self.options
        made = Segment(
            shape=(pixels.shape[0], pixels.shape[1]),
            dtype=pixels.dtype.name,
            camera="file",
            pixel_um=image.pixel_um if options.pixel_um is None else options.pixel_um,
            bit_depth=image.bit_depth if options.bit_depth is None else options.bit_depth,
        )
        if made != self._segment:
            self._segment = made
        return self._segment

    def bad_file(
        self, place: Place, t: int, error: ReadError, origin: Origin, version: int = 1
    ) -> BadFrame:
        """Return the one frame that stands for a file that cannot be opened."""
        channel = self.field_channel(place)
        index = {"t": t, "p": self.position_number(place.position), "z": place.z or 0}
        if channel:
            index["c"] = self.channel_number(channel)
        received_ns, monotonic_ns = now_ns()
        info = FrameInfo(
            segment=Segment.unread(),
            channel=channel,
            t=t,
            position=place.position,
            z=place.z or 0,
            received_ns=received_ns,
            received_monotonic_ns=monotonic_ns,
            index=MappingProxyType(index),
            origin=origin,
            version=version,
        )
        return BadFrame(info, str(error), traced(error))


class OpenFile:
    """A file, opened and understood: its pictures, and the frames made of them."""

    def __init__(
        self,
        unpacker: Unpacker,
        place: Place,
        image: ImageFile,
        pictures: tuple[Picture, ...],
        ignored: int,
        stack: ExitStack,
    ) -> None:
        self.place = place
        self.pictures = pictures
        self.ignored = ignored
        self._stack = stack
        self._unpacker = unpacker
        self._image = image
        planes = image.planes
        self.time_points = max((plane.t for plane in planes), default=0) + 1
        self._depth = max((plane.z for plane in planes), default=0) + 1
        self._several = any(plane.position for plane in planes)

    def position(self, plane: Plane) -> str:
        """Return the name of a plane's position."""
        name = self.place.position
        return f"{name}/{plane.position}" if self._several else name

    def depth(self, plane: Plane) -> int:
        """Return the z of a plane: file z of n planes covers n·z to n·z + n - 1."""
        return plane.z if self.place.z is None else self.place.z * self._depth + plane.z

    def frame(
        self, picture: Picture, times: Sequence[int], origin: Origin, version: int = 1
    ) -> Frame | BadFrame:
        """Read one picture; a `BadFrame` if it cannot be decoded."""
        return self.framed(picture, self.read(picture), times, origin, version)

    def read(self, picture: Picture) -> Pixels | ReadError:
        """Return the pixels of a picture, or why there are none."""
        try:
            return self._pixels(picture)
        except ReadError as error:
            return error
        finally:
            self._unpacker.warn(self._image)

    def framed(
        self,
        picture: Picture,
        pixels: Pixels | ReadError,
        times: Sequence[int],
        origin: Origin,
        version: int,
    ) -> Frame | BadFrame:
        """Return the frame that is made of a picture's pixels."""
        info = self._info(picture, times, origin, version)
        if isinstance(pixels, ReadError):
            return BadFrame(info, str(pixels), traced(pixels))
        return Frame(pixels, replace(info, segment=self._unpacker.segment(self._image, pixels)))

    def _pixels(self, picture: Picture) -> Pixels:
        path = Path(self.place.path)
        with reading(path):  # readers of other packages may raise what they like
            if len(picture.planes) > 1:
                return self._grey(picture)
            pixels = self._image.read(picture.plane)
        if pixels.ndim != 2:
            raise ReadError(
                f"{path.name}: its reader returned {pixels.ndim} axes {pixels.shape} for a plane, "
                "which has 2. Update the package that brings the reader"
            )
        return pixels

    def _grey(self, picture: Picture) -> Pixels:
        grey = read_grey(self._image, picture.planes)
        if grey is None:
            raise ReadError(
                f"{Path(self.place.path).name} is coloured, but the files before it are grey "
                "(R = G = B). Move it to a folder of its own, or tell the kinds apart with a "
                "pattern"
            )
        return grey

    def _info(
        self, picture: Picture, times: Sequence[int], origin: Origin, version: int
    ) -> FrameInfo:
        plane, unpacker = picture.plane, self._unpacker
        t, position = times[plane.t], self.position(plane)
        z = self.depth(plane)
        index = {
            "t": t,
            "p": unpacker.position_number(position),
            "c": unpacker.channel_number(picture.channel),
            "z": z,
        }
        received_ns, monotonic_ns = now_ns()
        return FrameInfo(
            segment=Segment.unread(),
            channel=picture.channel,
            t=t,
            position=position,
            z=z,
            exposed_ns=plane.exposed_ns,
            time_source="unknown" if plane.exposed_ns is None else "file",
            received_ns=received_ns,
            received_monotonic_ns=monotonic_ns,
            exposure_ms=plane.exposure_ms,
            stage_um=plane.stage_um,
            index=MappingProxyType(index),
            origin=replace(origin, plane=plane.number, planes=len(self.pictures)),
            version=version,
        )

    def segment(self) -> Segment | None:
        """Return the segment of the first picture that can be read; None if there is none."""
        for picture in self.pictures[:PROBED]:
            try:
                pixels = self._pixels(picture)
            except ReadError:
                continue  # it comes again in its turn, as a BadFrame
            return self._unpacker.segment(self._image, pixels)
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()


def _isolated(report: Callable[[SourceEvent], None]) -> IsolatedReading:
    return IsolatedReading(lambda kind, message: report(SourceEvent(kind, message)))


def _raw(plane: Plane, *, grey: bool) -> str:
    """Return what a file calls a channel."""
    if grey:
        return raw_name(plane.c // 3)
    return plane.channel or raw_name(plane.c)
