"""Where the microscope really looks: the stage drifts and jitters, the focus wanders."""

from dataclasses import dataclass

import numpy as np

from dipstream_simulator.acquisition import Shot
from dipstream_simulator.limits import require_between

__all__ = ["Stage"]

_JITTER = 4  # purpose of the random numbers, beside those of specimen and sensor


@dataclass(frozen=True, slots=True)
class Stage:
    """An XYZ stage with its faults.

    Attributes
    ----------
    focus_um
        How far the focus lies above the plane it was told, from the beginning.
    focus_drift_um
        By how much more at each time point.
    drift_um
        How far the stage slides at each time point: (y, x).
    jitter_um
        Standard deviation of its error in y and in x, anew in every frame.
    seed
        Fixes the jitter.
    """

    focus_um: float = 0.0
    focus_drift_um: float = 0.0
    drift_um: tuple[float, float] = (0.0, 0.0)
    jitter_um: float = 0.0
    seed: int = 7

    def __post_init__(self) -> None:
        require_between("focus_um", self.focus_um, -1000.0, 1000.0, example=0.5)
        require_between("focus_drift_um", self.focus_drift_um, -100.0, 100.0, example=0.05)
        for value in self.drift_um:
            require_between("drift_um", value, -1000.0, 1000.0, example=0.1)
        require_between("jitter_um", self.jitter_um, 0.0, 1000.0, example=0.05)

    def error_um(self, shot: Shot) -> tuple[float, float, float]:
        """Return how far it looks from where it was told to: (z, y, x), in µm."""
        y_um, x_um = (shot.t * step_um for step_um in self.drift_um)
        if self.jitter_um:
            rng = np.random.default_rng([self.seed, _JITTER, shot.number])
            jitter_y_um, jitter_x_um = rng.normal(0.0, self.jitter_um, 2).tolist()
            y_um, x_um = y_um + jitter_y_um, x_um + jitter_x_um
        return self.focus_um + shot.t * self.focus_drift_um, y_um, x_um
