"""One cell: a nucleus in a wobbly body of cytoplasm, drawn as finely as asked for."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from dipstream_simulator.specimen import texture
from dipstream_simulator.specimen.lattice import Lattice
from dipstream_simulator.specimen.model import Grid
from dipstream_simulator.specimen.nucleus import DNA_STAINS, Nucleus
from dipstream_simulator.specimen.outline import Outline

__all__ = ["Cell", "fitted"]

_LEAST_DEPTH = 0.12  # of the nucleus' outline within the cell
_FITTING_PASSES = 40
_GRANULES = 0.45
_BLURRED_DEPTH = 0.2  # of the nucleus: over its flanks there still is some cytoplasm

_Field = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell; its outline's centroid is its origin.

    DNA stains show the nucleus. GFP fills the cytoplasm and is dimmer over the nucleus, RFP
    sits in organelles around the nucleus, Cy5 in the membrane; any other name is drawn as GFP.

    Attributes
    ----------
    outline
        Where the cell ends: the truth.
    nucleus, nucleus_um
        What is within, and where its centroid is, (y, x) in µm.
    texture_seed
        Fixes the cytoplasm.
    spread
        Whether it lies flat; a cell that divides or dies is round.
    """

    outline: Outline
    nucleus: Nucleus
    nucleus_um: tuple[float, float]
    texture_seed: int
    spread: bool = True

    @property
    def reach_um(self) -> float:
        """No part of the cell is farther from its centroid than this, in µm."""
        return self.outline.reach_um

    @property
    def area_um2(self) -> float:
        """Area within the outline, in µm²."""
        return self.outline.area_um2

    @property
    def dna_area_um2(self) -> float:
        """Area of the nucleus, in µm²."""
        return self.nucleus.area_um2

    def border_um(self) -> _Field:
        """Return points of the outline, float64 (n, 2): (y, x) from the centroid, in µm."""
        return self.outline.border_um()

    def depth(self, step_um: float, half: int) -> Grid:
        """Return how deep each sample lies in the cell, as `Shape.depth`."""
        return self.outline.depth(Lattice(step_um, half))

    def light(self, step_um: float, half: int) -> tuple[Grid, ...]:
        """Return relative brightness, as `Shape.light`: mean 1 within the cell's outline."""
        lattice = Lattice(step_um, half)
        depth = self.outline.depth(lattice)
        inside = depth > 0.0
        around = lattice.moved(self.nucleus_um)
        stains = tuple(name for name in self.nucleus.channels if name in DNA_STAINS)
        stained = dict(
            zip(stains, replace(self.nucleus, channels=stains).light_on(around), strict=True)
        )
        over = np.clip(self.nucleus.outline.depth(around) / _BLURRED_DEPTH, 0.0, 1.0)
        shown = (
            stained[name].astype(np.float64)
            if name in stained
            else self._cytoplasm(name, depth, over, lattice)
            for name in self.nucleus.channels
        )
        return tuple(texture.normalised(each, inside) for each in shown)

    def _cytoplasm(self, name: str, depth: Grid, over: Grid, lattice: Lattice) -> _Field:
        contrast = self.nucleus.contrast
        coarse = self._ripples(1.6, lattice, salt=0)
        if not self.spread:
            return texture.flattened(depth, 0.5) * np.exp(0.06 * contrast * coarse)
        # A thin skirt and a dome around the nucleus.
        thickness = 0.3 * texture.flattened(depth, 0.2) + 0.7 * texture.flattened(depth, 1.0)
        excluded = 1.0 - 0.55 * over
        if name == "RFP":
            granules = np.exp(contrast * _GRANULES * self._ripples(0.35, lattice, salt=1))
            return texture.flattened(depth, 1.0) ** 1.5 * granules * (1.0 - 0.85 * over)
        if name == "Cy5":
            rim: _Field = np.exp(-np.square((depth - 0.05) / 0.05))
            uneven = np.exp(0.1 * contrast * coarse)
            return np.asarray(texture.flattened(depth, 0.2) * (0.35 + rim) * uneven)
        fine = self._ripples(0.5, lattice, salt=1)
        return thickness * excluded * np.exp(contrast * (0.14 * coarse + 0.06 * fine))

    def _ripples(self, size_um: float, lattice: Lattice, *, salt: int) -> _Field:
        rng = np.random.default_rng([self.texture_seed, salt])
        return texture.ripples(rng, size_um, self.reach_um, lattice)


def fitted(
    outline: Outline,
    nucleus: Nucleus,
    nucleus_um: tuple[float, float],
    texture_seed: int,
    *,
    spread: bool,
) -> Cell:
    """Return a cell whose nucleus lies well within it: smaller and closer to its middle if need be.

    Parameters
    ----------
    outline, nucleus, nucleus_um, texture_seed, spread
        As they were drawn; see `Cell`.
    """
    y_um, x_um = nucleus_um
    for _ in range(_FITTING_PASSES):
        border_um = nucleus.border_um() + np.array([y_um, x_um])
        if outline.depth_at(border_um[:, 0], border_um[:, 1]).min() >= _LEAST_DEPTH:
            break
        y_um, x_um = 0.9 * y_um, 0.9 * x_um
        nucleus = replace(nucleus, outline=nucleus.outline.scaled(0.96))
    return Cell(outline, nucleus, (y_um, x_um), texture_seed, spread)
