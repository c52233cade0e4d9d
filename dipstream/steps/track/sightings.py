"""Where and when each track was last seen: the tracker's memory."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dipstream.steps.objects import Objects
from dipstream.steps.step import State

__all__ = ["Sightings"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Sightings:
    """Tracks, or objects on their way to one; area is NaN where nobody needs it."""

    track_id: Ints
    yx_px: Floats
    t: Ints
    area: Floats

    @classmethod
    def of(cls, objects: Objects, area: Floats) -> "Sightings":
        """Return the objects of a set, which have no track yet (0)."""
        n = len(objects)
        yx_px = np.empty((n, 2))
        yx_px[:, 0], yx_px[:, 1] = objects.y_px, objects.x_px
        return cls(np.zeros(n, np.int64), yx_px, np.full(n, objects.t, np.int64), area)

    @classmethod
    def from_state(cls, state: State | None) -> "Sightings":
        """Return the tracks of a saved state."""
        if state is None:
            none = np.empty(0, np.int64)
            return cls(none, np.empty((0, 2)), none, np.empty(0))
        return cls(state["track_id"], state["yx_px"], state["t"], state["area"])

    def to_state(self) -> State:
        """Return named arrays that can be saved."""
        return {"track_id": self.track_id, "yx_px": self.yx_px, "t": self.t, "area": self.area}

    def take(self, which: npt.NDArray[np.bool_]) -> "Sightings":
        """Return some of them."""
        return Sightings(self.track_id[which], self.yx_px[which], self.t[which], self.area[which])

    def join(self, other: "Sightings") -> "Sightings":
        """Return these and the others behind them."""
        return Sightings(
            np.concatenate([self.track_id, other.track_id]),
            np.concatenate([self.yx_px, other.yx_px]),
            np.concatenate([self.t, other.t]),
            np.concatenate([self.area, other.area]),
        )
