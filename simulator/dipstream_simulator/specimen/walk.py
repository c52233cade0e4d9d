"""How individuals move from one time point to the next: walks between walls that reflect."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

__all__ = ["Manner", "Motion", "manner_of", "reflected"]

_PERSISTENCE = 0.85  # correlation of the velocity from one time point to the next
_PERSISTENT_SHARE = 0.7  # of the mean squared step; the rest is diffusion

_Vectors = npt.NDArray[np.float64]

Motion = Literal["persistent", "diffusion", "drift", "still"]


@dataclass(frozen=True, slots=True)
class Manner:
    """A walk: velocity that forgets (an Ornstein-Uhlenbeck process), and diffusion.

    Attributes
    ----------
    persistence
        Correlation of the velocity from one time point to the next; 1 = it stays.
    speed_um, diffusion_um
        Standard deviation, along y and along x, of the velocity and of the rest of a step, in
        µm a time point.
    drift_um
        Velocity (y, x) that all begin with, in µm a time point.
    """

    persistence: float = 0.0
    speed_um: float = 0.0
    diffusion_um: float = 0.0
    drift_um: tuple[float, float] = (0.0, 0.0)

    @property
    def most_um(self) -> float:
        """A step's typical length, in µm."""
        return math.hypot(
            *self.drift_um, math.sqrt(2.0) * math.hypot(self.speed_um, self.diffusion_um)
        )

    def begin(self, rng: np.random.Generator, n: int) -> _Vectors:
        """Return n first velocities, (n, 2) in µm a time point."""
        return np.asarray(self.drift_um) + self.speed_um * rng.standard_normal((n, 2)).clip(-3, 3)

    def step(
        self, velocity_um: _Vectors, noise: _Vectors, mobility: _Vectors
    ) -> tuple[_Vectors, _Vectors]:
        """Return the next velocities and the displacements, (n, 2) each, in µm.

        Parameters
        ----------
        velocity_um
            (n, 2), before.
        noise
            (2, n, 2) standard normal.
        mobility
            (n,): 1 = free, 0 = stuck.
        """
        fresh = math.sqrt(1.0 - self.persistence**2) * self.speed_um
        velocity_um = self.persistence * velocity_um + fresh * noise[0]
        return velocity_um, mobility[:, None] * (velocity_um + self.diffusion_um * noise[1])


def manner_of(motion: Motion, step_um: float, drift_um: tuple[float, float]) -> Manner:
    """Return the walk of that name whose root mean square step is `step_um`."""
    if motion == "persistent":
        speed_um = step_um * math.sqrt(_PERSISTENT_SHARE / 2.0)
        return Manner(_PERSISTENCE, speed_um, step_um * math.sqrt((1.0 - _PERSISTENT_SHARE) / 2.0))
    if motion == "diffusion":
        return Manner(diffusion_um=step_um / math.sqrt(2.0))
    if motion == "drift":
        return Manner(1.0, 0.0, step_um / math.sqrt(2.0), drift_um)
    return Manner()


def reflected(
    position_um: _Vectors, velocity_um: _Vectors, low_um: _Vectors, high_um: _Vectors
) -> tuple[_Vectors, _Vectors]:
    """Return places and velocities after the walls have thrown back who went too far."""
    below, above = position_um < low_um, position_um > high_um
    velocity_um = np.where(below | above, -velocity_um, velocity_um)
    position_um = np.where(below, 2.0 * low_um - position_um, position_um)
    position_um = np.where(above, 2.0 * high_um - position_um, position_um)
    return np.clip(position_um, low_um, high_um), velocity_um
