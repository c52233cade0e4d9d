"""A specimen that is one drawing, without objects."""

from collections.abc import Sequence
from dataclasses import dataclass

from dipstream_simulator.specimen.flat import no_objects
from dipstream_simulator.specimen.model import Canvas, Channel, Objects, Shape

__all__ = ["Drawn"]


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """A drawing in the plane z = 0.

    Attributes
    ----------
    channels, extent_um, canvas
        As in `dipstream_simulator.specimen.model.Specimen`.
    """

    channels: tuple[Channel, ...]
    extent_um: tuple[float, float]
    canvas: Canvas

    @property
    def shapes(self) -> Sequence[Shape]:
        """None."""
        return ()

    def objects(self, t: int) -> Objects:  # noqa: ARG002
        """Return none, at any time."""
        return no_objects(len(self.channels))

    def fork(self) -> "Drawn":
        """Return itself: nothing in it moves."""
        return self
