"""RMS and median of as many distances as there are, in constant memory."""

import numpy as np
import numpy.typing as npt

__all__ = ["Distances"]

_LEAST_PX = 1e-4
_MOST_PX = 1e5
_BINS_PER_E = 200
_BINS = int(np.log(_MOST_PX / _LEAST_PX) * _BINS_PER_E) + 2


class Distances:
    """Sums for the RMS, and a histogram for the median.

    The bins are 0.5 % wide each from 0.0001 to 100,000 px, so that the median is good to 0.25 %;
    what is smaller counts as 0. The RMS is exact.
    """

    def __init__(self) -> None:
        self._squares = 0.0
        self._counts = np.zeros(_BINS, np.int64)
        self.n = 0

    def add(self, distance_px: npt.NDArray[np.float64]) -> None:
        """Take in distances (n,) in px; those that are not finite are passed over."""
        known = distance_px[np.isfinite(distance_px)]
        self.n += known.size
        self._squares += float(known @ known)
        # Bin 0 is for what is below the first edge.
        steps = np.log(np.maximum(known, _LEAST_PX) / _LEAST_PX) * _BINS_PER_E
        bins = np.where(known < _LEAST_PX, 0, 1 + steps.astype(np.int64))
        self._counts += np.bincount(np.minimum(bins, _BINS - 1), minlength=_BINS)

    def rms_px(self) -> float | None:
        """Return the root of the mean square; None if there is no distance."""
        return float(np.sqrt(self._squares / self.n)) if self.n else None

    def median_px(self) -> float | None:
        """Return the median; None if there is no distance."""
        if not self.n:
            return None
        upto = np.cumsum(self._counts)
        middles = np.array([(self.n - 1) // 2, self.n // 2])
        bins = np.searchsorted(upto, middles, side="right")
        values = np.where(bins == 0, 0.0, _LEAST_PX * np.exp((bins - 0.5) / _BINS_PER_E))
        return float(values.mean())
