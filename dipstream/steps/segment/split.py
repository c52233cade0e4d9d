"""From foreground to objects: touching ones are cut apart."""

from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from dipstream.errors import ConfigError
from dipstream.steps import ndimage as ndi
from dipstream.steps.image import Labels, Mask
from dipstream.steps.segment.regions import EIGHT, connected, in_raster_order
from dipstream.steps.step import pure

__all__ = ["H_PX", "SMOOTH_PX", "height_levels", "refuse", "smoothing_weights", "split"]

SMOOTH_PX, H_PX = 1.0, 0.4
_LEVELS_PER_PX = 64
_WEIGHT_SUM = 4096

_NEIGHBOURS = ((-1, 0), (0, -1), (0, 1), (1, 0), (-1, -1), (-1, 1), (1, -1), (1, 1))
"""Neighbours in the order in which the first of several highest ones wins."""
_EARLIER = ((-1, 0), (0, -1), (-1, -1), (-1, 1))
_LATER = ((0, 1), (1, 0), (1, -1), (1, 1))

Ints = npt.NDArray[np.int64]


@pure(version=2)
def split(
    mask: Mask,
    *,
    method: Literal["distance", "none"] = "distance",
    smooth_px: Annotated[float | None, Field(ge=0)] = None,
    h_px: Annotated[float | None, Field(gt=0)] = None,
) -> Labels:
    """Label objects, cutting touching ones at their necks.

    ``none`` labels 8-connected regions. ``distance`` cuts each of them by itself, along the
    watersheds of its distance to the background (Beucher & Lantuéjoul 1979). All is computed in
    integers, so that every machine finds the same objects:

    1. Euclidean distance of each pixel to the nearest background pixel, rounded to 1/64 px; the
       border of the image is no background, so an object cut by it goes on beyond.
    2. Smoothed by a Gaussian (cut off at 4 σ, 0 outside the region, mirrored at the border of the
       image), first along y, then along x, with weights and sums rounded to integers.
    3. From every pixel a path climbs to the highest of the 8 neighbours, on level ground to an
       equal one that comes earlier in raster order. A basin is all pixels whose paths end at the
       same top (Fairfield, Proc. 10th ICPR, 1990; the watershed of Meyer, Signal Processing 38,
       1994, by steepest ascent).
    4. Where basins touch they meet at a saddle. From the highest saddle down, and in raster order
       where they are equal, the basin with the lower top joins the other if its top rises less
       than `h_px` above the saddle (dynamics: Grimaud, Proc. SPIE 1769, 1992).

    Every foreground pixel gets a label; labels are numbered 1…n in raster order of their first
    pixels.

    Parameters
    ----------
    mask
        Foreground.
    method
        ``distance`` or ``none``.
    smooth_px
        σ of the Gaussian in px, default 1: about the roughness of the outlines.
    h_px
        Depth of a neck, in px of radius, that separates two objects, default 0.4. Larger cuts
        less.
    """
    if method == "none":
        refuse(smooth_px=smooth_px, h_px=h_px)
        return mask.labels(connected(mask.dense))
    if mask.dense.all():  # no background to measure from: one object
        return mask.labels(mask.dense.astype(np.int32))
    weights = smoothing_weights(SMOOTH_PX if smooth_px is None else smooth_px)
    levels = _levels(mask.dense, weights)
    basins = _basins(mask.dense, levels)
    joined = _join(levels, basins, height_levels(H_PX if h_px is None else h_px))
    return mask.labels(in_raster_order(joined))


def smoothing_weights(smooth_px: float) -> Ints:
    """Return a sampled Gaussian of σ `smooth_px` in integers that sum to 4096."""
    reach = int(4 * smooth_px + 0.5)
    if reach == 0:
        return np.array([_WEIGHT_SUM])
    offsets = np.arange(-reach, reach + 1)
    gaussian = np.exp(-0.5 * (offsets / smooth_px) ** 2)
    weights: Ints = np.rint(_WEIGHT_SUM * gaussian / gaussian.sum()).astype(np.int64)
    weights[reach] += _WEIGHT_SUM - weights.sum()
    return weights


def height_levels(h_px: float) -> int:
    """Return a height in px as a number of levels, at least 1."""
    return max(1, round(h_px * _LEVELS_PER_PX))


def refuse(**parameters: float | None) -> None:
    """Refuse parameters of ``distance`` that are given along with ``none``."""
    given = [name for name, value in parameters.items() if value is not None]
    if given:
        raise ConfigError(
            f"split: {' and '.join(given)} belong to method: distance, not to method: none; "
            "leave them out or change the method."
        )


def _levels(mask: npt.NDArray[np.bool_], weights: Ints) -> Ints:
    """Return the smoothed distance in levels, each region by itself; 0 in the background."""
    distance = np.rint(_LEVELS_PER_PX * ndi.distance_transform_edt(mask))
    regions, _ = ndi.label(mask, EIGHT)
    reach = len(weights) // 2
    levels = np.zeros(mask.shape, np.int64)
    for number, box in enumerate(ndi.find_objects(regions), 1):
        around = tuple(slice(max(0, side.start - reach), side.stop + reach) for side in box)
        inside = regions[around] == number
        alone = np.where(inside, distance[around], 0)
        for axis in (0, 1):
            alone = _smooth(alone, weights, axis)
        levels[around][inside] = alone[inside]
    return levels


def _smooth(levels: npt.NDArray[np.float64], weights: Ints, axis: int) -> npt.NDArray[np.float64]:
    # Integers all the same: float64 holds them exactly.
    sums: npt.NDArray[np.float64] = ndi.correlate1d(
        levels, weights.astype(float), axis=axis, mode="reflect"
    )
    return np.floor((sums + _WEIGHT_SUM // 2) / _WEIGHT_SUM)


def _basins(mask: npt.NDArray[np.bool_], levels: Ints) -> Ints:
    """Return basins 1…n, in raster order of their tops; 0 in the background."""
    width = mask.shape[1] + 2
    ground = np.pad(np.where(mask, levels, -1), 1, constant_values=-1).ravel()
    pixels = np.flatnonzero(ground >= 0)
    highest = ground[pixels]
    target = pixels.copy()
    for y, x in reversed(_EARLIER):
        beside = pixels + y * width + x
        target = np.where(ground[beside] == highest, beside, target)
    for y, x in _NEIGHBOURS:
        beside = pixels + y * width + x
        target = np.where(ground[beside] > highest, beside, target)
        highest = np.maximum(ground[beside], highest)
    top = np.zeros(len(ground), np.int64)
    top[pixels] = target
    while (top[target] != target).any():  # each round halves what is left of the paths
        target = top[target]
        top[pixels] = target
    basins = np.zeros(mask.shape, np.int64)
    basins[mask] = np.unique(target, return_inverse=True)[1] + 1
    return basins


def _join(levels: Ints, basins: Ints, h: int) -> Ints:
    """Join basins whose tops rise less than `h` above the saddle to a higher one."""
    height = np.zeros(int(basins.max(initial=0)) + 1, np.int64)
    np.maximum.at(height, basins, levels)
    tops = height.tolist()
    parent = list(range(len(tops)))

    def root(basin: int) -> int:
        while parent[basin] != basin:
            parent[basin] = basin = parent[parent[basin]]
        return basin

    for saddle, one, other in _passes(levels, basins):
        low, high = sorted((root(one), root(other)), key=tops.__getitem__)
        if tops[low] - saddle < h:
            parent[low] = high
    joined: Ints = np.array([root(basin) for basin in parent])[basins]
    return joined


def _passes(levels: Ints, basins: Ints) -> list[tuple[int, int, int]]:
    """Return the highest saddle of each two basins that touch, and them: in the order of step 4."""
    shape = basins.shape
    found = []
    for direction, (y, x) in enumerate(_LATER):
        here = (slice(0, shape[0] - y), slice(max(0, -x), shape[1] - max(0, x)))
        there = (slice(y, None), slice(max(0, x), shape[1] - max(0, -x)))
        one, other = basins[here], basins[there]
        at = np.nonzero((one != other) & (one > 0) & (other > 0))
        saddle = np.minimum(levels[here][at], levels[there][at])
        raster = at[0] * shape[1] + at[1] + max(0, -x)
        found.append(np.stack([-saddle, raster, 0 * raster + direction, one[at], other[at]]))
    ways = np.concatenate(found, axis=1)
    ways = ways[:, np.lexsort(ways[2::-1])]
    # Two basins that did not join at their highest saddle do not at a lower one.
    _, first = np.unique(np.sort(ways[3:], axis=0), axis=1, return_index=True)
    ways = ways[:, np.sort(first)]
    return list(zip((-ways[0]).tolist(), ways[3].tolist(), ways[4].tolist(), strict=True))
