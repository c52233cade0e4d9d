"""A living specimen: a population whose every time point follows from its seed."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from dipstream_simulator.limits import require_between
from dipstream_simulator.specimen.atlas import Atlas, Body
from dipstream_simulator.specimen.checkpoints import Checkpoints
from dipstream_simulator.specimen.cycle import Life, advance, bodies, first_ages, room_sizes
from dipstream_simulator.specimen.individuals import Kin, State, founders
from dipstream_simulator.specimen.model import Channel, Objects
from dipstream_simulator.specimen.room import Room
from dipstream_simulator.specimen.walk import Manner, reflected

__all__ = ["Living", "Plan"]

_PLACING_PASSES = 200
_ROOM_PASSES = 3
_PARTING_LEFT = 0.6  # of the push that parts sisters, from one time point to the next
_MOBILITY = np.array([1.0, 0.25, 0.25, 0.25])  # by stage: only the living wander
_CHECKPOINT_BYTES = 48e6
_STATE_BYTES = 200.0  # of each individual

_Vectors = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """Everything that fixes a living specimen.

    Attributes
    ----------
    seed
        The same seed gives the same specimen.
    n
        How many individuals there are at first.
    extent_um
        Height and width of the specimen, in µm.
    atlas, kin, life, manner
        What they can look like, what they have in common, how they live and move.
    """

    seed: int
    n: int
    extent_um: tuple[float, float]
    atlas: Atlas
    kin: Kin
    life: Life
    manner: Manner

    @property
    def give_way_um(self) -> float:
        """How far an individual gives way at once, in µm: no more than it moves or grows."""
        growth_um = 0.03 * self.life.diameter_um if self.life.changes else 0.0
        return max(0.5 * self.manner.most_um, growth_um)


@dataclass(frozen=True, slots=True, eq=False)
class _Room:
    """Which bodies there are, and the walls and the room that follow.

    `of` is the `elapsed_t` of the states that it holds for.
    """

    of: npt.NDArray[np.int64]
    shape: npt.NDArray[np.int64]
    light: _Vectors
    low_um: _Vectors
    high_um: _Vectors
    room: Room


class Living:
    """A population as a pure function of its plan and time, cheap when times increase.

    An instance belongs to one thread; `fork` gives another thread its own.

    Parameters
    ----------
    plan
        What lives and how.
    known
        States of the same plan that are known already; None = the first is made.
    """

    def __init__(self, plan: Plan, known: Checkpoints[State] | None = None) -> None:
        self._plan = plan
        self._taken: _Room | None = None
        self._shown: tuple[int, Objects] | None = None
        if known is None:
            most = int(_CHECKPOINT_BYTES / (_STATE_BYTES * max(plan.life.most, 1)))
            known = Checkpoints(self._first(), min(max(most, 4), 256))
        self._known = known
        self._state = known.before(0)

    @property
    def channels(self) -> tuple[Channel, ...]:
        """The channels it can be seen in, in order."""
        return self._plan.kin.channels

    @property
    def extent_um(self) -> tuple[float, float]:
        """Height and width, around the origin, in µm."""
        return self._plan.extent_um

    @property
    def shapes(self) -> tuple[Body, ...]:
        """What `Objects.shape` counts."""
        return self._plan.atlas.shapes

    @property
    def canvas(self) -> None:
        """Nothing is drawn behind the individuals."""
        return

    @property
    def coverage(self) -> float:
        """Area of all individuals at time 0, relative to the extent."""
        area_um2 = self._plan.atlas.area_um2[self.objects(0).shape].sum()
        return float(area_um2 / (self.extent_um[0] * self.extent_um[1]))

    def fork(self) -> "Living":
        """Return the same specimen with a clock of its own."""
        return Living(self._plan, self._known.copy())

    def objects(self, t: int) -> Objects:
        """Return the individuals at time point t ≥ 0; its arrays are read-only.

        Cheap when times increase; going back costs the steps from the latest state kept.

        Raises
        ------
        SourceError
            If `t` is negative.
        """
        if self._shown is None or self._shown[0] != t:
            require_between("t", t, 0, 2**53, example=0)
            self._shown = t, self._show(self._at(t))
        return self._shown[1]

    def _at(self, t: int) -> State:
        if not self._state.t <= t <= self._state.t + 1:
            known = self._known.before(t)
            if not known.t <= self._state.t <= t:
                self._state = known
        while self._state.t < t:
            self._state = self._step(self._state)
            self._known.add(self._state)
        return self._state

    def _show(self, state: State) -> Objects:
        traits, taken = state.traits, self._room(state)
        brightness = traits.brightness * self._plan.atlas.gain[taken.shape]
        shown = Objects(
            track_ids=traits.track_ids,
            parent_ids=traits.parent_ids,
            shape=taken.shape,
            y_um=state.position_um[:, 0].copy(),
            x_um=state.position_um[:, 1].copy(),
            z_um=traits.z_um,
            brightness=brightness * taken.light[:, None],
            counted=np.ones(len(taken.shape), dtype=np.bool_),
        )
        for name in Objects.__dataclass_fields__:
            getattr(shown, name).flags.writeable = False
        return shown

    def _first(self) -> State:
        plan = self._plan
        rng = np.random.default_rng([plan.seed, 0])
        traits = founders(rng, plan.n, plan.kin)
        zeros = np.zeros(plan.n, dtype=np.int64)
        state = State(
            t=0,
            next_id=plan.n + 1,
            traits=traits,
            position_um=np.zeros((plan.n, 2)),
            velocity_um=plan.manner.begin(rng, plan.n),
            parting_um=np.zeros((plan.n, 2)),
            age=first_ages(rng, plan.n, plan.life),
            stage=zeros,
            elapsed_t=zeros,
        )
        taken = self._room(state)
        anywhere_um = rng.uniform(taken.low_um, taken.high_um)
        position_um = taken.room.settle(
            anywhere_um,
            taken.low_um,
            taken.high_um,
            passes=_PLACING_PASSES,
            most_um=plan.life.diameter_um,
        )
        return replace(state, position_um=position_um)

    def _step(self, state: State) -> State:
        plan = self._plan
        rng = np.random.default_rng([plan.seed, 2, state.t + 1])
        state = advance(state, rng, plan.life, plan.kin, plan.atlas)
        noise = rng.standard_normal((2, *state.position_um.shape)).clip(-3.0, 3.0)
        velocity_um, step_um = plan.manner.step(state.velocity_um, noise, _MOBILITY[state.stage])
        taken = self._room(state)
        position_um, velocity_um = reflected(
            state.position_um + step_um + state.parting_um,
            velocity_um,
            taken.low_um,
            taken.high_um,
        )
        position_um = taken.room.settle(
            position_um,
            taken.low_um,
            taken.high_um,
            passes=_ROOM_PASSES,
            most_um=plan.give_way_um,
        )
        return replace(
            state,
            t=state.t + 1,
            position_um=position_um,
            velocity_um=velocity_um,
            parting_um=_PARTING_LEFT * state.parting_um,
        )

    def _room(self, state: State) -> _Room:
        # The arrays of a state never change, and are passed on as long as nothing happens.
        if self._taken is not None and self._taken.of is state.elapsed_t:
            return self._taken
        plan, traits = self._plan, state.traits
        shape, light = bodies(state, plan.life, plan.atlas)
        half_um = plan.atlas.half_um[shape]
        # What is larger than the specimen stays in the middle.
        high_um = np.maximum(np.asarray(plan.extent_um) / 2.0 - half_um, 0.0)
        size = room_sizes(state, plan.atlas)
        room = Room(plan.atlas, traits.form, size, traits.clearance_um, traits.apart)
        self._taken = _Room(state.elapsed_t, shape, light, -high_um, high_um, room)
        return self._taken
