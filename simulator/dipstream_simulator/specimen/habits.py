"""What a user says about a population, checked before anything is drawn."""

import math
from dataclasses import dataclass
from typing import get_args

from dipstream.errors import SourceError
from dipstream_simulator.limits import require_between
from dipstream_simulator.specimen.atlas import Atlas
from dipstream_simulator.specimen.cycle import Life
from dipstream_simulator.specimen.individuals import Kin
from dipstream_simulator.specimen.living import Living, Plan
from dipstream_simulator.specimen.model import Channel
from dipstream_simulator.specimen.walk import Motion, manner_of

__all__ = ["Habits"]

_SPACE = 0.08  # of a diameter: how far the unsociable keep others away
_BOUND = 1.5  # times the first number
_CROWDED = 0.5  # share of the extent: beyond it individuals cannot keep apart
_FORMS = 48  # distinct individuals; more would cost memory and nobody could tell
_FORMS_IN_SIZES = 12
_FORMS_OF_FAMILIES = 24
_LEVELS = 8
_SHORTEST_CYCLE_T = 10


@dataclass(frozen=True, slots=True)
class Habits:
    """How many individuals there are and how they live; see `nuclei` for each of them.

    Raises
    ------
    SourceError
        If a value is outside its limits, or if two of them contradict each other.
    """

    seed: int
    n: int
    extent_um: tuple[float, float]
    channels: tuple[Channel, ...]
    motion: Motion
    step_um: float
    drift_um: tuple[float, float]
    overlap: float
    z_spread_um: float
    contrast: float
    cycle_t: int
    death_rate: float
    grow: float
    negative: float

    def __post_init__(self) -> None:
        require_between("seed", self.seed, 0, 2**63 - 1, example=7)
        require_between("n", self.n, 0, 20_000, example=60)
        for side_um in self.extent_um:
            require_between("extent_um", side_um, 1.0, 1e6, example=300)
        require_between("step_um", self.step_um, 0.0, 20.0, example=0.8)
        for drift_um in self.drift_um:
            require_between("flow_um", drift_um, -20.0, 20.0, example=0.5)
        require_between("touching", self.overlap, 0.0, 1.0, example=0.2)
        require_between("z_spread_um", self.z_spread_um, 0.0, 1000.0, example=2)
        require_between("contrast", self.contrast, 0.0, 2.0, example=1)
        require_between("death_rate", self.death_rate, 0.0, 1.0, example=0.001)
        require_between("negative", self.negative, 0.0, 1.0, example=0.2)
        require_between("grow", self.grow, 0.0, 0.1, example=0.01)
        if self.cycle_t:
            require_between("cycle_t", self.cycle_t, _SHORTEST_CYCLE_T, 1e6, example=120)
        self._require_sense()

    def _require_sense(self) -> None:
        if not self.channels:
            raise SourceError(
                "The simulated camera received channels without a name; allowed are one or more. "
                "Write for instance channels=DAPI,GFP"
            )
        if self.motion not in get_args(Motion):
            allowed = ", ".join(get_args(Motion))
            raise SourceError(
                f"The simulated camera received motion={self.motion}; allowed are {allowed}. "
                "Write for instance motion=persistent"
            )
        if any(self.drift_um) and self.motion != "drift":
            raise SourceError(
                f"The simulated camera received flow_um={self.drift_um[0]:g},{self.drift_um[1]:g} "
                f"and motion={self.motion}; allowed is a flow with motion=drift only. "
                "Write motion=drift, or leave flow_um out"
            )
        if self.grow and self.cycle_t:
            raise SourceError(
                f"The simulated camera received grow={self.grow:g} and cycle_t={self.cycle_t}; "
                "allowed is one of them: what divides doubles its area in a cycle. "
                "Leave grow out"
            )

    @property
    def sizes(self) -> tuple[float, ...]:
        """Diameters of the levels of growth, relative to a typical one.

        The area doubles from the first to the last, the typical area lies in the middle.
        """
        if not (self.cycle_t or self.grow):
            return (1.0,)
        return tuple(
            math.sqrt((1.0 + (level + 0.5) / _LEVELS) / math.sqrt(2.0)) for level in range(_LEVELS)
        )

    @property
    def forms(self) -> int:
        """How many distinct individuals to draw."""
        if self.cycle_t:
            return _FORMS_OF_FAMILIES
        most = _FORMS if len(self.sizes) == 1 else _FORMS_IN_SIZES
        return max(1, min(most, self.n))

    def populate(self, atlas: Atlas, diameter_um: float, *, apart: float = 0.25) -> Living:
        """Let individuals of this diameter in µm live as the habits say.

        `apart` is how far from their mother's middle daughters are first seen, in diameters.
        """
        most = math.ceil(_BOUND * self.n)
        height_um, width_um = self.extent_um
        return Living(
            Plan(
                seed=self.seed,
                n=self.n,
                extent_um=self.extent_um,
                atlas=atlas,
                kin=Kin(
                    channels=self.channels,
                    forms=atlas.forms,
                    space_um=_SPACE * diameter_um,
                    overlap=self.overlap,
                    z_spread_um=self.z_spread_um,
                    cycle_t=self.cycle_t,
                    negative=self.negative,
                ),
                life=Life(
                    cycle_t=self.cycle_t,
                    death_rate=self.death_rate,
                    grow=self.grow,
                    most=most,
                    crowded_um2=_CROWDED * height_um * width_um,
                    diameter_um=diameter_um,
                    apart=apart,
                ),
                manner=manner_of(self.motion, self.step_um, self.drift_um),
            )
        )
