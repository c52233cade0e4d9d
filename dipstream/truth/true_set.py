"""What is really there in one image set, as rows: the left side of every comparison."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from dipstream.source import SourceTruth
from dipstream.truth.folder import FramePlace, SetPlace

__all__ = ["TrueSet"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_NOTHING: Mapping[str, Floats] = MappingProxyType({})


@dataclass(frozen=True, slots=True, eq=False)
class TrueSet:
    """The objects of one position, time and plane.

    Attributes
    ----------
    place
        Which one.
    seq
        Device number of its first frame; all below is as that frame shows it.
    track_ids, parent_ids
        int64 (n,): tracks, and the tracks they came from by division (0 for none).
    y_px, x_px
        float64 (n,): centroids in px from the middle of the first pixel; NaN if the size of a
        pixel is not known.
    z_um
        float64 (n,): height above the plane in focus, in µm.
    area_px
        int64 (n,): pixels of each object.
    electrons
        Channel → float64 (n,): photo-electrons in the pixels of each object, NaN for one with a
        saturated pixel; empty if unknown.
    labels
        int32 (y, x): 1…n in the order of the rows, 0 = background; None if not at hand.
    shape
        Rows and columns of the image; None if not known.
    """

    place: SetPlace
    seq: int
    track_ids: Integers
    parent_ids: Integers
    y_px: Floats
    x_px: Floats
    z_um: Floats
    area_px: Integers
    electrons: Mapping[str, Floats] = field(default_factory=lambda: _NOTHING)
    labels: npt.NDArray[np.int32] | None = None
    shape: tuple[int, int] | None = None

    @classmethod
    def of(cls, frame: FramePlace, truth: SourceTruth, pixel_um: float | None) -> "TrueSet":
        """Return the truth of the image set whose first frame this is."""
        scale = np.nan if pixel_um is None else 1 / pixel_um
        rows, columns = truth.labels.shape
        return cls(
            place=frame.set_place,
            seq=frame.seq,
            track_ids=truth.track_ids,
            parent_ids=truth.parent_ids,
            y_px=truth.y_um * scale,
            x_px=truth.x_um * scale,
            z_um=truth.z_um,
            area_px=np.bincount(truth.labels.ravel(), minlength=truth.count + 1)[1:],
            labels=truth.labels,
            shape=(rows, columns),
        )

    def without_labels(self) -> "TrueSet":
        """Return the same without its image, which is most of its memory."""
        return replace(self, labels=None)

    @property
    def count(self) -> int:
        """How many objects there are."""
        return len(self.track_ids)
