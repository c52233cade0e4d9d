"""How measured intensities follow the electrons that were really there."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["IntensityFit", "IntensitySums"]

_LEAST = 3


@dataclass(frozen=True, slots=True)
class IntensityFit:
    """A least-squares fit of ``sum = slope · electrons + offset · area`` over objects.

    Attributes
    ----------
    n
        Pairs of objects.
    slope_per_e
        What an electron adds to the sum: the camera's gain in DN/e⁻ (1 where the run measures in
        electrons), times the share of the object's light that lies within the outline found.
    offset_per_px
        What a pixel adds without any electron, in the unit of the run.
    correlation
        Pearson's, of electrons and of the sum less its offset.
    """

    n: int
    slope_per_e: float
    offset_per_px: float
    correlation: float


class IntensitySums:
    """Adds up what the fit needs, so that no object has to be kept."""

    def __init__(self) -> None:
        # Products of (1, electrons, area, sum): all moments of first and second order.
        self._moments = np.zeros((4, 4))

    def add(
        self,
        electrons: npt.NDArray[np.float64],
        area_px: npt.NDArray[np.float64],
        sums: npt.NDArray[np.float64],
    ) -> None:
        """Take in pairs of objects, (n,) each; those with a NaN are passed over."""
        columns = np.stack([np.ones_like(electrons), electrons, area_px, sums])
        known = columns[:, np.isfinite(columns).all(axis=0)]
        self._moments += known @ known.T

    def fit(self) -> IntensityFit | None:
        """Return the fit; None for fewer than three pairs, or electrons that never differ."""
        n = int(self._moments[0, 0])
        if n < _LEAST:
            return None
        normal, right = self._moments[1:3, 1:3], self._moments[1:3, 3]
        if np.linalg.cond(normal) > 1e15:
            return None
        slope, offset = np.linalg.solve(normal, right)
        mean = self._moments[0] / n
        cov = self._moments / n - np.outer(mean, mean)
        less = np.array([0.0, 0.0, -offset, 1.0])  # the sum without its offset
        spread = cov[1, 1] * (less @ cov @ less)
        correlation = float((cov[1] @ less) / np.sqrt(spread)) if spread > 0 else float("nan")
        return IntensityFit(n, float(slope), float(offset), correlation)
