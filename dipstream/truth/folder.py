"""Where the truth of a run lies: the names of its files and the columns of its tables.

``truth.json`` says what was written, ``objects.csv`` has a row for each object of an image set,
``frames.csv`` one for each frame, ``sequences.csv`` says which position and plane the numbered
folders ``01_GT``, ``02_GT``, … hold: label images and tracks in the layout of the Cell Tracking
Challenge.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from dipstream.errors import ReadError
from dipstream.settings import TruthLevel

__all__ = [
    "FRAME_COLUMNS",
    "SEQUENCE_COLUMNS",
    "FramePlace",
    "SetPlace",
    "TruthFolder",
    "TruthRecord",
    "object_columns",
]

FRAME_COLUMNS = (
    *("seq", "position", "t", "z", "channel", "drift_z_um", "drift_y_um", "drift_x_um"),
    *("objects", "photons", "electrons", "saturated_px"),
)
SEQUENCE_COLUMNS = ("sequence", "position", "z")


def object_columns(channels: Sequence[str]) -> tuple[str, ...]:
    """Return the columns of ``objects.csv`` for the channels of a source."""
    return (
        *("position", "t", "z", "seq", "label", "track_id", "parent_id"),
        *("y_um", "x_um", "z_um", "area_px"),
        *(f"{name}_{channel}" for channel in channels for name in ("photons", "electrons")),
        "saturated_px",
    )


@dataclass(frozen=True, slots=True)
class SetPlace:
    """Which image set, or which plane of one: what truth and results are matched by."""

    position: str
    t: int
    z: int


@dataclass(frozen=True, slots=True)
class FramePlace:
    """A frame that arrived: its device number, and where it belongs."""

    seq: int
    position: str
    t: int
    z: int
    channel: str

    @property
    def set_place(self) -> SetPlace:
        """The image set of the frame."""
        return SetPlace(self.position, self.t, self.z)


@dataclass(frozen=True, slots=True)
class TruthRecord:
    """What ``truth.json`` says.

    Attributes
    ----------
    source
        The source, as people name it.
    channels
        Channels in order; they name the columns of ``objects.csv``.
    level
        How much was written: ``objects``, ``labels`` or ``full``.
    pixel_um
        Side of a pixel in the object, in µm.
    dipstream
        The version that wrote it.
    shape
        Rows and columns of an image, if the source said so.
    """

    source: str
    channels: tuple[str, ...]
    level: TruthLevel
    pixel_um: float | None
    dipstream: str
    shape: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class TruthFolder:
    """The parts of a folder of truth."""

    path: Path

    @property
    def about(self) -> Path:
        """What was written, and by whom."""
        return self.path / "truth.json"

    @property
    def objects(self) -> Path:
        """A row for each object of an image set."""
        return self.path / "objects.csv"

    @property
    def frames(self) -> Path:
        """A row for each frame; written after the objects of its image set."""
        return self.path / "frames.csv"

    @property
    def sequences(self) -> Path:
        """Which position and plane each numbered sequence is."""
        return self.path / "sequences.csv"

    def tracks(self, sequence: int) -> Path:
        """Return the folder of label images and tracks of a sequence."""
        return self.path / f"{sequence:02d}_GT" / "TRA"

    def labels(self, sequence: int, t: int) -> Path:
        """Return the label image of a time point of a sequence."""
        return self.tracks(sequence) / f"man_track{t:04d}.tif"

    def saturated(self, seq: int) -> Path:
        """Return the mask of saturated pixels of a frame."""
        return self.path / "saturated" / f"{seq:08d}.tif"

    def pixels(self, seq: int) -> Path:
        """Return photons and electrons of each pixel of a frame."""
        return self.path / "pixels" / f"{seq:08d}.npz"

    def read(self) -> TruthRecord:
        """Return what ``truth.json`` says; raises `ReadError`."""
        try:
            raw = json.loads(self.about.read_text(encoding="utf-8"))
            raw["channels"] = tuple(raw["channels"])
            if raw.get("shape") is not None:
                rows, columns = raw["shape"]
                raw["shape"] = int(rows), int(columns)
            return TruthRecord(**raw)
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise ReadError(
                f"{self.path} holds no truth: {self.about.name} is missing or not what dipstream "
                f"writes ({error}). Name the folder truth/ of a run, or one that "
                "`dipstream simulate` made"
            ) from error

    def write(self, record: TruthRecord) -> None:
        """Write ``truth.json``."""
        text = json.dumps(asdict(record), indent=2, ensure_ascii=False)
        self.about.write_text(text + "\n", encoding="utf-8")
