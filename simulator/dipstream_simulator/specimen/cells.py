"""Whole cells: a nucleus in a wobbly body of cytoplasm."""

import math
from dataclasses import dataclass, replace

import numpy as np

from dipstream.errors import SourceError
from dipstream_simulator.limits import require_between
from dipstream_simulator.specimen.atlas import Moment, make_atlas
from dipstream_simulator.specimen.cell import Cell, fitted
from dipstream_simulator.specimen.habits import Habits
from dipstream_simulator.specimen.individuals import dna_channels
from dipstream_simulator.specimen.living import Living
from dipstream_simulator.specimen.model import CHANNELS, Channel
from dipstream_simulator.specimen.nucleus import Nucleus, random_nucleus
from dipstream_simulator.specimen.outline import random_outline
from dipstream_simulator.specimen.population import (
    DEATHS,
    GROWN,
    MITOSES,
    SHRUNKEN,
    condensed,
    packed,
    shrunken,
)
from dipstream_simulator.specimen.walk import Motion

__all__ = ["cells"]

_WOBBLE = (0.08, 0.09, 0.06, 0.05)
_BLEBS = (0.04, 0.05, 0.08, 0.1, 0.1)
_DEATH = ((0.75, SHRUNKEN[0], _WOBBLE), (0.6, SHRUNKEN[1], _WOBBLE), (0.55, 0.45, _BLEBS))
"""Diameters of a dying cell and of its nucleus, and the cell's ripples, stage by stage."""

_ROUNDED = 0.8  # diameter of a dividing cell, relative to the same cell when it is spread
_LARGEST_NUCLEUS = 0.7
_APART = 0.32  # diameters
_ASIDE = 0.08  # of a diameter: how far the nucleus may lie from the middle, along y and x
_ASKEW_RAD = 0.4  # how much the axes of cell and nucleus may differ


def cells(
    seed: int,
    n: int,
    *,
    extent_um: tuple[float, float],
    channels: tuple[Channel, ...] = (CHANNELS["DAPI"], CHANNELS["GFP"]),
    cell_um: float = 20.0,
    nucleus_um: float = 10.0,
    motion: Motion = "persistent",
    step_um: float = 0.8,
    drift_um: tuple[float, float] = (0.0, 0.0),
    overlap: float = 0.0,
    z_spread_um: float = 0.0,
    contrast: float = 1.0,
    cycle_t: int = 0,
    death_rate: float = 0.0,
    grow: float = 0.0,
    negative: float = 0.0,
) -> Living:
    """Put whole cells on the stage: the truth is the cell, DAPI shows its nucleus.

    They live like `dipstream_simulator.specimen.population.nuclei`: see there for the other
    parameters. A dividing cell rounds up and shines brighter, as its protein does not change.

    Parameters
    ----------
    seed, n, extent_um, channels
        As for nuclei.
    cell_um, nucleus_um
        Typical diameters of the cell, 4 to 100, and of its nucleus, in µm.
    motion, step_um, drift_um, overlap, z_spread_um, contrast, cycle_t, death_rate, grow
        As for nuclei.
    negative
        Share, 0 to 1, of the cells that hardly express a protein; none, so that all are seen.

    Raises
    ------
    SourceError
        If a value is outside its limits, or if two of them contradict each other.
    """
    habits = Habits(
        seed=seed,
        n=n,
        extent_um=extent_um,
        channels=channels,
        motion=motion,
        step_um=step_um,
        drift_um=drift_um,
        overlap=overlap,
        z_spread_um=z_spread_um,
        contrast=contrast,
        cycle_t=cycle_t,
        death_rate=death_rate,
        grow=grow,
        negative=negative,
    )
    require_between("cell_um", cell_um, 4.0, 100.0, example=20)
    require_between("nucleus_um", nucleus_um, 2.0, 50.0, example=10)
    if nucleus_um > _LARGEST_NUCLEUS * cell_um:
        raise SourceError(
            f"The simulated camera received nucleus_um={nucleus_um:g} and cell_um={cell_um:g}; "
            f"allowed are nuclei of up to {_LARGEST_NUCLEUS:g} of the cell's diameter. "
            f"Write for instance nucleus_um={0.5 * cell_um:g}"
        )
    draw = _Drawer(
        np.random.default_rng([seed, 1]),
        cell_um,
        nucleus_um,
        tuple(channel.name for channel in channels),
        contrast,
    )
    drawn = (draw.resting() for _ in range(habits.forms))
    forms = sorted(drawn, key=lambda form: form.area_um2) if cycle_t else list(drawn)
    divisions = [each for k in range(MITOSES if cycle_t else 0) for each in draw.division(k)]
    deaths = [each for _ in range(DEATHS if death_rate else 0) for each in draw.death()]
    atlas = make_atlas(forms, habits.sizes, dna_channels(channels), divisions, deaths)
    return habits.populate(atlas, cell_um, apart=_APART)


@dataclass(frozen=True, slots=True)
class _Drawer:
    """Draws cells at all stages of their lives."""

    rng: np.random.Generator
    cell_um: float
    nucleus_um: float
    names: tuple[str, ...]
    contrast: float

    def resting(self) -> Cell:
        """Draw a spread cell."""
        rng = self.rng
        outline = random_outline(rng, self.cell_um, spread=0.12, stretch=1.8, wobble=_WOBBLE)
        nucleus = random_nucleus(rng, self.nucleus_um, self.names, contrast=self.contrast)
        angle_rad = outline.angle_rad + float(rng.uniform(-_ASKEW_RAD, _ASKEW_RAD))
        nucleus = replace(nucleus, outline=replace(nucleus.outline, angle_rad=angle_rad))
        y_um, x_um = (rng.uniform(-_ASIDE, _ASIDE, 2) * self.cell_um).tolist()
        return fitted(outline, nucleus, (y_um, x_um), self._seed(), spread=True)

    def division(self, which: int) -> list[Moment]:
        """Draw a mother with condensed chromosomes, with a plate, and a daughter."""
        rng, names, nucleus_um = self.rng, self.names, self.nucleus_um
        grown_um = _ROUNDED * GROWN * self.cell_um
        inner = (
            condensed(rng, nucleus_um, names, self.contrast),
            packed(rng, nucleus_um, names, which),
            packed(rng, nucleus_um, names, which, half=True),
        )
        protein = 1.0 / _ROUNDED**2
        halves = (1.0, 1.0, 0.5)
        return [
            Moment(
                self._round(math.sqrt(half) * grown_um, nucleus, (0.02, 0.02)),
                half * GROWN**2,
                protein,
            )
            for nucleus, half in zip(inner, halves, strict=True)
        ]

    def death(self) -> list[Moment]:
        """Draw a cell that shrinks, shrinks more, and blebs."""
        moments = []
        for size, inner, wobble in _DEATH:
            nucleus = shrunken(self.rng, inner * self.nucleus_um, self.names)
            cell = self._round(size * self.cell_um, nucleus, wobble)
            moments.append(Moment(cell, 1.0, 0.7 / size**2))
        return moments

    def _round(self, diameter_um: float, nucleus: Nucleus, wobble: tuple[float, ...]) -> Cell:
        outline = random_outline(self.rng, diameter_um, spread=0.0, stretch=1.1, wobble=wobble)
        return fitted(outline, nucleus, (0.0, 0.0), self._seed(), spread=False)

    def _seed(self) -> int:
        return int(self.rng.integers(2**32))
