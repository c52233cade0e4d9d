"""The grid of samples that a shape is drawn on."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Lattice"]


@dataclass(frozen=True, slots=True)
class Lattice:
    """(2·half + 1, 2·half + 1) samples around the middle.

    Attributes
    ----------
    step_um
        Distance between samples, in µm.
    half
        Samples from the middle to each edge.
    origin_um
        Where the drawn thing's own origin lies, (y, x) from the middle sample, in µm.
    """

    step_um: float
    half: int
    origin_um: tuple[float, float] = (0.0, 0.0)

    @property
    def y_um(self) -> npt.NDArray[np.float64]:
        """Rows as seen from the thing's origin, float64 (2·half + 1, 1), in µm."""
        return (self._axis_um() - self.origin_um[0])[:, None]

    @property
    def x_um(self) -> npt.NDArray[np.float64]:
        """Columns as seen from the thing's origin, float64 (1, 2·half + 1), in µm."""
        return (self._axis_um() - self.origin_um[1])[None, :]

    def moved(self, origin_um: tuple[float, float]) -> "Lattice":
        """Return the same samples for a thing whose origin is elsewhere, (y, x) in µm."""
        return Lattice(self.step_um, self.half, origin_um)

    def _axis_um(self) -> npt.NDArray[np.float64]:
        return np.arange(-self.half, self.half + 1, dtype=np.float64) * self.step_um
