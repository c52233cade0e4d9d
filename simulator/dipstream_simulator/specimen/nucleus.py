"""One cell nucleus in any stage of its life, drawn as finely as asked for."""

import enum
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dipstream_simulator.specimen import texture
from dipstream_simulator.specimen.lattice import Lattice
from dipstream_simulator.specimen.outline import Outline, random_outline

__all__ = ["DNA_STAINS", "Look", "Nucleus", "random_nucleus"]

DNA_STAINS = frozenset({"DAPI", "Hoechst"})
"""Channels that show DNA; every other channel shows a protein, which some cells lack."""

_WOBBLE = (0.04, 0.05, 0.03)
_FLAT, _DOMED, _ROUND = 0.28, 0.4, 0.5
_MAX_NUCLEOLI = 3
_SPECKLES = 18

_Grid = npt.NDArray[np.float32]
_Field = npt.NDArray[np.float64]


class Look(enum.Enum):
    """How chromatin is packed."""

    INTERPHASE = "interphase"
    CONDENSED = "condensed"
    """Prometaphase: the chromosomes are seen, the envelope is gone."""
    PLATE = "plate"
    """Metaphase and anaphase: chromosomes side by side."""
    PYKNOTIC = "pyknotic"
    """Shrunken and smooth: the nucleus of a dying cell."""


@dataclass(frozen=True, slots=True)
class Nucleus:
    """A nucleus whose centroid is its origin.

    Attributes
    ----------
    outline
        Where it ends.
    texture_seed
        Fixes chromatin, nucleoli and speckles.
    channels
        Names of the channels that it is drawn for: DNA stains show chromatin, GFP a protein of
        the nucleoplasm, RFP one that gathers in speckles, Cy5 one of the envelope; any other
        name is drawn as GFP.
    look
        How chromatin is packed.
    contrast
        Of the texture: 0 = none, 1 = natural.
    """

    outline: Outline
    texture_seed: int
    channels: tuple[str, ...] = ("DAPI", "GFP")
    look: Look = Look.INTERPHASE
    contrast: float = 1.0

    @property
    def major_um(self) -> float:
        """Longer semi-axis, in µm."""
        return self.outline.major_um

    @property
    def minor_um(self) -> float:
        """Shorter semi-axis, in µm."""
        return self.outline.minor_um

    @property
    def angle_rad(self) -> float:
        """Direction of the longer axis, from +x towards +y."""
        return self.outline.angle_rad

    @property
    def reach_um(self) -> float:
        """No part of the nucleus is farther from its centroid than this, in µm."""
        return self.outline.reach_um

    @property
    def area_um2(self) -> float:
        """Area within the outline, in µm²."""
        return self.outline.area_um2

    @property
    def dna_area_um2(self) -> float:
        """Area that holds DNA, in µm²: all of it."""
        return self.outline.area_um2

    def border_um(self) -> _Field:
        """Return points of the outline, float64 (n, 2): (y, x) from the centroid, in µm."""
        return self.outline.border_um()

    def depth(self, step_um: float, half: int) -> _Grid:
        """Return how deep each point lies: 1 in the middle, 0 on the outline, negative outside.

        Parameters
        ----------
        step_um
            Distance between samples, in µm.
        half
            Samples from the centre to each edge.

        Returns
        -------
        ndarray
            (2·half + 1, 2·half + 1), float32; the nucleus' centroid is the middle sample.
        """
        return self.outline.depth(Lattice(step_um, half))

    def light(self, step_um: float, half: int) -> tuple[_Grid, ...]:
        """Return what shines in each of the channels.

        Returns
        -------
        tuple of ndarray
            Arrays as in `depth`, relative brightness with mean 1 within the outline and 0
            outside.
        """
        return self.light_on(Lattice(step_um, half))

    def light_on(self, lattice: Lattice) -> tuple[_Grid, ...]:
        """Return what shines in each of the channels, on any lattice."""
        depth = self.outline.depth(lattice)
        inside = depth > 0.0
        drawn = {
            kind: texture.normalised(self._part(kind, depth, lattice), inside)
            for kind in {_kind(channel) for channel in self.channels}
        }
        return tuple(drawn[_kind(channel)] for channel in self.channels)

    def _part(self, kind: str, depth: _Grid, lattice: Lattice) -> _Field:
        if self.look is Look.PYKNOTIC:
            return texture.flattened(depth, _ROUND)
        if self.look is Look.INTERPHASE:
            return self._interphase(kind, depth, lattice)
        # Without an envelope, proteins spread evenly among the chromosomes.
        if kind != "chromatin":
            return texture.flattened(depth, _DOMED)
        clumps = self._ripples(0.4, lattice, salt=3)
        strength = 0.35 if self.look is Look.CONDENSED else 0.15
        return texture.flattened(depth, _DOMED) * np.exp(self.contrast * strength * clumps)

    def _interphase(self, kind: str, depth: _Grid, lattice: Lattice) -> _Field:
        contrast = self.contrast
        coarse = self._ripples(0.7, lattice, salt=0)
        thickness = texture.flattened(depth, _FLAT)
        holes = np.minimum(contrast * self._nucleoli(lattice), 1.6)
        if kind == "chromatin":
            fine = self._ripples(0.3, lattice, salt=1)
            uneven = np.exp(contrast * (0.18 * coarse + 0.10 * fine))
            return thickness * uneven * (1.0 - 0.35 * holes)
        body = thickness * np.exp(contrast * 0.08 * coarse) * (1.0 - 0.55 * holes)
        if kind == "speckles":
            return body * (1.0 + contrast * 0.6 * self._speckles(lattice))
        if kind == "lamina":
            # The envelope is seen edge-on along the outline.
            rim: _Field = np.exp(-np.square((depth - 0.1) / 0.08))
            return np.asarray(body * (1.0 + contrast * 1.5 * rim), dtype=np.float64)
        return body

    def _ripples(self, size_um: float, lattice: Lattice, *, salt: int) -> _Field:
        rng = np.random.default_rng([self.texture_seed, salt])
        return texture.ripples(rng, size_um, self.reach_um, lattice)

    def _nucleoli(self, lattice: Lattice) -> _Field:
        rng = np.random.default_rng([self.texture_seed, 2])
        small_um = self.minor_um
        return texture.spots(
            rng,
            int(rng.integers(1, _MAX_NUCLEOLI + 1)),
            within_um=0.45 * small_um,
            sigma_um=(0.07 * small_um, 0.13 * small_um),
            lattice=lattice,
        )

    def _speckles(self, lattice: Lattice) -> _Field:
        rng = np.random.default_rng([self.texture_seed, 4])
        small_um = self.minor_um
        return texture.spots(
            rng,
            _SPECKLES,
            within_um=0.65 * small_um,
            sigma_um=(0.05 * small_um, 0.11 * small_um),
            lattice=lattice,
        )


def random_nucleus(
    rng: np.random.Generator,
    diameter_um: float,
    channels: tuple[str, ...] = ("DAPI", "GFP"),
    *,
    contrast: float = 1.0,
) -> Nucleus:
    """Draw a nucleus whose area is, on average, near that of a disk of this diameter in µm."""
    outline = random_outline(rng, diameter_um, spread=0.12, stretch=1.6, wobble=_WOBBLE)
    return Nucleus(outline, int(rng.integers(2**32)), channels, contrast=contrast)


def _kind(channel: str) -> str:
    if channel in DNA_STAINS:
        return "chromatin"
    return {"RFP": "speckles", "Cy5": "lamina"}.get(channel, "nucleoplasm")
