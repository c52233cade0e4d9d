"""The values that travel along the line: segment, frame, image set."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from dipstream.errors import ReadError

__all__ = [
    "FRAME_BYTES",
    "BadFrame",
    "Frame",
    "FrameInfo",
    "ImageSet",
    "Origin",
    "Pixels",
    "Segment",
    "SetKey",
    "TimeSource",
    "bytes_held",
]

Pixels: TypeAlias = npt.NDArray[Any]
TimeSource: TypeAlias = Literal["device", "host", "file", "unknown"]

_NO_CAMERAS = ("", "unknown", "file", "array")


@dataclass(frozen=True, slots=True)
class Segment:
    """What stays constant for a while; a change of any field opens a new segment.

    Attributes
    ----------
    shape
        Rows and columns of every frame, in px.
    dtype
        numpy's name of the container, for instance ``"uint16"``.
    camera
        Name of the camera, or of the kind of file.
    roi
        Region of interest on the sensor as (y, x, height, width), in px.
    binning
        Camera pixels per side that were summed into one.
    pixel_um
        Side of a pixel in the object, in µm; None if nobody said.
    bit_depth
        Bits of the *ADC*, not of the container; None if nobody said.
    offset_dn, gain_e_per_dn, em_gain
        Camera offset (DN), conversion (e⁻/DN) and EM gain, where known.
    camera_to_stage
        Affine (xx, xy, x0, yx, yy, y0) from image (x, y) in µm to stage (x, y) in µm.
    """

    shape: tuple[int, int]
    dtype: str
    camera: str = "unknown"
    roi: tuple[int, int, int, int] | None = None
    binning: int = 1
    pixel_um: float | None = None
    bit_depth: int | None = None
    offset_dn: float | None = None
    gain_e_per_dn: float | None = None
    em_gain: float | None = None
    camera_to_stage: tuple[float, float, float, float, float, float] | None = None

    @property
    def known_camera(self) -> str | None:
        """The camera's name; None where frames come from files or arrays, or nobody says it."""
        return None if self.camera in _NO_CAMERAS else self.camera

    @classmethod
    def unread(cls) -> "Segment":
        """Return the segment of a frame whose pixels never arrived."""
        return cls(shape=(0, 0), dtype="none")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where on disk a frame came from; the identity of a file is its path.

    Attributes
    ----------
    path, plane
        The file, absolute, and the plane in it.
    size, mtime_ns, inode
        The file's, when it was read.
    content_hash
        XXH3-64 of the file's bytes, which tells a rewritten file; empty if not computed.
    planes
        How many frames the file makes; 0 if that is not known.
    """

    path: str
    plane: int = 0
    size: int = 0
    mtime_ns: int = 0
    inode: int = 0
    content_hash: str = ""
    planes: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class FrameInfo:
    """Everything known about a frame but its pixels.

    Attributes
    ----------
    segment
        The constant part: camera, shape, pixel size, bit depth.
    channel
        The channel's name; empty if the frame could not be read.
    seq
        The device's own counter, unwrapped; None if the device has none.
    t, position, z
        Acquisition index: time point, position (a name), plane.
    exposed_ns, time_source
        Start of the exposure, UTC ns since the epoch, and who says so.
    received_ns, received_monotonic_ns
        Arrival: UTC for people, monotonic for intervals.
    exposure_ms
        Exposure time in ms.
    stage_um
        Stage (x, y, z) in µm.
    index
        The useq index, for instance ``{"t": 3, "c": 0}``.
    origin
        The file and plane, for frames that were read from disk.
    version
        1, and one more each time the file behind the frame was rewritten.
    """

    segment: Segment
    channel: str
    seq: int | None = None
    t: int = 0
    position: str = "0"
    z: int = 0
    exposed_ns: int | None = None
    time_source: TimeSource = "unknown"
    received_ns: int = 0
    received_monotonic_ns: int = 0
    exposure_ms: float | None = None
    stage_um: tuple[float, float, float] | None = None
    index: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    origin: Origin | None = None
    version: int = 1


FRAME_BYTES = 1500
"""What a frame takes in memory beside its pixels; 1250 to 1490 with CPython 3.11."""


def bytes_held(pixel_bytes: int, n_frames: int = 1) -> int:
    """Return what frames with so many bytes of pixels take in memory."""
    return pixel_bytes + n_frames * FRAME_BYTES


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One exposure: a read-only 2-D array (y, x) and what is known about it."""

    data: Pixels
    info: FrameInfo

    def __post_init__(self) -> None:
        if self.data.ndim != 2:
            raise ValueError(
                f"a frame is 2-D (y, x); received {self.data.ndim} axes, shape {self.data.shape}. "
                "Yield one Frame per plane"
            )
        view = self.data.view()
        view.flags.writeable = False
        object.__setattr__(self, "data", view)

    @property
    def nbytes(self) -> int:
        """Bytes held: of the pixels, and of what is known about them."""
        return bytes_held(self.data.nbytes)


@dataclass(frozen=True, slots=True, eq=False)
class BadFrame:
    """A frame that should have come but could not be read; it ends in the quarantine.

    Attributes
    ----------
    reason
        One sentence: what came, what is allowed, what to do.
    detail
        The traceback, if there was one.
    """

    info: FrameInfo
    reason: str
    detail: str = ""

    @property
    def data(self) -> Pixels:
        """There are no pixels: raises `ReadError` with the reason."""
        raise ReadError(self.reason)


@dataclass(frozen=True, slots=True, order=True)
class SetKey:
    """Which image set a frame belongs to; z is None where a set spans the stack."""

    segment: int
    position: str
    t: int
    z: int | None

    @property
    def place(self) -> str:
        """What ordered steps keep a state for: the position, and the plane where there are more."""
        return self.position if not self.z else f"{self.position} z{self.z}"


@dataclass(frozen=True, slots=True, eq=False)
class ImageSet:
    """The frames of one time and position: up to (C, Z, Y, X).

    Attributes
    ----------
    frames, frame_ids
        The frames in order of channel and z, and the numbers of their rows.
    channels
        The channels that were expected, in order; a missing one has no frame.
    partial
        True if a channel or plane is missing.
    version
        The content version: above 1 this set supersedes an earlier one of the same key.
    """

    set_id: int
    key: SetKey
    frames: tuple[Frame, ...]
    frame_ids: tuple[int, ...]
    channels: tuple[str, ...]
    partial: bool = False
    version: int = 1

    @property
    def nbytes(self) -> int:
        """Bytes held: of the pixels, and of what is known about them."""
        return sum(frame.nbytes for frame in self.frames)

    @property
    def segment(self) -> Segment:
        """The segment all frames of the set share."""
        return self.frames[0].info.segment

    def pixels(self, channel: str) -> Pixels | None:
        """Return the channel's planes as (Z, Y, X), or (Y, X) for one plane; None if missing."""
        planes = [frame.data for frame in self.frames if frame.info.channel == channel]
        if not planes:
            return None
        return planes[0] if len(planes) == 1 else np.stack(planes)
