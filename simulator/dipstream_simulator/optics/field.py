"""Models of the light's field in the pupil: what the round and the general engine both take.

A model is written twice: as terms of a Hankel transform for round pupils, and as components over
the two-dimensional pupil for all others. The engines must agree where both apply.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["SCALAR", "FieldModel", "PupilTerm"]

_Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PupilTerm:
    """One term of a round field.

    Attributes
    ----------
    order
        m of the Bessel function J_m, at most 2.
    weight
        How often its square counts in the intensity.
    amplitude
        As a function of cos θ in the immersion medium.
    """

    order: int
    weight: float
    amplitude: Callable[[_Array], _Array]


@dataclass(frozen=True, slots=True)
class FieldModel:
    """A model of the field.

    Attributes
    ----------
    terms
        For round pupils; the intensity is the weighted sum of their squares.
    components
        For any pupil: amplitudes as functions of cos θ and the azimuth φ, whose images add up
        in intensity.
    """

    terms: tuple[PupilTerm, ...]
    components: Callable[[_Array, _Array], tuple[_Array, ...]]


SCALAR = FieldModel(
    terms=(PupilTerm(0, 1.0, np.ones_like),),
    components=lambda cosine, _phi: (np.ones_like(cosine),),
)
"""Scalar waves and an evenly filled pupil: the Airy pattern in focus (Born & Wolf, §8.5.2)."""
