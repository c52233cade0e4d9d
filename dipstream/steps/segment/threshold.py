"""Foreground is what is brighter than a threshold."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import Field
from skimage import filters

from dipstream.errors import ConfigError, StepError
from dipstream.steps import ndimage as ndi
from dipstream.steps.image import Image, Mask
from dipstream.steps.segment.noise import noise_sd
from dipstream.steps.segment.regions import connected
from dipstream.steps.step import pure

__all__ = [
    "BRIGHT_PERCENTILE",
    "DARK_PERCENTILE",
    "FLOOR_FRACTION",
    "SIGMA_PX",
    "SURFACE_MARGIN",
    "GlobalMethod",
    "Rules",
    "threshold",
]

GlobalMethod: TypeAlias = Literal["mean", "isodata", "otsu", "triangle", "li", "yen"]

Pixels: TypeAlias = npt.NDArray[Any]
Dense: TypeAlias = npt.NDArray[np.bool_]

SIGMA_PX, FLOOR_FRACTION = 10.0, 0.5
DARK_PERCENTILE, BRIGHT_PERCENTILE = 5, 75
SURFACE_MARGIN = 2.0**-19
"""What exceeds its local threshold by less, as a part of it, is as bright: means are rounded."""


@pure()
def threshold(
    image: Image,
    *,
    method: Literal["manual", "mean", "isodata", "otsu", "triangle", "li", "yen", "local"] = "otsu",
    value: float | None = None,
    offset: float = 0.0,
    sigma_px: Annotated[float | None, Field(gt=0)] = None,
    floor: GlobalMethod | None = None,
    floor_fraction: Annotated[float | None, Field(ge=0)] = None,
    min_contrast_sd: Annotated[float | None, Field(ge=0)] = None,
    rim_fraction: Annotated[float | None, Field(ge=0, lt=1)] = None,
) -> Mask:
    """Mark the pixels that are brighter than a threshold.

    The global methods are those of ``skimage.filters``, with its results: ``mean``; ``isodata``
    (Ridler & Calvard 1978); ``otsu`` (Otsu 1979); ``triangle`` (Zack, Rogers & Latt 1977); ``li``
    (Li & Tam 1998); ``yen`` (Yen, Chang & Chang 1995). ``local`` compares each pixel with the
    Gaussian-weighted mean around it (``skimage.filters.threshold_local``); what is brighter by less
    than 2⁻¹⁹ of that mean, the rounding of it, is not brighter. An image of one grey level has no
    foreground, except by ``manual``.

    Then, if asked for, in this order: `floor`, `min_contrast_sd`, `rim_fraction`. Regions are
    8-connected. The estimate ``threshold`` of the image set is the threshold itself; of
    ``local``, its mean over the image, floor included.

    Parameters
    ----------
    image
        One channel.
    method
        How the threshold is found; ``manual`` takes `value`.
    value
        Threshold in grey levels, for ``manual``.
    offset
        Added to the threshold, in grey levels; not with ``manual``.
    sigma_px
        For ``local``: σ of the Gaussian in px, default 10, cut off at 4 σ; about the radius of
        the objects.
    floor
        For ``local``: a global method. Foreground must also exceed a level between the dark end
        of the image (its 5th percentile) and this method's threshold, so that haze in the empty
        parts of a field is no foreground.
    floor_fraction
        Where between the two that level lies, default 0.5: half-way.
    min_contrast_sd
        Least mean height of a region above the threshold, in standard deviations of the image's
        noise. A threshold cuts even an empty field in two; regions of mere noise then have a mean
        height of 0.8 or less (small ones, by chance, up to 1.8), objects that one can see one of
        more than 2. The noise is judged from differences between pixels 4 px apart: smooth by no
        more than σ 1.5 px before. In a field of almost nothing but noise a global threshold joins
        dim objects to the noise around them and they are dropped together; ``local`` keeps them
        apart.
    rim_fraction
        Foreground must also exceed this fraction of its own region's brightness (the region's
        75th percentile above the image's 5th). The edge of a blurred object lies near half its
        height: without this, bright objects swell where the threshold is low.
    """
    rules = Rules(method, value, offset, sigma_px, floor, floor_fraction)
    rules.check()
    pixels = image.pixels
    low, high = float(pixels.min()), float(pixels.max())
    if not np.isfinite(low + high):
        raise StepError("threshold: the image holds NaN or infinite pixels; mend them before.")
    if low == high and method != "manual":
        return image.mask(np.zeros(pixels.shape, bool)).with_estimates(threshold=low)
    level = rules.level(pixels)
    foreground = np.asarray(pixels > level, bool)
    if min_contrast_sd is not None:
        foreground = _contrasting(pixels, level, foreground, min_contrast_sd)
    if rim_fraction is not None:
        foreground = _without_rim(pixels, foreground, rim_fraction)
    return image.mask(foreground).with_estimates(threshold=float(np.mean(level)))


@dataclass(frozen=True, slots=True)
class Rules:
    """How a threshold is found: the parameters of `threshold` that say it."""

    method: str
    value: float | None
    offset: float
    sigma_px: float | None
    floor: GlobalMethod | None
    floor_fraction: float | None

    def check(self) -> None:
        """Refuse parameters that have no meaning together."""
        manual, local = self.method == "manual", self.method == "local"
        if manual and self.value is None:
            raise ConfigError("threshold: method: manual needs a value, in grey levels.")
        wrong = [
            (self.value is not None and not manual, "value", "method: manual"),
            (self.offset != 0 and manual, "offset", "any method but manual (change the value)"),
            (self.sigma_px is not None and not local, "sigma_px", "method: local"),
            (self.floor is not None and not local, "floor", "method: local"),
            (self.floor_fraction is not None and self.floor is None, "floor_fraction", "a floor"),
        ]
        for is_wrong, name, partner in wrong:
            if is_wrong:
                raise ConfigError(
                    f"threshold: {name} goes with {partner}, and the method is {self.method}; "
                    f"leave {name} out or change the method."
                )

    def level(self, pixels: Pixels) -> Any:
        """Return the threshold: a number, or an image if local."""
        if self.method == "manual":
            return self.value
        if self.method != "local":
            return _global(self.method, pixels) + self.offset
        sigma = SIGMA_PX if self.sigma_px is None else self.sigma_px
        surface = ndi.gaussian_filter(_floats(pixels), sigma, mode="reflect")
        surface += np.abs(surface) * surface.dtype.type(SURFACE_MARGIN)
        surface += self.offset
        if self.floor is None:
            return surface
        fraction = FLOOR_FRACTION if self.floor_fraction is None else self.floor_fraction
        dark = float(np.percentile(pixels, DARK_PERCENTILE))
        bottom = dark + fraction * (float(_global(self.floor, pixels)) - dark)
        return np.maximum(surface, bottom)


def _floats(pixels: Pixels) -> Pixels:
    """Return float32, which holds every 16-bit grey level, or the float64 that came in."""
    return pixels.astype(np.float64 if pixels.dtype == np.float64 else np.float32)


def _contrasting(pixels: Pixels, level: Any, foreground: Dense, least_sd: float) -> Dense:
    regions = connected(foreground)
    values = _floats(pixels)
    areas = np.bincount(regions.ravel())
    heights = np.bincount(regions.ravel(), weights=(values - level).ravel())
    keep = heights >= least_sd * noise_sd(values) * areas
    keep[0] = False
    return np.asarray(keep[regions], bool)


def _without_rim(pixels: Pixels, foreground: Dense, fraction: float) -> Dense:
    regions = connected(foreground)
    dark = float(np.percentile(pixels, DARK_PERCENTILE))
    bright = np.full(int(regions.max(initial=0)) + 1, dark)
    for label, box in enumerate(ndi.find_objects(regions), start=1):
        inside = pixels[box][regions[box] == label]
        bright[label] = np.percentile(inside, BRIGHT_PERCENTILE)
    level = dark + fraction * (bright - dark)
    return foreground & (pixels > level[regions])


def _global(method: str, pixels: Pixels) -> Any:
    # Looked up when it is used: what it imports takes long, and the kernels do without it.
    return getattr(filters, f"threshold_{method}")(pixels)
