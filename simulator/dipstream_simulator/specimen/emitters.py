"""Blinking single molecules, as in localisation microscopy (PALM, STORM)."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from dipstream.errors import SourceError
from dipstream_simulator.limits import require_between
from dipstream_simulator.specimen.filaments import worm_like_chains
from dipstream_simulator.specimen.flat import require_extent
from dipstream_simulator.specimen.model import Channel, Objects, Shape
from dipstream_simulator.specimen.points import Point

__all__ = ["Blinking", "Emitters", "emitters"]

_EPOCH_T = 512  # time points that hang together; each epoch begins in equilibrium
_LINKER_UM = 0.0125  # how far an emitter sits from its filament: half a microtubule's width
_EMITTERS_PER_FILAMENT = 100
_Numbers = npt.NDArray[np.float64]
_Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Blinking:
    """How emitters switch.

    Attributes
    ----------
    on_t, off_t
        Mean number of time points on and off.
    bleach_t
        Mean time point at which an emitter goes out for ever; 0 = never.
    brightness_spread
        Standard deviation of the logarithm of the photons of each on time point; the mean is 1.
    """

    on_t: float
    off_t: float
    bleach_t: float
    brightness_spread: float

    @property
    def duty(self) -> float:
        """Share of the time that an emitter is on, before it bleaches."""
        return self.on_t / (self.on_t + self.off_t)


class Emitters:
    """Emitters on or off at each time: a Markov chain of two states for each of them.

    Within an epoch of 512 time points the chain is followed from the first; every epoch begins
    in equilibrium, so that any time can be asked for at once.

    Parameters
    ----------
    seed
        The same seed gives the same emitters.
    channels, extent_um
        As in `dipstream_simulator.specimen.model.Specimen`.
    place_um
        float64 (3, n): z, y, x of each emitter.
    blinking
        How they switch.
    truth_radius_um
        Radius of an emitter's disk in the truth, in µm.
    """

    def __init__(
        self,
        seed: int,
        channels: tuple[Channel, ...],
        extent_um: tuple[float, float],
        place_um: _Numbers,
        blinking: Blinking,
        truth_radius_um: float,
    ) -> None:
        self.channels, self.extent_um = channels, extent_um
        self.shapes: tuple[Shape, ...] = (Point(0.0, truth_radius_um, len(channels)),)
        self.blinking = blinking
        self._seed, self._place_um = seed, place_um
        self._truth_radius_um = truth_radius_um
        n = place_um.shape[1]
        life = np.asarray(np.random.default_rng([seed, 12, 0]).standard_exponential(n))
        self._bleached_t = life * blinking.bleach_t if blinking.bleach_t else np.full(n, np.inf)
        self._t, self._on = -1, np.zeros(n, dtype=np.bool_)

    @property
    def canvas(self) -> None:
        """None."""
        return

    def objects(self, t: int) -> Objects:
        """Return the emitters that are on at time point t ≥ 0; track i + 1 is emitter i."""
        on = np.flatnonzero(self._state(t) & (self._bleached_t > t))
        n = self._place_um.shape[1]
        spread = self.blinking.brightness_spread
        rng = np.random.default_rng([self._seed, 12, 2, t])
        photons = np.asarray(rng.lognormal(-0.5 * spread**2, spread, n))[on]
        return Objects(
            track_ids=on.astype(np.int64) + 1,
            parent_ids=np.zeros(len(on), dtype=np.int64),
            shape=np.zeros(len(on), dtype=np.int64),
            y_um=self._place_um[1, on],
            x_um=self._place_um[2, on],
            z_um=self._place_um[0, on],
            brightness=np.repeat(photons[:, None], len(self.channels), axis=1),
            counted=np.ones(len(on), dtype=np.bool_),
        )

    def fork(self) -> "Emitters":
        """Return the same emitters with a clock of their own."""
        return Emitters(
            self._seed,
            self.channels,
            self.extent_um,
            self._place_um,
            self.blinking,
            self._truth_radius_um,
        )

    def _state(self, t: int) -> _Flags:
        first = t - t % _EPOCH_T
        if not first <= self._t <= t:
            self._t, self._on = first, self._draw(first) < self.blinking.duty
        while self._t < t:
            self._t += 1
            stays = 1.0 - 1.0 / self.blinking.on_t
            # Leaving "off" as often as entering it: off spells are then off_t long on average.
            lights = 1.0 / self.blinking.off_t
            self._on = self._draw(self._t) < np.where(self._on, stays, lights)
        return self._on

    def _draw(self, t: int) -> _Numbers:
        draws = np.random.default_rng([self._seed, 12, 1, t]).random(self._place_um.shape[1])
        return np.asarray(draws, dtype=np.float64)


def emitters(
    seed: int,
    n: int,
    *,
    extent_um: tuple[float, float],
    channels: tuple[Channel, ...],
    on_t: float = 2.0,
    off_t: float = 100.0,
    bleach_t: float = 0.0,
    brightness_spread: float = 0.3,
    z_spread_um: float = 0.0,
    arrangement: Literal["filaments", "uniform"] = "filaments",
    truth_radius_um: float = 0.2,
) -> Emitters:
    """Label a structure with n blinking emitters.

    Parameters
    ----------
    seed
        The same seed gives the same emitters.
    n
        How many, 0 to 200000.
    extent_um
        Height and width of the field, in µm.
    channels
        The channels they can be seen in.
    on_t, off_t
        Mean number of time points that an emitter is on, 1 to 1000000, and off, 1 to 1000000.
    bleach_t
        Mean time point at which emitters go out for ever, 0 to 1000000000; 0 = never.
    brightness_spread
        Standard deviation of the logarithm of an emitter's photons at a time point, 0 to 2.
    z_spread_um
        Standard deviation of their height, in µm, 0 to 1000.
    arrangement
        On filaments (microtubules), a hundred on each, or anywhere.
    truth_radius_um
        Radius of an emitter's disk in the truth, in µm.

    Raises
    ------
    SourceError
        If a value is outside its limits.
    """
    require_between("seed", seed, 0, 2**63 - 1, example=7)
    require_between("n", n, 0, 200_000, example=2000)
    require_extent(extent_um)
    require_between("on_t", on_t, 1.0, 1e6, example=2)
    require_between("off_t", off_t, 1.0, 1e6, example=100)
    require_between("bleach_t", bleach_t, 0.0, 1e9, example=1000)
    require_between("brightness_spread", brightness_spread, 0.0, 2.0, example=0.3)
    require_between("z_spread_um", z_spread_um, 0.0, 1000.0, example=0.3)
    require_between("truth_radius_um", truth_radius_um, 0.0, 50.0, example=0.2, open_low=True)
    rng = np.random.default_rng([seed, 12])
    if arrangement == "filaments":
        y_um, x_um = _on_filaments(rng, n, extent_um)
    elif arrangement == "uniform":
        y_um, x_um = (rng.uniform(-0.5, 0.5, n) * extent for extent in extent_um)
    else:
        raise SourceError(
            f"The simulated camera received arrangement={arrangement!r}; allowed are filaments and "
            "uniform. Write for instance arrangement=uniform"
        )
    place_um = np.stack([z_spread_um * rng.standard_normal(n), y_um, x_um])
    blinking = Blinking(on_t, off_t, bleach_t, brightness_spread)
    return Emitters(seed, channels, extent_um, place_um, blinking, truth_radius_um)


def _on_filaments(
    rng: np.random.Generator, n: int, extent_um: tuple[float, float]
) -> tuple[_Numbers, _Numbers]:
    """Choose places on filaments, a linker away from them."""
    if not n:
        return np.zeros(0), np.zeros(0)
    count = max(1, round(n / _EMITTERS_PER_FILAMENT))
    length_um = 0.7 * min(extent_um)
    chains = worm_like_chains(rng, count, extent_um, length_um, 10.0 * length_um)
    inside = np.flatnonzero(
        (np.abs(chains.y_um) < extent_um[0] / 2) & (np.abs(chains.x_um) < extent_um[1] / 2)
    )
    which = inside[rng.integers(0, len(inside), n)]
    share = rng.uniform(-0.5, 0.5, n)
    linker_um = rng.normal(0.0, _LINKER_UM, (2, n))
    y_um = chains.y_um[which] + share * chains.along_y_um[which] + linker_um[0]
    x_um = chains.x_um[which] + share * chains.along_x_um[which] + linker_um[1]
    return y_um, x_um
