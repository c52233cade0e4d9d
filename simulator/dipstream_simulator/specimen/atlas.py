"""All bodies that a living specimen can show, with what motion and light need to know of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from dipstream_simulator.specimen.model import Grid, Shape

__all__ = ["DIRECTIONS", "Atlas", "Body", "Moment", "Scaled", "make_atlas"]

DIRECTIONS = 64
"""Into how many directions a body's support is known."""

_Numbers = npt.NDArray[np.float64]
_Ids = npt.NDArray[np.int64]


class Body(Shape, Protocol):
    """A shape that takes room and holds DNA."""

    @property
    def area_um2(self) -> float:
        """Area within the outline, in µm²."""
        ...

    @property
    def dna_area_um2(self) -> float:
        """Area of the nucleus within it, in µm²."""
        ...

    def border_um(self) -> _Numbers:
        """Return points of the outline, float64 (n, 2): (y, x) from the centroid, in µm."""
        ...


@dataclass(frozen=True, slots=True)
class Scaled:
    """The same body, larger or smaller: all lengths are multiplied."""

    body: Body
    factor: float

    @property
    def reach_um(self) -> float:
        """No part is farther from the centroid than this, in µm."""
        return self.factor * self.body.reach_um

    @property
    def area_um2(self) -> float:
        """Area within the outline, in µm²."""
        return self.factor**2 * self.body.area_um2

    @property
    def dna_area_um2(self) -> float:
        """Area of the nucleus within it, in µm²."""
        return self.factor**2 * self.body.dna_area_um2

    def border_um(self) -> _Numbers:
        """Return points of the outline, float64 (n, 2): (y, x) from the centroid, in µm."""
        return self.factor * self.body.border_um()

    def depth(self, step_um: float, half: int) -> Grid:
        """Return how deep each sample lies, as `Shape.depth`."""
        return self.body.depth(step_um / self.factor, half)

    def light(self, step_um: float, half: int) -> tuple[Grid, ...]:
        """Return relative brightness, as `Shape.light`; the mean within the outline stays 1."""
        return self.body.light(step_um / self.factor, half)


@dataclass(frozen=True, slots=True, eq=False)
class Atlas:
    """The bodies in one row: forms × sizes, then mitoses × 3 stages, then deaths × 3 stages.

    Attributes
    ----------
    shapes
        All bodies.
    forms, mitoses, deaths
        How many distinct individuals there are of each kind.
    sizes
        float64 (levels,): diameter of each level, relative to the form's own.
    half_um
        float64 (shapes, 2): how far each body extends from its centroid along y and x.
    support_um
        float64 (forms, DIRECTIONS): how far a form extends into each direction, from +x to +y.
    gain
        float64 (shapes, channels): how bright each body is, relative to a typical one.
    area_um2
        float64 (shapes,).
    """

    shapes: tuple[Body, ...]
    forms: int
    mitoses: int
    deaths: int
    sizes: _Numbers
    half_um: _Numbers
    support_um: _Numbers
    gain: _Numbers
    area_um2: _Numbers

    def living(self, form: _Ids, level: _Ids) -> _Ids:
        """Return the index of each form at a level of size."""
        return form * len(self.sizes) + level

    def dividing(self, which: _Ids, stage: _Ids) -> _Ids:
        """Return the index of each mitosis at stage 0 (condensed), 1 (plate), 2 (daughter)."""
        return self.forms * len(self.sizes) + which * 3 + stage

    def dying(self, which: _Ids, stage: _Ids) -> _Ids:
        """Return the index of each death at stage 0, 1 (shrinking), 2 (in pieces)."""
        return self.forms * len(self.sizes) + self.mitoses * 3 + which * 3 + stage


@dataclass(frozen=True, slots=True)
class Moment:
    """How an individual looks at one stage of a division or a death.

    Attributes
    ----------
    body
        What is seen.
    dna
        How much DNA it holds, relative to a typical resting nucleus: packed into a smaller body
        the same DNA shines brighter.
    protein
        Brightness in the other channels.
    """

    body: Body
    dna: float
    protein: float


def make_atlas(
    forms: Sequence[Body],
    sizes: Sequence[float],
    dna: npt.NDArray[np.bool_],
    divisions: Sequence[Moment] = (),
    deaths: Sequence[Moment] = (),
) -> Atlas:
    """Put bodies in order and measure them.

    Parameters
    ----------
    forms
        The individuals between divisions.
    sizes
        Relative diameters of the levels that each of them passes through.
    dna
        bool (channels,): which channels show DNA. Of a form they show the nucleus, with mean 1.
    divisions, deaths
        Three moments for each of them.
    """
    grown = [Scaled(form, size) if size != 1.0 else form for form in forms for size in sizes]
    moments = (*divisions, *deaths)
    shapes = (*grown, *(moment.body for moment in moments))
    typical_um2 = float(np.mean([form.dna_area_um2 for form in forms]))
    gains = [np.where(dna, body.dna_area_um2 / body.area_um2, 1.0) for body in grown]
    gains += [
        np.where(dna, moment.dna * typical_um2 / moment.body.area_um2, moment.protein)
        for moment in moments
    ]
    borders = [body.border_um() for body in shapes]
    phi = np.arange(DIRECTIONS) * (2.0 * np.pi / DIRECTIONS)
    towards = np.stack([np.sin(phi), np.cos(phi)])
    return Atlas(
        shapes=shapes,
        forms=len(forms),
        mitoses=len(divisions) // 3,
        deaths=len(deaths) // 3,
        sizes=np.asarray(sizes, dtype=np.float64),
        half_um=np.array([np.abs(border).max(axis=0) for border in borders]).reshape(-1, 2),
        support_um=np.array([(form.border_um() @ towards).max(axis=0) for form in forms]).reshape(
            -1, DIRECTIONS
        ),
        gain=np.array(gains, dtype=np.float64).reshape(len(shapes), -1),
        area_um2=np.array([body.area_um2 for body in shapes], dtype=np.float64),
    )
