"""What lies on the stage: nuclei with sizes, brightness and a liking for company."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dipstream_simulator.limits import require_between
from dipstream_simulator.specimen.nucleus import Nucleus, random_nucleus

__all__ = ["CHANNELS", "Channel", "Specimen", "random_specimen"]

_SHAPES = 100  # distinct nuclei; more would cost memory and nobody could tell
_SOCIABLE_SHARE = 0.4
_PERSONAL_SPACE_UM = 0.8
_NEGATIVE_SHARE = 0.2
_NEGATIVE_LEVEL = 0.04


@dataclass(frozen=True, slots=True)
class Channel:
    """A fluorescence channel: its name and where its emission peaks, in nm."""

    name: str
    emission_nm: float


CHANNELS = (Channel("DAPI", 461.0), Channel("GFP", 509.0))
"""The DNA stain shows every nucleus, the protein those that express it."""


@dataclass(frozen=True, slots=True, eq=False)
class Specimen:
    """n nuclei; where they are is the business of `dipstream_simulator.specimen.motion.Motion`.

    Attributes
    ----------
    shapes
        The distinct nuclei.
    shape_of
        (n,) int: index into `shapes`.
    brightness
        (n, 2) float64: in each of `CHANNELS`, relative to a typical nucleus.
    clearance_um
        (n,) float64: how far a nucleus keeps others from its outline; 0 for those that touch.
    """

    shapes: tuple[Nucleus, ...]
    shape_of: npt.NDArray[np.int64]
    brightness: npt.NDArray[np.float64]
    clearance_um: npt.NDArray[np.float64]

    @property
    def count(self) -> int:
        """How many nuclei there are."""
        return len(self.shape_of)

    @property
    def area_um2(self) -> float:
        """Sum of all nuclei's areas, in µm²."""
        areas = [math.pi * nucleus.major_um * nucleus.minor_um for nucleus in self.shapes]
        return float(np.asarray(areas, dtype=np.float64)[self.shape_of].sum())

    def per_nucleus(self, attribute: str) -> npt.NDArray[np.float64]:
        """Return one of `Nucleus`'s numbers for each nucleus, (n,) float64."""
        values = [getattr(nucleus, attribute) for nucleus in self.shapes]
        return np.asarray(values, dtype=np.float64)[self.shape_of]


def random_specimen(seed: int, n: int, diameter_um: float) -> Specimen:
    """Draw n nuclei.

    DNA content varies by 20 % (lognormal). Expression is lognormal with σ = 0.6 and
    independent of it; a fifth of the nuclei express next to nothing.

    Parameters
    ----------
    seed
        The same seed, n and diameter give the same specimen.
    n
        How many nuclei, 0 to 20000.
    diameter_um
        Typical diameter in µm, 2 to 50.

    Raises
    ------
    SourceError
        If a value is outside these limits.
    """
    require_between("n", n, 0, 20_000, example=60)
    require_between("nucleus_um", diameter_um, 2.0, 50.0, example=10)
    require_between("seed", seed, 0, 2**63 - 1, example=7)
    rng = np.random.default_rng([seed, 0])
    shapes = tuple(random_nucleus(rng, diameter_um) for _ in range(min(n, _SHAPES)))
    dna = rng.lognormal(0.0, 0.2, n)
    expression = rng.lognormal(0.0, 0.6, n)
    expression[rng.random(n) < _NEGATIVE_SHARE] *= _NEGATIVE_LEVEL
    sociable = rng.random(n) < _SOCIABLE_SHARE
    return Specimen(
        shapes=shapes,
        shape_of=np.arange(n) % _SHAPES,
        brightness=np.stack([dna, expression], axis=1),
        clearance_um=np.where(sociable, 0.0, _PERSONAL_SPACE_UM),
    )
