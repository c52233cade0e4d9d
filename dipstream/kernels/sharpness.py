"""How much of the variance along lines of a frame is fine structure, without its noise."""

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from dipstream.compiled import compiled
from dipstream.kernels.linear import as_input
from dipstream.kernels.workspace import workspace

__all__ = ["Covariances", "column_covariances", "row_covariances"]

Covariances = tuple[float, float, float, float]
Ints = npt.NDArray[np.int64]

_RADIUS = 8  # four times the σ of 2 px
_TILE = 256
_PAIRS = 64  # of columns, side by side in a block: left ones, then right ones


def row_covariances(pixels: npt.NDArray[Any], first: Ints) -> Covariances:
    """Compare rows with the ones below them, and their second derivatives.

    Parameters
    ----------
    pixels
        uint8, uint16 or float32 (y, x), at least 8 pixels wide.
    first
        The upper rows of the pairs.

    Returns
    -------
    tuple
        Sums over all pairs: upper · lower, upper · upper and lower · lower, less the mean of all
        upper or lower rows; and the product of their second derivatives along the row, of a
        Gaussian of σ = 2 px, mirrored at the ends.
    """
    width = pixels.shape[1]
    room = workspace()
    lines = room.take("sharpness.lines", (2 * len(first), width + 2 * _RADIUS), np.float32)
    curved = room.take("sharpness.curved", (2, width), np.float32)
    sums = room.take("sharpness.sums", (4, _TILE), np.float64)
    _take_rows(as_input(pixels), np.concatenate((first, first + 1)), lines)
    _centre_rows(lines[: len(first)], sums)
    _centre_rows(lines[len(first) :], sums)
    _multiply_rows(lines, _second_derivative(), curved, sums)
    return _summed(sums)


def column_covariances(
    pixels: npt.NDArray[Any], first: Ints, level: int | None = None
) -> tuple[Covariances, int]:
    """Compare columns with the ones at their right, as `row_covariances` does rows.

    Parameters
    ----------
    pixels, first
        See `row_covariances`; at least 8 pixels high.
    level
        Count pixels, uint8 or uint16, at this level or above too: the columns pass through the
        whole frame, and to read it takes longer than to count. None: do not.

    Returns
    -------
    tuple
        The sums, and the number of pixels.
    """
    room = workspace()
    blocks = -(-len(first) // _PAIRS)
    shape = (blocks, pixels.shape[0] + 2 * _RADIUS, 2 * _PAIRS)
    lines = room.take("sharpness.blocks", math.prod(shape), np.float32).reshape(shape)
    curved = room.take("sharpness.curved", 2 * _PAIRS, np.float32)
    sums = room.take("sharpness.sums", (4, 2 * _PAIRS), np.float64)
    if len(first) % _PAIRS:
        lines[-1] = 0  # the last block is not full
    if level is None:
        bright = 0
        _take_columns(as_input(pixels), first, lines)
    else:
        counts = room.take("sharpness.counts", pixels.shape[1], np.uint16)
        bright = int(_take_columns_and_count(as_input(pixels), first, lines, level, counts))
    _centre_columns(lines, len(first), sums[0])
    _multiply_columns(lines, _second_derivative(), curved, sums)
    return _summed(sums), bright


def _summed(sums: npt.NDArray[np.float64]) -> Covariances:
    shared, one, other, fine = sums.sum(axis=1).tolist()
    return shared, one, other, fine


@cache
def _second_derivative() -> npt.NDArray[np.float32]:
    """Return the centre and right half of a Gaussian's second derivative, sampled (σ = 2 px)."""
    square = np.arange(_RADIUS + 1) ** 2 / 4
    gaussian = np.exp(-square / 2)
    gaussian /= gaussian[0] + 2 * gaussian[1:].sum()
    return as_input((gaussian * (square - 1) / 4).astype(np.float32))


@compiled
def _take_rows(pixels: Any, rows: Any, lines: Any) -> None:
    for k in range(rows.size):
        line, here = pixels[rows[k]], lines[k, _RADIUS:]
        for x in range(line.size):
            here[x] = line[x]


@compiled
def _take_columns(pixels: Any, first: Any, lines: Any) -> None:
    for y in range(pixels.shape[0]):
        _take_from_row(pixels[y], first, lines, y + _RADIUS)


@compiled
def _take_columns_and_count(pixels: Any, first: Any, lines: Any, level: Any, counts: Any) -> Any:
    """Each column has a counter as narrow as pixels are: many are compared at once."""
    total = np.int64(0)
    counts[:] = 0
    for y in range(pixels.shape[0]):
        line = pixels[y]
        for x in range(line.size):
            counts[x] = np.uint16(counts[x] + np.uint16(line[x] >= level))
        _take_from_row(line, first, lines, y + _RADIUS)
        if y % 65_535 == 65_534:
            total += _drain(counts)
    return total + _drain(counts)


@compiled
def _take_from_row(line: Any, first: Any, lines: Any, y: Any) -> None:
    for block in range(lines.shape[0]):
        chosen = first[block * _PAIRS : (block + 1) * _PAIRS]
        here = lines[block, y]
        for k in range(chosen.size):
            here[k] = line[chosen[k]]
            here[_PAIRS + k] = line[chosen[k] + 1]


@compiled
def _drain(counts: Any) -> Any:
    total = np.int64(0)
    for x in range(counts.size):
        total += np.int64(counts[x])
        counts[x] = 0
    return total


@compiled
def _centre_rows(lines: Any, sums: Any) -> None:
    """Take the mean off, and mirror the ends into the margins."""
    total = sums[0]
    total[:] = 0
    width = lines.shape[1] - 2 * _RADIUS
    for k in range(lines.shape[0]):
        for begin in range(0, width, _TILE):
            tile = lines[k, _RADIUS + begin : _RADIUS + min(begin + _TILE, width)]
            for x in range(tile.size):
                total[x] += tile[x]
    mean = np.float32(total.sum() / (lines.shape[0] * width))
    for k in range(lines.shape[0]):
        line = lines[k]
        here = line[_RADIUS : _RADIUS + width]
        for x in range(width):
            here[x] -= mean
        for x in range(_RADIUS):
            line[_RADIUS - 1 - x] = here[x]
            line[_RADIUS + width + x] = here[width - 1 - x]


@compiled
def _centre_columns(lines: Any, pairs: Any, total: Any) -> None:
    """Take the mean off, that of the left columns and that of the right; mirror the ends."""
    blocks, length = lines.shape[0], lines.shape[1] - 2 * _RADIUS
    total[:] = 0
    for block in range(blocks):
        for y in range(length):
            here = lines[block, y + _RADIUS]
            for x in range(2 * _PAIRS):
                total[x] += here[x]
    left = np.float32(total[:_PAIRS].sum() / (pairs * length))
    right = np.float32(total[_PAIRS:].sum() / (pairs * length))
    for block in range(blocks):
        n = min(_PAIRS, pairs - block * _PAIRS)
        for y in range(length):
            here = lines[block, y + _RADIUS]
            for x in range(n):
                here[x] -= left
                here[_PAIRS + x] -= right
        for k in range(_RADIUS):
            lines[block, _RADIUS - 1 - k] = lines[block, _RADIUS + k]
            lines[block, _RADIUS + length + k] = lines[block, _RADIUS + length - 1 - k]


def _curve_along(step: int) -> Callable[..., None]:
    """Return a kernel for lines whose neighbours lie `step` apart.

    It is a constant of the kernel, which is many times sooner than one with an argument.
    """

    @compiled
    def curve(line: Any, weights: Any, curved: Any) -> None:
        a, b, c, d, e = weights[0], weights[1], weights[2], weights[3], weights[4]
        f, g, h, i = weights[5], weights[6], weights[7], weights[8]
        for x in range(curved.size):
            curved[x] = (
                a * line[x + 8 * step]
                + b * (line[x + 7 * step] + line[x + 9 * step])
                + c * (line[x + 6 * step] + line[x + 10 * step])
                + d * (line[x + 5 * step] + line[x + 11 * step])
                + e * (line[x + 4 * step] + line[x + 12 * step])
                + f * (line[x + 3 * step] + line[x + 13 * step])
                + g * (line[x + 2 * step] + line[x + 14 * step])
                + h * (line[x + step] + line[x + 15 * step])
                + i * (line[x] + line[x + 16 * step])
            )

    return curve


_curve_row = _curve_along(1)
_curve_columns = _curve_along(2 * _PAIRS)


@compiled
def _multiply_rows(lines: Any, weights: Any, curved: Any, sums: Any) -> None:
    pairs, width = lines.shape[0] // 2, curved.shape[1]
    sums[:] = 0
    for k in range(pairs):
        one, other = lines[k], lines[k + pairs]
        _curve_row(one, weights, curved[0])
        _curve_row(other, weights, curved[1])
        for begin in range(0, width, _TILE):
            end = min(begin + _TILE, width)
            a, b = one[_RADIUS + begin : _RADIUS + end], other[_RADIUS + begin : _RADIUS + end]
            _add_products(a, b, sums[0], sums[1], sums[2])
            _add_product(curved[0, begin:end], curved[1, begin:end], sums[3])


@compiled
def _multiply_columns(lines: Any, weights: Any, curved: Any, sums: Any) -> None:
    step = 2 * _PAIRS
    left, right = curved[:_PAIRS], curved[_PAIRS:]
    shared, first, second, fine = sums[0], sums[1], sums[2], sums[3]
    sums[:] = 0
    for block in range(lines.shape[0]):
        flat = lines[block].reshape(-1)
        for at in range(0, flat.size - 2 * _RADIUS * step, step):
            window = flat[at : at + (2 * _RADIUS + 1) * step]
            _curve_columns(window, weights, curved)
            here = window[_RADIUS * step : (_RADIUS + 1) * step]
            _add_products(here[:_PAIRS], here[_PAIRS:], shared, first, second)
            _add_product(left, right, fine)


@compiled
def _add_products(one: Any, other: Any, shared: Any, first: Any, second: Any) -> None:
    """Every place has sums of its own, in float64: nothing is reordered."""
    for x in range(one.size):
        a, b = np.float64(one[x]), np.float64(other[x])
        shared[x] += a * b
        first[x] += a * a
        second[x] += b * b


@compiled
def _add_product(one: Any, other: Any, total: Any) -> None:
    for x in range(one.size):
        total[x] += np.float64(one[x]) * np.float64(other[x])
