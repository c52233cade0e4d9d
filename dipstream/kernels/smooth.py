"""Gaussian smoothing of a plane, corrected on the way, in bands of rows that stay in the cache.

Along y, 32 rows of sums come from a ring of corrected rows. They are transposed, so that the same
sums run along x over vectors of 32 rows, and transposed back.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from dipstream.compiled import compiled
from dipstream.kernels.border import reflected
from dipstream.kernels.correction import correct_row, inputs_of
from dipstream.kernels.exposure import is_uniform
from dipstream.kernels.lanes import LANES, OUTPUTS, copy_and_extremes, transpose, weighted_sums
from dipstream.kernels.linear import Linear
from dipstream.kernels.parallel import share
from dipstream.kernels.workspace import workspace

__all__ = [
    "BAND",
    "Buffers",
    "bands_of",
    "buffers_for",
    "gaussian_radius",
    "rows_of_bands",
    "smooth",
    "smooth_band",
]

BAND = 2 * LANES
"""Rows that are smoothed at once."""

_TRUNCATE = 4.0
_ROUNDING = 1e-5
"""More than a constant plane may vary once it is smoothed, as a part of its pixels."""

Buffers = tuple[Any, ...]
"""What `smooth_band` works on: the weights, and buffers of the workspace."""


def gaussian_radius(sigma_px: float) -> int:
    """Return how far a Gaussian reaches that is cut off at 4 σ, in px."""
    return int(_TRUNCATE * sigma_px + 0.5)


def smooth(
    linear: Linear, sigma_px: float, smoothed: npt.NDArray[np.float32]
) -> tuple[float, float]:
    """Smooth a plane by a sampled Gaussian, cut off at 4 σ and normalised to 1.

    The border is mirrored about the edge of the outermost pixels, as often as it takes
    (``scipy.ndimage.gaussian_filter(…, mode="reflect", truncate=4)``).

    Parameters
    ----------
    linear
        The pixels (y, x).
    sigma_px
        Standard deviation in px.
    smoothed
        float32 (y, x): gets the result.

    Returns
    -------
    The least and the greatest value of the result; NaN if a pixel is not finite.
    """
    inputs = inputs_of(linear)
    parts: list[tuple[float, float]] = []

    def work(first: int, last: int) -> None:
        first, last = rows_of_bands(first, last, linear.shape[0])
        seen = np.zeros(3 * LANES, np.float32)
        seen[:LANES], seen[LANES : 2 * LANES] = np.inf, -np.inf
        _smooth(*inputs, buffers_for(linear.shape, sigma_px), first, last, smoothed, seen)
        least, greatest, trouble = seen.reshape(3, LANES)
        nothing = trouble.sum()
        parts.append((float(least.min() + nothing), float(greatest.max() + nothing)))

    share(bands_of(linear.shape[0]), work, least=2)
    lows, highs = np.array(parts).T
    low, high = float(lows.min()), float(highs.max())
    if high - low <= _ROUNDING * max(abs(low), abs(high)):
        pixels = linear.pixels()
        if is_uniform(pixels):  # then what differs is rounded
            low = high = float(pixels[0, 0])
            smoothed[:] = low
    return low, high


def bands_of(height: int) -> int:
    """Return how many bands a plane has."""
    return -(-height // BAND)


def rows_of_bands(first: int, last: int, height: int) -> tuple[int, int]:
    """Return the first row of some bands, and the one after their last.

    Where a band begins decides in which order its sums are rounded: parts of a plane that run side
    by side begin where the bands of the whole plane do.
    """
    return first * BAND, min(last * BAND, height)


def buffers_for(shape: tuple[int, int], sigma_px: float) -> Buffers:
    """Return what `smooth_band` works on, for planes of this shape."""
    height, width = shape
    radius = gaussian_radius(sigma_px)
    columns = -(-width // BAND) * BAND
    # An odd number of cache lines a row: were it a power of two, rows would push each other out.
    stride = columns + LANES
    slots = min(height, 2 * radius + BAND + OUTPUTS)
    where = workspace().take("smooth.where", (2, 2 * radius + BAND + OUTPUTS), np.int64)
    where[1] = np.arange(where.shape[1]) * BAND
    return (
        _weights(sigma_px, radius),
        _take("smooth.ring", slots * stride),
        stride,
        where,
        _take("smooth.along", (columns + 2 * radius + OUTPUTS) * BAND),
        _take("smooth.square", BAND * BAND),
        # Whoever reads the last row by words of 64 reads a little beyond it.
        _take("smooth.block", BAND * stride + 64)[: BAND * stride].reshape(BAND, stride),
        np.full(1, -1),
    )


def _take(name: str, n: int) -> npt.NDArray[np.float32]:
    """Take a buffer that begins with a cache line: a vector across two of them costs twice."""
    buffer: npt.NDArray[np.float32] = workspace().take(name, n + LANES, np.float32)
    skip = -buffer.ctypes.data // buffer.itemsize % LANES
    return buffer[skip : skip + n]


def _weights(sigma_px: float, radius: int) -> npt.NDArray[np.float32]:
    """Return the Gaussian, with the zeros around it that `weighted_sums` reads."""
    x = np.arange(-radius, radius + 1)
    gaussian = np.exp(-0.5 * (x / sigma_px) ** 2)
    weights = (gaussian / gaussian.sum()).astype(np.float32)
    # Rounded weights add up to 1 again: a constant image stays constant.
    weights[radius] += 1 - weights.sum(dtype=np.float64)
    return np.pad(weights, OUTPUTS - 1)


@compiled
def _smooth(
    raw: Any, offset: Any, gain: Any, buffers: Any, first: Any, last: Any, smoothed: Any, seen: Any
) -> None:
    width = raw.shape[1]
    whole = width // LANES
    for y in range(first, last, BAND):
        block = smooth_band(raw, offset, gain, buffers, y)
        for k in range(min(BAND, last - y)):
            row = smoothed[y + k]
            copy_and_extremes(block[k], 0, whole, row, 0, seen)
            for x in range(whole * LANES, width):
                value = block[k, x]
                row[x] = value
                seen[0] = min(seen[0], value)
                seen[LANES] = max(seen[LANES], value)
                seen[2 * LANES] += value - value


@compiled
def smooth_band(raw: Any, offset: Any, gain: Any, buffers: Any, y: Any) -> Any:
    """Smooth 32 rows from row `y`; those of one call after the other must follow each other.

    Returns float32 (32, more than the width); what lies beyond the plane has no meaning.
    """
    weights, ring, stride, where, along, square, block, filled = buffers
    width = raw.shape[1]
    radius = (weights.size - 2 * OUTPUTS + 1) // 2
    taps = 2 * radius + OUTPUTS
    _fill_ring(raw, offset, gain, ring, stride, filled, where[0], y - radius)
    for x in range(0, width, BAND):
        for k in range(0, BAND, OUTPUTS):
            weighted_sums(ring[x:], where[0, k:], taps, weights, square, k * BAND, BAND)
        for k in range(0, BAND, LANES):
            for i in range(0, BAND, LANES):
                to = (radius + x + i) * BAND + k
                transpose(square, k * BAND + i, BAND, along, to, BAND)
    _mirror(along, radius, width)
    for x in range(0, width, LANES):
        for i in range(0, LANES, OUTPUTS):
            weighted_sums(along[(x + i) * BAND :], where[1], taps, weights, square, i * BAND, BAND)
        for k in range(0, BAND, LANES):
            transpose(square, k, BAND, block.ravel(), k * stride + x, stride)
    return block


@compiled
def _fill_ring(
    raw: Any, offset: Any, gain: Any, ring: Any, stride: Any, filled: Any, where: Any, top: Any
) -> None:
    """Correct the rows that are new; say where each of those from `top` on is, mirrored."""
    height, width = raw.shape
    slots = ring.size // stride
    bottom = top + where.size
    for y in range(max(filled[0], top, 0), min(bottom, height)):
        at = y % slots * stride
        row = ring[at : at + stride]
        correct_row(raw, offset, gain, y, row)
        row[width:] = 0
    filled[0] = min(bottom, height)
    for i in range(where.size):
        where[i] = reflected(top + i, height) % slots * stride


@compiled
def _mirror(along: Any, radius: Any, width: Any) -> None:
    """Continue vectors along x on both sides."""
    for side in range(2):
        first, n = (0, radius) if side == 0 else (radius + width, along.size // BAND)
        n = n - first if side == 1 else n
        for i in range(first, first + n):
            j = radius + reflected(i - radius, width)
            for k in range(BAND):
                along[i * BAND + k] = along[j * BAND + k]
