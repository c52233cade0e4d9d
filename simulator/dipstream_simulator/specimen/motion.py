"""Where the nuclei are at each time: persistent walks that bounce and make room."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import spatial

from dipstream_simulator.limits import require_between
from dipstream_simulator.specimen.nuclei import Specimen

__all__ = ["Motion"]

_PERSISTENCE = 0.85  # correlation of the velocity from one time to the next
_PERSISTENT_SHARE = 0.7  # of the mean squared step; the rest is diffusion
_PLACING_PASSES = 150
_ROOM_PASSES = 3
_MAX_CHECKPOINTS = 256

_Vectors = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class _State:
    t: int
    position_um: _Vectors
    velocity_um: _Vectors


class Motion:
    """Positions as a pure function of seed and time, cheap when times increase.

    Each nucleus has a velocity that forgets slowly (an Ornstein-Uhlenbeck process) and
    diffuses besides. Nuclei that come too close push each other apart, and the field's border
    reflects them, so that every nucleus stays whole. An instance belongs to one thread.

    Parameters
    ----------
    specimen
        The nuclei: sizes and clearances.
    field_um
        Height and width of the field, in µm.
    step_um
        Root mean square displacement from one time to the next, in µm, 0 to 20.
    seed
        The same seed gives the same walks.

    Raises
    ------
    SourceError
        If `step_um` is outside its limits.
    """

    def __init__(
        self, specimen: Specimen, field_um: tuple[float, float], *, step_um: float, seed: int
    ) -> None:
        require_between("step_um", step_um, 0.0, 20.0, example=0.8)
        self._seed = seed
        self._step_um = step_um
        self._drift_um = step_um * (_PERSISTENT_SHARE / 2.0) ** 0.5
        self._diffusion_um = step_um * ((1.0 - _PERSISTENT_SHARE) / 2.0) ** 0.5
        self._major_um = specimen.per_nucleus("major_um")
        self._minor_um = specimen.per_nucleus("minor_um")
        self._angle_rad = specimen.per_nucleus("angle_rad")
        self._clearance_um = specimen.clearance_um
        self._low_um, self._high_um = self._walls(specimen, field_um)
        self._stride = 16
        self._state = self._first()
        self._checkpoints = {0: self._state}

    def at(self, t: int) -> npt.NDArray[np.float64]:
        """Return the centroids at time t ≥ 0.

        Returns
        -------
        ndarray
            (n, 2) float64, (y, x) in µm from the field's upper left corner; read-only.
        """
        if t < self._state.t:
            self._state = self._checkpoints[max(known for known in self._checkpoints if known <= t)]
        while self._state.t < t:
            self._state = self._step(self._state)
            self._remember(self._state)
        return self._state.position_um

    def _remember(self, state: _State) -> None:
        if state.t % self._stride == 0:
            self._checkpoints[state.t] = state
        if len(self._checkpoints) > _MAX_CHECKPOINTS:  # a long run keeps fewer, not more
            self._stride *= 2
            self._checkpoints = {
                t: kept for t, kept in self._checkpoints.items() if t % self._stride == 0
            }

    def _walls(
        self, specimen: Specimen, field_um: tuple[float, float]
    ) -> tuple[_Vectors, _Vectors]:
        """Lowest and highest centroid of each nucleus, (n, 2); the middle if it does not fit."""
        slack = specimen.per_nucleus("reach_um") / np.maximum(self._major_um, 1e-9)
        cos, sin = np.cos(self._angle_rad), np.sin(self._angle_rad)
        extent_um = slack[:, None] * np.stack(
            [
                np.hypot(self._major_um * sin, self._minor_um * cos),
                np.hypot(self._major_um * cos, self._minor_um * sin),
            ],
            axis=1,
        )
        middle_um = np.asarray(field_um) / 2.0
        return np.minimum(extent_um, middle_um), np.maximum(field_um - extent_um, middle_um)

    def _first(self) -> _State:
        rng = np.random.default_rng([self._seed, 1])
        shape = self._low_um.shape
        position_um = rng.uniform(self._low_um, self._high_um)
        velocity_um = self._drift_um * rng.standard_normal(shape).clip(-3.0, 3.0)
        for _ in range(_PLACING_PASSES):
            push_um = self._push(position_um)
            if not push_um.any():
                break
            position_um = np.clip(position_um + push_um, self._low_um, self._high_um)
        position_um.flags.writeable = False
        return _State(0, position_um, velocity_um)

    def _step(self, state: _State) -> _State:
        t = state.t + 1
        noise = np.random.default_rng([self._seed, 2, t]).standard_normal((2, *self._low_um.shape))
        noise.clip(-3.0, 3.0, out=noise)
        fresh = (1.0 - _PERSISTENCE**2) ** 0.5 * self._drift_um
        velocity_um = _PERSISTENCE * state.velocity_um + fresh * noise[0]
        position_um = state.position_um + velocity_um + self._diffusion_um * noise[1]
        outside = (position_um < self._low_um) | (position_um > self._high_um)
        velocity_um = np.where(outside, -velocity_um, velocity_um)
        position_um = np.where(
            position_um < self._low_um, 2.0 * self._low_um - position_um, position_um
        )
        position_um = np.where(
            position_um > self._high_um, 2.0 * self._high_um - position_um, position_um
        )
        for _ in range(_ROOM_PASSES):
            # The push is no more than half a step, or crowded nuclei would jump.
            push_um = self._push(position_um).clip(-self._step_um / 2.0, self._step_um / 2.0)
            position_um = np.clip(position_um + push_um, self._low_um, self._high_um)
        position_um.flags.writeable = False
        return _State(t, position_um, velocity_um)

    def _push(self, position_um: _Vectors) -> _Vectors:
        """Displacement (n, 2) in µm that takes the nuclei halfway out of each other's way."""
        push_um = np.zeros_like(position_um)
        if len(position_um) < 2:
            return push_um
        farthest_um = 2.0 * float((self._major_um + self._clearance_um).max())
        pairs = spatial.cKDTree(position_um).query_pairs(farthest_um, output_type="ndarray")
        first, second = pairs[:, 0], pairs[:, 1]
        apart_um = position_um[second] - position_um[first]
        distance_um = np.maximum(np.hypot(apart_um[:, 0], apart_um[:, 1]), 1e-9)
        direction_rad = np.arctan2(apart_um[:, 0], apart_um[:, 1])
        contact_um = self._radius(first, direction_rad) + self._radius(second, direction_rad)
        overlap_um = np.clip(contact_um - distance_um, 0.0, None)
        half_um = (0.4 * overlap_um / distance_um)[:, None] * apart_um
        np.add.at(push_um, first, -half_um)
        np.add.at(push_um, second, half_um)
        return np.where(np.abs(push_um) < 1e-3, 0.0, push_um)

    def _radius(self, which: npt.NDArray[np.intp], direction_rad: _Vectors) -> _Vectors:
        """Centre to outline of each ellipse along a direction, clearance included, in µm."""
        theta = direction_rad - self._angle_rad[which]
        major_um, minor_um = self._major_um[which], self._minor_um[which]
        radius_um = (major_um * minor_um) / np.hypot(
            minor_um * np.cos(theta), major_um * np.sin(theta)
        )
        return np.asarray(radius_um + self._clearance_um[which], dtype=np.float64)
