"""Two frames of the same light: what their difference says about the noise.

The fixed pattern of a camera (dust, vignetting, pixels of unequal gain) is the same in both frames
and leaves with the difference, so that its variance is that of the noise in time.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import erf

from dipstream.frame import Pixels

__all__ = ["Difference", "compare"]

_SAMPLED_PX = 65_536
_DEFECT_SIGMAS = 25.0
_MOST_DEFECTS = 0.02
_CORE_SIGMAS = 2.0
_CORE_ROUNDS = 12
_BLOCKS = 16
_BINS = 401
_MANY_PX = 1_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Difference:
    """The statistics of two frames, over all pixels but defective ones.

    Attributes
    ----------
    mean_first_dn, mean_second_dn
        Means of the two frames, in DN.
    variance_dn2, variance_se_dn2
        Variance in time of a pixel, averaged over the pixels, and its standard error, in DN².
    group_variance_dn2
        float64 (2, 2): the variance in time by the parity of row and column, in DN²; 0 where there
        is no pixel. In a mosaic of colours these are its colours.
    core_variance_dn2
        Variance of the narrow core of the noise: without the long tail of a multiplying register;
        in DN².
    pixels, defects
        How many pixels were used, and how many were left out.
    full_fraction, empty_fraction
        Pixels at the ADC's largest value and at 0, as a fraction of all pixels of both frames.
    largest_dn
        The largest value, in DN.
    pattern_dn
        float64 (2, 2, 16, 16), or fewer blocks where the frame is smaller: means of blocks of every
        second row and column, the first or the second, in DN. A mosaic of colours is told apart.
    histogram_start_dn, histogram_step_dn, histogram
        Counts of the values of both frames around their median, of a million pixels at most:
        int64 (401,), the first value, and how many DN a bin is wide.
    """

    mean_first_dn: float
    mean_second_dn: float
    variance_dn2: float
    variance_se_dn2: float
    group_variance_dn2: npt.NDArray[np.float64]
    core_variance_dn2: float
    pixels: int
    defects: int
    full_fraction: float
    empty_fraction: float
    largest_dn: int
    pattern_dn: npt.NDArray[np.float64]
    histogram_start_dn: int
    histogram_step_dn: int
    histogram: npt.NDArray[np.int64]

    @property
    def mean_dn(self) -> float:
        """Mean of both frames, in DN."""
        return 0.5 * (self.mean_first_dn + self.mean_second_dn)

    @property
    def group_mean_dn(self) -> npt.NDArray[np.float64]:
        """float64 (2, 2): the mean of both frames by the parity of row and column, in DN."""
        means: npt.NDArray[np.float64] = self.pattern_dn.mean(axis=(2, 3))
        return means

    @property
    def mean_se_dn(self) -> float:
        """Standard error of that mean by the noise in time, in DN."""
        return float(np.sqrt(self.variance_dn2 / (2 * self.pixels)))

    @property
    def change_dn(self) -> float:
        """By how much the second frame is brighter, in DN."""
        return self.mean_second_dn - self.mean_first_dn

    @property
    def change_se_dn(self) -> float:
        """Standard error of that change by the noise in time, in DN."""
        return 2 * self.mean_se_dn


def compare(first: Pixels, second: Pixels, full_dn: int) -> Difference:
    """Return the statistics of two frames of the same light.

    The variance is half the variance of the difference (EMVA Standard 1288, release 4.0 Linear,
    the section on measuring mean and variance, where the difference of the means is taken out).
    Here a change of the light is taken out of every pixel in proportion to its own brightness: with
    a vignetted field a lamp that flickers by 1 % would otherwise leave an image of the vignette in
    the difference. Difference and sum of two independent values of equal variance are
    uncorrelated, so that regressing one on the other takes nothing else away.

    Defective pixels are those whose mean lies further than 25 robust standard deviations from the
    frame's median, if they are 2 % at most: hot and dead ones in an even field. Noisy pixels stay:
    the tail of the read noise of an sCMOS camera is a part of its rms.

    Parameters
    ----------
    first, second
        Integer pixels (y, x) of one shape, in DN.
    full_dn
        The ADC's largest value.
    """
    sums = first.astype(np.int64 if first.dtype.itemsize > 2 else np.int32) + second
    kept = _kept(sums)
    both = sums[kept].astype(np.float64)
    change = first[kept].astype(np.float64) - second[kept]
    mean, mean_change = float(both.mean()), float(change.mean())
    both -= mean
    change -= mean_change
    spread = float(np.vdot(both, both))
    if spread > 0:
        change -= (float(np.vdot(change, both)) / spread) * both
    core = _core_variance(change)
    squares = np.square(change, out=change)
    # Two numbers were fitted to the differences.
    variance = float(squares.sum()) / max(squares.size - 2, 1) / 2
    # From the squares themselves: neither shot noise nor a camera's own is quite Gaussian.
    error = float(squares.std()) / np.sqrt(squares.size) / 2
    start, step, histogram = _histogram(first, second)
    return Difference(
        mean_first_dn=(mean + mean_change) / 2,
        mean_second_dn=(mean - mean_change) / 2,
        variance_dn2=variance,
        variance_se_dn2=float(error),
        group_variance_dn2=_group_means(squares, kept) / 2,
        core_variance_dn2=core / 2,
        pixels=int(both.size),
        defects=int(sums.size - both.size),
        full_fraction=_fraction(first >= full_dn, second >= full_dn),
        empty_fraction=_fraction(first <= 0, second <= 0),
        largest_dn=int(max(first.max(), second.max())),
        pattern_dn=_blocks(np.where(kept, sums, mean) / 2),
        histogram_start_dn=start,
        histogram_step_dn=step,
        histogram=histogram,
    )


def _kept(sums: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    step = max(1, int(np.sqrt(sums.size / _SAMPLED_PX)))
    sampled = sums[::step, ::step]
    middle = np.median(sampled)
    sigma = 1.4826 * np.median(np.abs(sampled - middle))
    # Where most pixels say the same number, the spread is that of the rounding.
    kept: npt.NDArray[np.bool_] = np.abs(sums - middle) <= _DEFECT_SIGMAS * max(sigma, 1.0)
    # So many are no defects: the field is uneven, or most pixels are full and the rest is not.
    return kept if kept.mean() >= 1 - _MOST_DEFECTS else np.ones_like(kept)


def _group_means(
    values: npt.NDArray[np.float64], kept: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    """Return means (2, 2) of the kept pixels' values by the parity of row and column."""
    rows, columns = (np.arange(side, dtype=np.uint8) & 1 for side in kept.shape)
    group = (2 * rows[:, None] + columns)[kept]
    counts = np.bincount(group, minlength=4)
    sums = np.bincount(group, weights=values, minlength=4)
    return (sums / np.maximum(counts, 1)).reshape(2, 2)


def _core_variance(change: npt.NDArray[np.float64]) -> float:
    """Return the variance of a normal distribution whose middle is that of these differences.

    Differences beyond 2 σ are cut off, and what a normal distribution loses by that is put back, in
    turns until it rests.
    """
    step = max(1, change.size // _MANY_PX)
    sizes = np.sort(np.abs(change[::step]))
    squares = np.cumsum(np.square(sizes))
    # For a normal distribution 68 % lie within σ.
    sigma = float(sizes[int(0.6827 * (sizes.size - 1))])
    for _ in range(_CORE_ROUNDS):
        # Differences are whole numbers: between two of them it is clear what is in.
        cut = np.floor(_CORE_SIGMAS * sigma) + 0.5
        inside = int(np.searchsorted(sizes, cut))
        if inside == 0 or sigma <= 0:
            return 0.0
        sigma = float(np.sqrt(squares[inside - 1] / inside / _cut_variance(cut / sigma)))
    return sigma**2


def _cut_variance(bound: float) -> float:
    """Return the variance of a standard normal distribution cut off at ± bound."""
    density = np.exp(-0.5 * bound**2) / np.sqrt(2 * np.pi)
    return float(1 - 2 * bound * density / erf(bound / np.sqrt(2)))


def _fraction(first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_]) -> float:
    return (np.count_nonzero(first) + np.count_nonzero(second)) / (2 * first.size)


def _blocks(plane: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return block means (2, 2, y, x): parity of row and column, then the block."""
    rows, columns = (max(1, side // (2 * _BLOCKS)) for side in plane.shape)
    high, wide = (min(_BLOCKS, side // 2) for side in plane.shape)
    cut = plane[: 2 * rows * high, : 2 * columns * wide]
    means = cut.reshape(high, rows, 2, wide, columns, 2).mean(axis=(1, 4))
    pattern: npt.NDArray[np.float64] = np.moveaxis(means, (1, 3), (0, 1))
    return pattern


def _histogram(first: Pixels, second: Pixels) -> tuple[int, int, npt.NDArray[np.int64]]:
    step = max(1, first.size // _MANY_PX)
    values = np.concatenate([first.ravel()[::step], second.ravel()[::step]]).astype(np.int64)
    sampled = values[:: max(1, values.size // _SAMPLED_PX)]
    low, middle, high = np.percentile(sampled, [1, 50, 99])
    half = max(4 * float(high - low), 1.0)
    step = max(1, int(np.ceil(2 * half / _BINS)))
    start = int(middle) - (_BINS // 2) * step
    bins = (values - start) // step
    inside = bins[(bins >= 0) & (bins < _BINS)]
    counts: npt.NDArray[Any] = np.bincount(inside, minlength=_BINS)
    return start, step, counts.astype(np.int64)
