"""Growth, division and death: how a population changes from one time point to the next."""

import enum
import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from dipstream_simulator.specimen.atlas import Atlas
from dipstream_simulator.specimen.individuals import Kin, State, Traits, born, joined

__all__ = ["DYING_T", "Life", "Stage", "advance", "bodies", "first_ages", "room_sizes"]

DYING_T = 8
"""Time points from the first sign of death until the last piece is gone."""

_DYING_STAGE = np.array([0, 0, 1, 1, 2, 2, 2, 2], dtype=np.int64)
_DYING_LIGHT = np.array([1.0, 1.0, 1.0, 1.0, 1.0, 0.75, 0.5, 0.25])
_DYING_ROOM = 0.75
_PARTING = 0.06  # of a diameter: how far daughters move on in their first time point
_TURN = 7  # the spindles of successive ids point in different directions

_Numbers = npt.NDArray[np.float64]
_Ids = npt.NDArray[np.int64]
_Flags = npt.NDArray[np.bool_]


class Stage(enum.IntEnum):
    """What an individual is doing."""

    LIVING = 0
    MITOSIS = 1
    NEWBORN = 2
    """Its chromosomes are still packed (anaphase and telophase)."""
    DYING = 3


@dataclass(frozen=True, slots=True)
class Life:
    """The rules of a population.

    Attributes
    ----------
    cycle_t
        Time points from birth to division, on average; 0 = none divides.
    death_rate
        Chance to begin dying, per living individual and time point.
    grow
        Growth of the area per time point, relative to that at birth, if none divides; it ends
        when the area has doubled.
    most
        At this number divisions pause.
    crowded_um2
        When all areas add up to this, divisions pause too, in µm².
    diameter_um
        Of a typical individual, in µm.
    apart
        How far from their mother's middle daughters are first seen, in diameters.
    """

    cycle_t: int
    death_rate: float
    grow: float
    most: int
    crowded_um2: float
    diameter_um: float
    apart: float

    @property
    def mitosis_t(self) -> int:
        """Time points from rounding up to the separation of the chromosomes."""
        return min(max(3, round(0.06 * self.cycle_t)), 10)

    @property
    def newborn_t(self) -> int:
        """Time points until a daughter's chromosomes have unpacked."""
        return min(max(2, round(0.03 * self.cycle_t)), 5)

    @property
    def changes(self) -> bool:
        """Whether anything but the places ever changes."""
        return self.cycle_t > 0 or self.death_rate > 0.0 or self.grow > 0.0


def first_ages(rng: np.random.Generator, n: int, life: Life) -> _Numbers:
    """Draw n ages of a population that has been growing for long.

    With divisions their density is 2 ln 2 · 2^(−age) (Powell 1956, J. Gen. Microbiol. 15:492);
    without, ages are uniform.
    """
    uniform = rng.random(n)
    return -np.log2(1.0 - 0.5 * uniform) if life.cycle_t else uniform


def advance(state: State, rng: np.random.Generator, life: Life, kin: Kin, atlas: Atlas) -> State:
    """Return the population one time point older, where it was.

    Who has died away leaves, who has finished mitosis is replaced by two daughters, then some
    of the living begin to die and some of the grown begin to divide.
    """
    if not life.changes:
        return state
    stage, elapsed_t = state.stage, state.elapsed_t + 1
    gone = (stage == Stage.DYING) & (elapsed_t >= DYING_T)
    split = (stage == Stage.MITOSIS) & (elapsed_t >= life.mitosis_t)
    unpacked = (stage == Stage.NEWBORN) & (elapsed_t >= life.newborn_t)
    stage = np.where(unpacked, Stage.LIVING, stage)
    living = stage == Stage.LIVING
    age = np.where(living & ~unpacked, _older(state, life), state.age)
    died = living & (rng.random(len(age)) < life.death_rate)
    stage = np.where(died, Stage.DYING, stage)
    divides = _chosen(state, stage, age, life, atlas)
    stage = np.where(divides, Stage.MITOSIS, stage)
    elapsed_t = np.where(unpacked | died | divides, 0, elapsed_t)
    state = replace(state, age=age, stage=stage, elapsed_t=elapsed_t)
    if gone.any() or split.any():
        return _replaced(state, rng, gone, split, life, kin, atlas)
    return state


def bodies(state: State, life: Life, atlas: Atlas) -> tuple[_Ids, _Numbers]:
    """Return which of the atlas' shapes each individual shows, and how much of its light is left.

    int64 (n,) and float64 (n,).
    """
    traits, stage = state.traits, state.stage
    shape = atlas.living(traits.form, _level(state.age, atlas))
    light = np.ones(len(shape))
    if not stage.any():
        return shape, light
    if atlas.mitoses:
        late = (2 * state.elapsed_t >= life.mitosis_t).astype(np.int64)
        dividing = atlas.dividing(_spindle(traits.track_ids, atlas), late)
        newborn = atlas.dividing(_spindle(traits.parent_ids, atlas), np.full_like(late, 2))
        shape = np.where(stage == Stage.MITOSIS, dividing, shape)
        shape = np.where(stage == Stage.NEWBORN, newborn, shape)
    if atlas.deaths:
        since_t = np.minimum(state.elapsed_t, DYING_T - 1)
        dying = atlas.dying(traits.track_ids % atlas.deaths, _DYING_STAGE[since_t])
        shape = np.where(stage == Stage.DYING, dying, shape)
        light = np.where(stage == Stage.DYING, _DYING_LIGHT[since_t], light)
    return shape, light


def room_sizes(state: State, atlas: Atlas) -> _Numbers:
    """Return the room that each takes: a diameter relative to its form's, float64 (n,)."""
    size = atlas.sizes[_level(state.age, atlas)]
    return np.where(state.stage == Stage.DYING, _DYING_ROOM * size, size)


def _level(age: _Numbers, atlas: Atlas) -> _Ids:
    levels = len(atlas.sizes)
    return np.minimum((age * levels).astype(np.int64), levels - 1)


def _spindle(track_ids: _Ids, atlas: Atlas) -> _Ids:
    return (_TURN * track_ids) % atlas.mitoses


def _older(state: State, life: Life) -> _Numbers:
    if not life.cycle_t:
        return np.minimum(state.age + life.grow, 1.0)
    growing_t = state.traits.period_t - (life.mitosis_t + life.newborn_t)
    return state.age + 1.0 / np.maximum(growing_t, 1.0)


def _chosen(state: State, stage: _Ids, age: _Numbers, life: Life, atlas: Atlas) -> _Flags:
    """Which of the grown begin to divide: those that wait longest, as far as there is room."""
    chosen = np.zeros(len(age), dtype=np.bool_)
    ready = np.flatnonzero((stage == Stage.LIVING) & (age >= 1.0)) if life.cycle_t else ()
    if not len(ready):
        return chosen
    alive = stage != Stage.DYING
    area_um2 = atlas.area_um2[atlas.living(state.traits.form, _level(age, atlas))][alive].sum()
    if area_um2 >= life.crowded_um2:
        return chosen
    count = int(alive.sum()) + int((stage == Stage.MITOSIS).sum())
    order = np.argsort(-age[ready], kind="stable")
    chosen[ready[order[: max(life.most - count, 0)]]] = True
    return chosen


def _replaced(
    state: State,
    rng: np.random.Generator,
    gone: _Flags,
    split: _Flags,
    life: Life,
    kin: Kin,
    atlas: Atlas,
) -> State:
    keep, mothers = np.flatnonzero(~(gone | split)), np.flatnonzero(split)
    parents = joined(state.traits, mothers)
    daughters = born(rng, parents, state.next_id, kin)
    axis = _spindle_axis(parents, atlas)
    sign = np.tile([1.0, -1.0], len(mothers))[:, None]
    away_um = life.diameter_um * sign * np.repeat(axis, 2, axis=0)
    count = len(away_um)
    zeros = np.zeros(count, dtype=np.int64)
    return replace(
        state,
        next_id=state.next_id + count,
        traits=joined(state.traits, keep, daughters),
        position_um=np.concatenate(
            [
                state.position_um[keep],
                np.repeat(state.position_um[mothers], 2, axis=0) + life.apart * away_um,
            ]
        ),
        velocity_um=np.concatenate(
            [state.velocity_um[keep], np.repeat(state.velocity_um[mothers], 2, axis=0)]
        ),
        parting_um=np.concatenate([state.parting_um[keep], _PARTING * away_um]),
        age=np.concatenate([state.age[keep], np.zeros(count)]),
        stage=np.concatenate([state.stage[keep], zeros + Stage.NEWBORN]),
        elapsed_t=np.concatenate([state.elapsed_t[keep], zeros]),
    )


def _spindle_axis(mothers: Traits, atlas: Atlas) -> _Numbers:
    """Direction (n, 2) in which daughters part: across the plate."""
    angle_rad = math.pi * _spindle(mothers.track_ids, atlas) / atlas.mitoses
    return np.stack([np.cos(angle_rad), -np.sin(angle_rad)], axis=1)
