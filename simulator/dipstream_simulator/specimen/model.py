"""What a specimen is to the microscope: shapes, where they stand at a time, and flat drawings."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["CHANNELS", "Canvas", "Channel", "Objects", "Shape", "Specimen"]

Grid = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Channel:
    """A fluorophore with its filters: the name and the peaks of excitation and emission, in nm."""

    name: str
    excitation_nm: float
    emission_nm: float


CHANNELS = {
    channel.name: channel
    for channel in (
        Channel("DAPI", 358.0, 461.0),
        Channel("GFP", 488.0, 509.0),
        Channel("RFP", 555.0, 584.0),
        Channel("Cy5", 651.0, 670.0),
    )
}
"""The channels that specimens are made for, by name."""


class Shape(Protocol):
    """A thing that can be drawn on a fine grid; its centroid is the middle sample."""

    @property
    def reach_um(self) -> float:
        """No part is farther from the centroid than this, in µm."""
        ...

    def depth(self, step_um: float, half: int) -> Grid:
        """Return how deep each sample lies: 1 in the middle, 0 on the outline, negative outside.

        float32 (2·half + 1, 2·half + 1), samples `step_um` apart. Positive samples are the truth.
        """
        ...

    def light(self, step_um: float, half: int) -> tuple[Grid, ...]:
        """Return relative brightness per µm², one array as in `depth` for each channel.

        Bodies (nuclei, cells) have mean 1 within their outline, so that the specimen's `photons`
        are per µm². Points (beads, spots, emitters) have integral 1, so that they are per point.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Objects:
    """The objects of one time, n of them.

    Attributes
    ----------
    track_ids, parent_ids
        int64 (n,), ids from 1 on; 0 = no parent.
    shape
        int64 (n,), index into the specimen's `shapes`.
    y_um, x_um, z_um
        float64 (n,), world coordinates of the centroids; the origin is the specimen's middle.
    brightness
        float64 (n, channels), relative to a typical object.
    counted
        bool (n,): whether the truth counts it (spots in a cell are counted, the cell is not).
    """

    track_ids: Ids
    parent_ids: Ids
    shape: Ids
    y_um: Numbers
    x_um: Numbers
    z_um: Numbers
    brightness: Numbers
    counted: npt.NDArray[np.bool_]


class Canvas(Protocol):
    """A flat drawing in the plane z = 0, as large as the specimen."""

    def draw(self, y_um: Numbers, x_um: Numbers, channel: int) -> Grid:
        """Return relative brightness per µm² at each sample of a grid, float32 (y, x).

        `y_um` and `x_um` are equally spaced world coordinates. Each value is the mean over its
        sample's area, as far as that matters.
        """
        ...

    def labels(self, y_um: Numbers, x_um: Numbers) -> npt.NDArray[np.int32]:
        """Return which element (bar, filament) each sample belongs to, 0 for none."""
        ...


class Specimen(Protocol):
    """Everything that lies on the stage. What it shows is a pure function of seed and time."""

    @property
    def channels(self) -> tuple[Channel, ...]:
        """The channels it can be seen in, in order."""
        ...

    @property
    def extent_um(self) -> tuple[float, float]:
        """Height and width, around the origin, in µm."""
        ...

    @property
    def shapes(self) -> Sequence[Shape]:
        """What `Objects.shape` counts; may be long, and made when asked for."""
        ...

    @property
    def canvas(self) -> Canvas | None:
        """The drawing behind the objects, if there is one."""
        ...

    def objects(self, t: int) -> Objects:
        """Return the objects at time point t ≥ 0; cheap when times increase.

        Not thread-safe: `fork` gives another thread its own.
        """
        ...

    def fork(self) -> "Specimen":
        """Return the same specimen with a clock of its own."""
        ...
