"""What a run publishes: one committed image set at a time, and how it stands."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dipstream.frame import ImageSet
from dipstream.run.histogram import Histogram
from dipstream.steps.image import Labels
from dipstream.table import RowBatch

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Accounting", "LabelImages", "Result", "Status"]


class LabelImages(Mapping[str, npt.NDArray[np.int32]]):
    """Label images (y, x) by type of object; one is drawn when it is first asked for."""

    def __init__(self, labels: Mapping[str, Labels]) -> None:
        self._labels = dict(labels)

    def __getitem__(self, kind: str) -> npt.NDArray[np.int32]:
        return self._labels[kind].dense

    def __iter__(self) -> Iterator[str]:
        return iter(self._labels)

    def __len__(self) -> int:
        return len(self._labels)

    @property
    def nbytes(self) -> int:
        """Bytes of all of them once they are drawn."""
        return sum(math.prod(one.shape) * 4 for one in self._labels.values())


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """An image set that is in the table: published after the commit, never before.

    Attributes
    ----------
    set_id, position, t, z
        Which one.
    failure
        Why it could not be analysed; empty if it could.
    image_set
        The frames themselves.
    flags
        The warnings of each frame, by channel.
    """

    set_id: int
    image_set: ImageSet
    tables: Mapping[str, RowBatch] = field(default_factory=dict)
    track_ids: Mapping[str, npt.NDArray[np.int64]] = field(default_factory=dict)
    label_images: Mapping[str, npt.NDArray[np.int32]] = field(default_factory=dict)
    estimates: Mapping[str, float] = field(default_factory=dict)
    flags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    failure: str = ""

    @property
    def t(self) -> int:
        """The time point."""
        return self.image_set.key.t

    @property
    def position(self) -> str:
        """The position's name."""
        return self.image_set.key.position

    @property
    def z(self) -> int | None:
        """The plane, or None where the set spans the stack."""
        return self.image_set.key.z

    @property
    def nbytes(self) -> int:
        """Bytes of its frames and label images, all of them drawn."""
        images = self.label_images
        if isinstance(images, LabelImages):
            return self.image_set.nbytes + images.nbytes
        return self.image_set.nbytes + sum(one.nbytes for one in images.values())

    def counts(self) -> dict[str, int]:
        """Return the number of objects of each type."""
        return {kind: len(rows) for kind, rows in self.tables.items()}

    def objects(self, kind: str | None = None) -> "pd.DataFrame":
        """Return the objects of a type (of the first one, if none is named) as pandas."""
        import pandas as pd  # noqa: PLC0415 - a run starts without

        chosen = kind if kind is not None else next(iter(self.tables), None)
        if chosen is None:
            return pd.DataFrame()
        rows = self.tables[chosen]
        columns = {name: rows.column(name) for name in rows.schema.names}
        if chosen in self.track_ids:
            columns["track_id"] = self.track_ids[chosen]
        return pd.DataFrame(columns)

    def labels(self, kind: str | None = None) -> npt.NDArray[np.int32]:
        """Return the label image (y, x) of a type of object; raises KeyError if it failed."""
        return self.label_images[kind if kind is not None else next(iter(self.label_images))]


@dataclass(frozen=True, slots=True)
class Accounting:
    """Where every frame is. received = analysed + dropped + quarantined + late + pending.

    Attributes
    ----------
    gap
        Numbers the device's counter skipped; None where no device counted.
    problems
        What does not add up; empty unless dipstream itself is at fault.
    """

    received: int = 0
    analysed: int = 0
    dropped: int = 0
    quarantined: int = 0
    late: int = 0
    pending: int = 0
    gap: int | None = None
    problems: tuple[str, ...] = ()

    @property
    def balanced(self) -> bool:
        """Whether both equations hold."""
        return not self.problems

    def frames(self) -> dict[str, int]:
        """Return the six counts of frames."""
        return {
            "received": self.received,
            "analysed": self.analysed,
            "dropped": self.dropped,
            "quarantined": self.quarantined,
            "late": self.late,
            "pending": self.pending,
        }


@dataclass(frozen=True, slots=True)
class Status:
    """How a run stands at this moment.

    Attributes
    ----------
    frames_per_s
        Frames committed a second, over the last seconds.
    lag_ms_p50, lag_ms_p99
        From a frame's arrival to its row, over the newest frames; None before the first.
    deadline_ms, deadline_misses
        How late a row may be, or None; rows of this session that were later.
    queue_fill, spill_fill
        How full the memory for pixels is, and the disk's share for those that wait there, 0 to 1.
    spilled
        Image sets of this session that had to wait on the disk, since read back or not.
    warnings
        The newest warnings, newest last.
    truth_behind
        Frames whose truth is still to be written.
    drops
        Dropped frames of this session by the kind of reason.
    lags, commits
        From a frame's arrival to its row, and of transactions, over the whole session.
    source_trouble
        Why the source is degraded; empty while it is well.
    idle_s
        How long ago the committer's loop went round; it does so four times a second and more.
    """

    accounting: Accounting
    image_sets: int = 0
    objects: int = 0
    seconds: float = 0.0
    frames_per_s: float = 0.0
    lag_ms_p50: float | None = None
    lag_ms_p99: float | None = None
    deadline_ms: float | None = None
    deadline_misses: int = 0
    queue_fill: float = 0.0
    spill_fill: float = 0.0
    spilled: int = 0
    expected_frames: int | None = None
    ignored: int = 0
    warnings: Sequence[str] = ()
    truth_behind: int = 0
    last: Mapping[str, Any] = field(default_factory=dict)
    drops: Mapping[str, int] = field(default_factory=dict)
    lags: Histogram = field(default_factory=Histogram)
    commits: Histogram = field(default_factory=Histogram)
    source_trouble: str = ""
    idle_s: float = 0.0
