"""Curved filaments, as of actin or microtubules: worm-like chains, drawn as thin lines."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dipstream_simulator.limits import require_between
from dipstream_simulator.specimen.drawn import Drawn
from dipstream_simulator.specimen.flat import require_extent
from dipstream_simulator.specimen.model import Channel

__all__ = ["Chains", "FilamentCanvas", "filaments", "worm_like_chains"]

_SEGMENT_UM = 0.05
_LENGTH_SPREAD = 0.3
_Grid = npt.NDArray[np.float32]
_Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Chains:
    """The segments of all filaments.

    Attributes
    ----------
    y_um, x_um
        float64 (m,): middles of the segments.
    along_y_um, along_x_um
        float64 (m,): from one end of each segment to the other.
    filament
        int64 (m,): from 1 on.
    """

    y_um: _Numbers
    x_um: _Numbers
    along_y_um: _Numbers
    along_x_um: _Numbers
    filament: npt.NDArray[np.int64]

    @property
    def length_um(self) -> float:
        """Of all filaments together, in µm."""
        return float(np.hypot(self.along_y_um, self.along_x_um).sum())

    def finer(self, spacing_um: float, near: npt.NDArray[np.bool_]) -> tuple[_Numbers, _Numbers]:
        """Return points (y, x) that share the segments in `near` evenly, at most so far apart.

        Each is (k, m): k points on each of m segments.
        """
        count = max(1, math.ceil(_SEGMENT_UM / spacing_um))
        share = ((np.arange(count) + 0.5) / count - 0.5)[:, None]
        y_um = self.y_um[near] + share * self.along_y_um[near]
        x_um = self.x_um[near] + share * self.along_x_um[near]
        return y_um, x_um

    def near(self, y_um: _Numbers, x_um: _Numbers, margin_um: float) -> npt.NDArray[np.bool_]:
        """Tell which segments lie in the rectangle of a grid, with a margin."""
        return np.asarray(
            (self.y_um > y_um[0] - margin_um)
            & (self.y_um < y_um[-1] + margin_um)
            & (self.x_um > x_um[0] - margin_um)
            & (self.x_um < x_um[-1] + margin_um)
        )


def worm_like_chains(
    rng: np.random.Generator,
    n: int,
    extent_um: tuple[float, float],
    length_um: float,
    persistence_um: float,
) -> Chains:
    """Draw n chains that bend at random, with their middles anywhere in the field.

    In a plane, the direction of a worm-like chain diffuses along its contour with a variance of
    s / persistence, so that ⟨cos θ(s)⟩ = exp(−s / 2·persistence) (Kratky & Porod 1949; for two
    dimensions Rivetti et al. 1996, J. Mol. Biol. 264:919).
    """
    lengths_um = length_um * np.clip(rng.normal(1.0, _LENGTH_SPREAD, n), 0.3, 2.0)
    counts = np.maximum(2, np.round(lengths_um / _SEGMENT_UM).astype(np.int64))
    parts = []
    for filament, count in enumerate(counts.tolist(), start=1):
        bend_rad = math.sqrt(_SEGMENT_UM / persistence_um) * rng.standard_normal(count)
        bend_rad[0] = rng.uniform(-math.pi, math.pi)
        direction_rad = np.cumsum(bend_rad)
        along = _SEGMENT_UM * np.stack([np.sin(direction_rad), np.cos(direction_rad)])
        middles = np.cumsum(along, axis=1) - along / 2
        anchor = np.array([[rng.uniform(-0.5, 0.5) * extent] for extent in extent_um])
        middles += anchor - middles[:, count // 2, None]
        parts.append(np.concatenate([middles, along, np.full((1, count), filament)]))
    joined = np.concatenate(parts, axis=1) if parts else np.zeros((5, 0))
    return Chains(joined[0], joined[1], joined[2], joined[3], joined[4].astype(np.int64))


@dataclass(frozen=True, slots=True, eq=False)
class FilamentCanvas:
    """Thin lines of uniform light.

    Attributes
    ----------
    chains
        Where they are.
    light_per_um
        Light of a µm of filament: µm² of brightness 1.
    truth_radius_um
        What lies closer to a filament belongs to it.
    extent_um
        Filaments end at the border of the field.
    """

    chains: Chains
    light_per_um: float
    truth_radius_um: float
    extent_um: tuple[float, float]

    def draw(self, y_um: _Numbers, x_um: _Numbers, channel: int) -> _Grid:  # noqa: ARG002
        """Return relative brightness per µm²; each point is shared by the four samples around it.

        That conserves light and its centre, however coarse the grid.
        """
        step_um = float(y_um[1] - y_um[0])
        near = self.chains.near(y_um, x_um, 2 * step_um) & self._within_field()
        y, x = self.chains.finer(step_um / 2, near)
        light = self.light_per_um * _SEGMENT_UM / len(y) / step_um**2
        row, y_share = _cell((y.ravel() - y_um[0]) / step_um)
        column, x_share = _cell((x.ravel() - x_um[0]) / step_um)
        size = (len(y_um) + 2, len(x_um) + 2)  # a border for what lies half outside
        drawn = np.zeros(size[0] * size[1])
        inside = (row >= -1) & (row < len(y_um)) & (column >= -1) & (column < len(x_um))
        first = ((row + 1) * size[1] + column + 1)[inside]
        y_share, x_share = y_share[inside], x_share[inside]
        for down, right in ((0, 0), (0, 1), (1, 0), (1, 1)):
            share = np.abs(1 - down - y_share) * np.abs(1 - right - x_share)
            drawn += np.bincount(first + down * size[1] + right, share, len(drawn))
        return np.asarray(light * drawn.reshape(size)[1:-1, 1:-1], dtype=np.float32)

    def labels(self, y_um: _Numbers, x_um: _Numbers) -> npt.NDArray[np.int32]:
        """Return the nearest filament within the truth's radius, or that crosses the sample."""
        step_um = float(y_um[1] - y_um[0])
        radius_um = max(self.truth_radius_um, 0.71 * step_um)  # or a line would have gaps
        near = self.chains.near(y_um, x_um, radius_um) & self._within_field()
        y, x = self.chains.finer(step_um / 4, near)
        filament = np.broadcast_to(self.chains.filament[near], y.shape).ravel()
        y, x = (y.ravel() - y_um[0]) / step_um, (x.ravel() - x_um[0]) / step_um
        row, column = np.round(y).astype(np.int64), np.round(x).astype(np.int64)
        reach = math.ceil(radius_um / step_um)
        labels = np.zeros((len(y_um), len(x_um)), dtype=np.int32)
        nearest = np.full(labels.shape, (radius_um / step_um) ** 2)
        for down in range(-reach, reach + 1):
            for right in range(-reach, reach + 1):
                to_row, to_column = row + down, column + right
                squared = (to_row - y) ** 2 + (to_column - x) ** 2
                inside = (to_row >= 0) & (to_row < len(y_um))
                inside &= (to_column >= 0) & (to_column < len(x_um))
                _claim(
                    labels,
                    nearest,
                    (to_row[inside], to_column[inside]),
                    squared[inside],
                    filament[inside],
                )
        return labels

    def _within_field(self) -> npt.NDArray[np.bool_]:
        height_um, width_um = self.extent_um
        return np.asarray(
            (np.abs(self.chains.y_um) <= height_um / 2) & (np.abs(self.chains.x_um) <= width_um / 2)
        )


def filaments(
    seed: int,
    n: int,
    *,
    extent_um: tuple[float, float],
    channels: tuple[Channel, ...],
    length_um: float = 25.0,
    persistence_um: float = 15.0,
    light_per_um: float = 0.25,
    truth_radius_um: float = 0.2,
) -> Drawn:
    """Lay n curved filaments over the field, the same in every channel.

    Parameters
    ----------
    seed
        The same seed gives the same filaments.
    n
        How many, 0 to 5000.
    extent_um
        Height and width of the field, in µm.
    channels
        The channels they can be seen in.
    length_um
        Typical length, in µm, 0.5 to 1000; the standard deviation is 30 %.
    persistence_um
        Length along which the direction is remembered, in µm, 0.1 to 100000; actin has about 15.
    light_per_um
        Light of a µm of filament: as much as so many µm² of brightness 1, 0 to 1000.
    truth_radius_um
        Pixels whose middle is closer than this belong to the filament, and those it crosses.

    Raises
    ------
    SourceError
        If a value is outside its limits.
    """
    require_between("seed", seed, 0, 2**63 - 1, example=7)
    require_between("n", n, 0, 5000, example=40)
    require_extent(extent_um)
    require_between("length_um", length_um, 0.5, 1000.0, example=25)
    require_between("persistence_um", persistence_um, 0.1, 1e5, example=15)
    require_between("light_per_um", light_per_um, 0.0, 1000.0, example=0.25)
    require_between("truth_radius_um", truth_radius_um, 0.0, 50.0, example=0.2, open_low=True)
    rng = np.random.default_rng([seed, 13])
    chains = worm_like_chains(rng, n, extent_um, length_um, persistence_um)
    canvas = FilamentCanvas(chains, light_per_um, truth_radius_um, extent_um)
    return Drawn(channels, extent_um, canvas)


def _cell(place: _Numbers) -> tuple[npt.NDArray[np.int64], _Numbers]:
    """Return the sample below a place on a grid, and how far the place is beyond it, 0 to 1."""
    below = np.floor(place)
    return below.astype(np.int64), place - below


def _claim(
    labels: npt.NDArray[np.int32],
    nearest: _Numbers,
    where: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]],
    squared: _Numbers,
    filament: npt.NDArray[np.int64],
) -> None:
    """Give samples to filaments that are nearer than the nearest so far, in place."""
    np.minimum.at(nearest, where, squared)
    won = squared <= nearest[where]
    labels[where[0][won], where[1][won]] = filament[won]
