"""Nothing but light: a specimen without objects, for flat fields and photon transfer."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dipstream_simulator.limits import require_between
from dipstream_simulator.specimen.model import Channel, Objects, Shape

__all__ = ["Flat", "flat", "no_objects", "require_extent"]


@dataclass(frozen=True, slots=True)
class Flat:
    """A uniform field; all its light is background.

    Attributes
    ----------
    channels
        The channels it can be seen in.
    extent_um
        Height and width, in µm.
    """

    channels: tuple[Channel, ...]
    extent_um: tuple[float, float]

    @property
    def shapes(self) -> Sequence[Shape]:
        """None."""
        return ()

    @property
    def canvas(self) -> None:
        """None."""
        return

    def objects(self, t: int) -> Objects:  # noqa: ARG002
        """Return none, at any time."""
        return no_objects(len(self.channels))

    def fork(self) -> "Flat":
        """Return itself: nothing in it moves."""
        return self


def flat(*, extent_um: tuple[float, float], channels: tuple[Channel, ...]) -> Flat:
    """Lay nothing on the stage.

    Parameters
    ----------
    extent_um
        Height and width, in µm, 0.1 to 100000.
    channels
        The channels it can be seen in.

    Raises
    ------
    SourceError
        If the extent is outside its limits.
    """
    require_extent(extent_um)
    return Flat(channels, extent_um)


def require_extent(extent_um: tuple[float, float]) -> None:
    """Raise SourceError unless height and width are 0.1 to 100000 µm."""
    require_between("height_um", extent_um[0], 0.1, 1e5, example=300)
    require_between("width_um", extent_um[1], 0.1, 1e5, example=300)


def no_objects(channels: int) -> Objects:
    """Return an empty set of objects."""
    ids = np.zeros(0, dtype=np.int64)
    places_um = np.zeros(0)
    return Objects(
        track_ids=ids,
        parent_ids=ids,
        shape=ids,
        y_um=places_um,
        x_um=places_um,
        z_um=places_um,
        brightness=np.zeros((0, channels)),
        counted=np.zeros(0, dtype=np.bool_),
    )
