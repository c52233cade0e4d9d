"""Who lives: what each individual is for life, and what it is at one time."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dipstream_simulator.specimen.model import Channel
from dipstream_simulator.specimen.nucleus import DNA_STAINS

__all__ = ["Kin", "State", "Traits", "born", "dna_channels", "founders", "joined"]

_SOCIABLE_SHARE = 0.4
_DNA_SIGMA = 0.2
_EXPRESSION_SIGMA = 0.6
_NEGATIVE_LEVEL = 0.04
_HEREDITY = 0.9  # how much of a mother's brightness her daughters inherit: a correlation
_PERIOD_SPREAD = 0.15
_LITTER_SPREAD = 3  # forms between a mother and her daughter

_Numbers = npt.NDArray[np.float64]
_Ids = npt.NDArray[np.int64]
_Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Kin:
    """What all individuals of a specimen have in common.

    Attributes
    ----------
    channels
        What they are seen in.
    forms
        How many distinct looks there are.
    space_um
        How far most keep others from their outline, in µm; the sociable ones let them touch.
    overlap
        Share of the individuals, 0 to 1, that lie over or under others.
    z_spread_um
        Standard deviation of their height, in µm.
    cycle_t
        Time points from birth to division, on average; 0 = none divides.
    negative
        Share of the individuals, 0 to 1, that hardly express a protein.
    """

    channels: tuple[Channel, ...]
    forms: int
    space_um: float
    overlap: float
    z_spread_um: float
    cycle_t: int
    negative: float


@dataclass(frozen=True, slots=True, eq=False)
class Traits:
    """What n individuals are for life; arrays of length n.

    Attributes
    ----------
    track_ids, parent_ids
        int64, from 1 on; 0 = no parent.
    form
        int64: which of the atlas' forms.
    period_t
        float64: time points from birth to division.
    z_um, clearance_um
        float64: height, and how far others are kept from the outline.
    apart
        bool: whether it keeps out of the others' way.
    latent
        float64 (n, channels), standard normal: where it stands among all in brightness.
    negative
        bool (n, channels): hardly expresses the protein.
    brightness
        float64 (n, channels), relative to a typical individual.
    """

    track_ids: _Ids
    parent_ids: _Ids
    form: _Ids
    period_t: _Numbers
    z_um: _Numbers
    clearance_um: _Numbers
    apart: _Flags
    latent: _Numbers
    negative: _Flags
    brightness: _Numbers


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """The n individuals at one time; arrays of length n.

    Attributes
    ----------
    t
        The time point.
    next_id
        The track id that the next newborn gets.
    traits
        Who they are.
    position_um, velocity_um, parting_um
        float64 (n, 2), (y, x): centroids from the specimen's middle; velocity and what is left
        of the push that parts sisters, a time point.
    age
        float64: 0 at birth, 1 when ready to divide; more = waiting for room.
    stage, elapsed_t
        int64: see `dipstream_simulator.specimen.cycle.Stage`; time points since it began.
    """

    t: int
    next_id: int
    traits: Traits
    position_um: _Numbers
    velocity_um: _Numbers
    parting_um: _Numbers
    age: _Numbers
    stage: _Ids
    elapsed_t: _Ids


def dna_channels(channels: tuple[Channel, ...]) -> _Flags:
    """Return which channels show DNA, bool (channels,)."""
    return np.array([channel.name in DNA_STAINS for channel in channels], dtype=np.bool_)


def founders(rng: np.random.Generator, n: int, kin: Kin) -> Traits:
    """Draw n individuals without parents.

    DNA content varies by 20 % (lognormal). Expression is lognormal with σ = 0.6 and independent
    of it; a share of the individuals express next to nothing.
    """
    dna = dna_channels(kin.channels)
    latent = rng.standard_normal((n, len(dna)))
    negative = (rng.random((n, len(dna))) < kin.negative) & ~dna
    return Traits(
        track_ids=np.arange(1, n + 1, dtype=np.int64),
        parent_ids=np.zeros(n, dtype=np.int64),
        form=np.arange(n, dtype=np.int64) % max(kin.forms, 1),
        period_t=_periods(rng, n, kin),
        z_um=kin.z_spread_um * rng.standard_normal(n).clip(-3.0, 3.0),
        clearance_um=_clearances(rng, n, kin),
        apart=rng.random(n) >= kin.overlap,
        latent=latent,
        negative=negative,
        brightness=_brightness(latent, negative, dna),
    )


def born(rng: np.random.Generator, mothers: Traits, first_id: int, kin: Kin) -> Traits:
    """Draw two daughters of each mother, sisters next to each other: similar, not the same."""
    n = 2 * len(mothers.track_ids)
    dna = dna_channels(kin.channels)
    negative = np.repeat(mothers.negative, 2, axis=0)
    # Some forget, or in the end all would descend from one that does, or does not, express.
    forgets = rng.random(negative.shape) > _HEREDITY
    anew = rng.random(negative.shape) < kin.negative
    negative = np.where(forgets, anew & ~dna, negative)
    latent = _HEREDITY * np.repeat(mothers.latent, 2, axis=0)
    latent += math.sqrt(1.0 - _HEREDITY**2) * rng.standard_normal(latent.shape)
    return Traits(
        track_ids=np.arange(first_id, first_id + n, dtype=np.int64),
        parent_ids=np.repeat(mothers.track_ids, 2),
        form=_similar(rng, mothers.form, kin.forms),
        period_t=_periods(rng, n, kin),
        z_um=np.repeat(mothers.z_um, 2),
        clearance_um=_clearances(rng, n, kin),
        apart=np.repeat(mothers.apart, 2),
        latent=latent,
        negative=negative,
        brightness=_brightness(latent, negative, dna),
    )


def joined(first: Traits, keep: npt.NDArray[np.intp], second: Traits | None = None) -> Traits:
    """Return some of the first, in order, and then all of the second."""
    kept = (getattr(first, name)[keep] for name in _TRAITS)
    if second is None:
        return Traits(*kept)
    added = (getattr(second, name) for name in _TRAITS)
    return Traits(*(np.concatenate(pair) for pair in zip(kept, added, strict=True)))


_TRAITS = tuple(Traits.__dataclass_fields__)


def _similar(rng: np.random.Generator, form: _Ids, forms: int) -> _Ids:
    """Two forms close to each mother's: one smaller, one larger, as the atlas has them in order."""
    step = rng.integers(1, _LITTER_SPREAD + 1, size=2 * len(form))
    turn = np.repeat(rng.choice(np.array([-1, 1]), size=len(form)), 2)
    turn[1::2] *= -1
    # Mirrored at both ends, so that all forms stay equally common.
    near = np.repeat(form, 2) + turn * step
    near = np.where(near < 0, -1 - near, near)
    return np.clip(np.where(near >= forms, 2 * forms - 1 - near, near), 0, forms - 1)


def _periods(rng: np.random.Generator, n: int, kin: Kin) -> _Numbers:
    return kin.cycle_t * rng.normal(1.0, _PERIOD_SPREAD, n).clip(0.6, 1.4)


def _clearances(rng: np.random.Generator, n: int, kin: Kin) -> _Numbers:
    return np.where(rng.random(n) < _SOCIABLE_SHARE, 0.0, kin.space_um)


def _brightness(latent: _Numbers, negative: _Flags, dna: _Flags) -> _Numbers:
    level = np.exp(np.where(dna, _DNA_SIGMA, _EXPRESSION_SIGMA) * latent)
    return np.where(negative, _NEGATIVE_LEVEL, 1.0) * level
