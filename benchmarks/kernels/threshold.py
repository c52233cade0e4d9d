"""Histograms, thresholds and the runs above them."""

from typing import Any

import numpy as np
from scipy import ndimage as ndi
from skimage import filters

from benchmarks.kernels.smooth import corrected
from benchmarks.scene import Scene
from benchmarks.stage import Stage
from dipstream.kernels.components import components
from dipstream.kernels.contrast import percentile_of_regions
from dipstream.kernels.foreground import runs_above, runs_above_surface
from dipstream.kernels.histogram import float_histogram, integer_histogram
from dipstream.kernels.level import li_of_pixels, of_histogram
from dipstream.kernels.order_statistics import percentile, percentile_of_lags
from dipstream.kernels.smooth import smooth
from dipstream.steps.fast.threshold import smoothed_threshold
from dipstream.steps.image import Image
from dipstream.steps.segment.noise import noise_sd
from dipstream.steps.segment.threshold import threshold

__all__ = ["stages"]

_NUCLEI: dict[str, Any] = {
    "method": "local",
    "sigma_px": 10.0,
    "floor": "otsu",
    "floor_fraction": 0.2,
    "min_contrast_sd": 2.0,
    "rim_fraction": 0.4,
}


def stages(scene: Scene) -> list[Stage]:
    linear = corrected(scene)
    pixels = np.empty(linear.shape, np.float32)
    low, high = smooth(linear, 1.5, pixels)
    level = float(filters.threshold_otsu(pixels))
    runs = runs_above(pixels, level)
    region = components(runs)
    labels, n = ndi.label(pixels > level, np.ones((3, 3)))
    image = Image(linear)

    def region_percentiles() -> list[float]:
        return [
            float(np.percentile(pixels[box][labels[box] == label], 75))
            for label, box in enumerate(ndi.find_objects(labels), 1)
        ]

    def nuclei() -> object:
        smoothed = ndi.gaussian_filter(linear.pixels(), 1)
        return threshold(Image(smoothed), **_NUCLEI)

    return [
        Stage(
            "histogram, float32",
            lambda: float_histogram(pixels, low, high),
            lambda: np.histogram(pixels, 256),
        ),
        Stage(
            "histogram, uint16",
            lambda: integer_histogram(scene.raw),
            lambda: np.bincount(scene.raw.ravel()),
        ),
        Stage(
            "threshold otsu",
            lambda: of_histogram("otsu", float_histogram(pixels, low, high)),
            lambda: filters.threshold_otsu(pixels),
        ),
        Stage(
            "threshold li",
            lambda: li_of_pixels(pixels, low),
            lambda: filters.threshold_li(pixels),
        ),
        Stage(
            "5th percentile",
            lambda: percentile(pixels, 5),
            lambda: np.percentile(pixels, 5),
        ),
        Stage(
            "noise",
            lambda: percentile_of_lags(pixels, 4, 25),
            lambda: noise_sd(pixels),
        ),
        Stage(
            "runs above a level",
            lambda: runs_above(pixels, level),
            lambda: pixels > level,
        ),
        Stage(
            "runs above a local level",
            lambda: runs_above_surface(pixels, 10, 0, 0, level),
            lambda: pixels > np.maximum(ndi.gaussian_filter(pixels, 10), level),
        ),
        Stage(
            "75th percentile of regions",
            lambda: percentile_of_regions(pixels, runs, region, n, 75),
            region_percentiles,
        ),
        Stage(
            "correct, gaussian, otsu, runs",
            lambda: smoothed_threshold(image, gaussian={"sigma_px": 1.5}, threshold={}),
            lambda: threshold(Image(ndi.gaussian_filter(linear.pixels(), 1.5))),
        ),
        Stage(
            "correct, gaussian, nuclei preset",
            lambda: smoothed_threshold(image, gaussian={"sigma_px": 1.0}, threshold=_NUCLEI),
            nuclei,
        ),
    ]
