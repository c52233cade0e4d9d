"""Foreground is what is brighter than a threshold: found on histograms, kept as runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from dipstream.errors import StepError
from dipstream.kernels.components import components
from dipstream.kernels.contrast import (
    heights_of_runs,
    percentile_of_regions,
    runs_above_levels,
)
from dipstream.kernels.foreground import LocalForeground, runs_above, runs_above_surface
from dipstream.kernels.histogram import Histogram, float_histogram, integer_histogram
from dipstream.kernels.level import (
    li_of_histogram,
    li_of_pixels,
    mean_of_histogram,
    mean_of_pixels,
    of_histogram,
)
from dipstream.kernels.linear import suits_kernels
from dipstream.kernels.order_statistics import (
    percentile,
    percentile_of_histogram,
    percentile_of_lags,
)
from dipstream.kernels.runs import Runs, chosen_runs
from dipstream.kernels.smooth import smooth
from dipstream.kernels.workspace import workspace
from dipstream.steps.fast.smooth import gaussian as smoothed_image
from dipstream.steps.image import Image, Mask
from dipstream.steps.segment import threshold as reference
from dipstream.steps.segment.noise import LAG_PX, robust_sd
from dipstream.steps.segment.threshold import (
    BRIGHT_PERCENTILE,
    DARK_PERCENTILE,
    FLOOR_FRACTION,
    SIGMA_PX,
    SURFACE_MARGIN,
    GlobalMethod,
    Rules,
)

__all__ = ["smoothed_threshold", "threshold"]

Method = Literal["manual", "mean", "isodata", "otsu", "triangle", "li", "yen", "local"]


def threshold(
    image: Image,
    *,
    method: Method = "otsu",
    value: float | None = None,
    offset: float = 0.0,
    sigma_px: float | None = None,
    floor: GlobalMethod | None = None,
    floor_fraction: float | None = None,
    min_contrast_sd: float | None = None,
    rim_fraction: float | None = None,
) -> Mask:
    """Mark the pixels that are brighter than a threshold, as the step does."""
    rules = Rules(method, value, offset, sigma_px, floor, floor_fraction)
    rules.check()
    if not suits_kernels(image.linear.raw):
        return reference.threshold(
            image,
            method=method,
            value=value,
            offset=offset,
            sigma_px=sigma_px,
            floor=floor,
            floor_fraction=floor_fraction,
            min_contrast_sd=min_contrast_sd,
            rim_fraction=rim_fraction,
        )
    pixels = image.pixels
    plane = _Plane(pixels, float(pixels.min()), float(pixels.max()))
    return _mask(image, plane, rules, min_contrast_sd, rim_fraction)


def smoothed_threshold(
    image: Image, *, gaussian: Mapping[str, Any], threshold: Mapping[str, Any]
) -> Mask:
    """Smooth and mark in one pass: the mask of `gaussian` and `threshold` with these parameters.

    The smoothed image is kept no longer than that.
    """
    if not suits_kernels(image.linear.raw):
        return _threshold(smoothed_image(image, **gaussian), **threshold)
    given = {**_DEFAULTS, **threshold}
    contrast, rim = given.pop("min_contrast_sd"), given.pop("rim_fraction")
    rules = Rules(**given)
    rules.check()
    smoothed = workspace().take("threshold.smoothed", image.shape, np.float32)
    low, high = smooth(image.linear, gaussian.get("sigma_px", 1.0), smoothed)
    return _mask(image, _Plane(smoothed, low, high), rules, contrast, rim)


_threshold = threshold
_DEFAULTS: Mapping[str, Any] = dict(threshold.__kwdefaults__ or {})


@dataclass(frozen=True, eq=False)
class _Plane:
    """Pixels (y, x), their least and their greatest, and what is asked of them, found out once."""

    pixels: npt.NDArray[Any]
    low: float
    high: float

    @property
    def is_integer(self) -> bool:
        return self.pixels.dtype.kind == "u"

    @cached_property
    def histogram(self) -> Histogram:
        if self.is_integer:
            return integer_histogram(self.pixels)
        return float_histogram(self.pixels, self.low, self.high)

    @cached_property
    def dark(self) -> float:
        """The dark end of the image."""
        if self.is_integer:
            return percentile_of_histogram(self.histogram, DARK_PERCENTILE)
        return percentile(self.pixels, DARK_PERCENTILE)

    def level(self, method: str) -> Any:
        """Return the threshold of a global method, of the dtype that scikit-image gives it."""
        if method == "mean" and self.is_integer:
            return mean_of_histogram(self.histogram)
        if method == "mean":
            return mean_of_pixels(self.pixels)
        if method == "li" and self.is_integer:
            return li_of_histogram(self.histogram)
        if method == "li":
            return li_of_pixels(self.pixels, self.low)
        return of_histogram(method, self.histogram)

    def noise_sd(self) -> float:
        """Return the standard deviation of the noise, as `steps.segment.noise` judges it."""
        if max(self.pixels.shape) <= LAG_PX:
            return 0.0
        quartile = percentile_of_lags(self.pixels, LAG_PX, 25)
        # Of one value every percentile is that value.
        return robust_sd(np.array([quartile])) / 2**0.5


def _mask(
    image: Image,
    plane: _Plane,
    rules: Rules,
    min_contrast_sd: float | None,
    rim_fraction: float | None,
) -> Mask:
    if not np.isfinite(plane.low + plane.high):
        raise StepError("threshold: the image holds NaN or infinite pixels; mend them before.")
    if plane.low == plane.high and rules.method != "manual":
        return image.mask(_no_runs(image)).with_estimates(threshold=plane.low)
    if rules.method == "local":
        found = _local(plane, rules)
        runs, level, heights = found.runs, found.mean_level, found.heights
    else:
        # The sum is of the dtype that scikit-image's result has.
        exact: Any = rules.value
        if rules.method != "manual":
            exact = plane.level(rules.method) + rules.offset
        level = float(exact)
        runs = runs_above(plane.pixels, level)
        heights = None
    if min_contrast_sd is None and rim_fraction is None:
        return image.mask(runs).with_estimates(threshold=level)
    region = components(runs)
    if min_contrast_sd is not None:
        if heights is None:
            heights = heights_of_runs(plane.pixels, runs, level)
        runs, region = _contrasting(plane, runs, region, heights, min_contrast_sd)
    if rim_fraction is not None:
        runs = _without_rim(plane, runs, region, rim_fraction)
    return image.mask(runs).with_estimates(threshold=level)


def _no_runs(image: Image) -> Runs:
    rows, nothing = np.zeros(image.shape[0] + 1, np.int32), np.empty(0, np.int32)
    return Runs((image.shape[0], image.shape[1]), rows, nothing, nothing)


def _local(plane: _Plane, rules: Rules) -> LocalForeground:
    sigma = SIGMA_PX if rules.sigma_px is None else rules.sigma_px
    bottom = -np.inf
    if rules.floor is not None:
        fraction = FLOOR_FRACTION if rules.floor_fraction is None else rules.floor_fraction
        bottom = plane.dark + fraction * (float(plane.level(rules.floor)) - plane.dark)
    return runs_above_surface(plane.pixels, sigma, SURFACE_MARGIN, rules.offset, bottom)


def _contrasting(
    plane: _Plane,
    runs: Runs,
    region: npt.NDArray[np.int32],
    heights: npt.NDArray[np.float64],
    least_sd: float,
) -> tuple[Runs, npt.NDArray[np.int32]]:
    """Drop regions that are no more than noise; return the rest, numbered anew."""
    if len(runs) == 0:
        return runs, region
    areas = np.bincount(region, weights=runs.stop - runs.start)
    keep = np.bincount(region, weights=heights) >= least_sd * plane.noise_sd() * areas
    number = np.cumsum(keep, dtype=np.int32) - np.int32(1)
    chosen = keep[region]
    return chosen_runs(runs, chosen), number[region[chosen]]


def _without_rim(plane: _Plane, runs: Runs, region: npt.NDArray[np.int32], fraction: float) -> Runs:
    n = int(region.max(initial=-1)) + 1
    bright = percentile_of_regions(plane.pixels, runs, region, n, BRIGHT_PERCENTILE)
    levels = plane.dark + fraction * (bright - plane.dark)
    return runs_above_levels(plane.pixels, runs, levels[region])
