"""Spots that are hardly larger than the microscope's blur."""

from typing import Annotated, Any, TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import Field
from scipy import ndimage as ndi
from skimage.morphology import local_maxima
from skimage.segmentation import watershed

from dipstream.errors import StepError
from dipstream.steps.image import Image, Labels
from dipstream.steps.segment.noise import robust_sd
from dipstream.steps.segment.regions import EIGHT, connected, in_raster_order
from dipstream.steps.step import pure

__all__ = ["spots"]

Heights: TypeAlias = npt.NDArray[np.floating[Any]]

_DYNAMIC_RANGE = 1000


@pure()
def spots(
    image: Image,
    *,
    sigma_px: Annotated[float, Field(gt=0)] = 1.5,
    min_height_sd: Annotated[float, Field(gt=0)] = 6.0,
) -> Labels:
    """Find bright spots of one size: the Laplacian of a Gaussian, above the noise.

    The image is filtered with the negative Laplacian of a Gaussian, scaled so that a Gaussian
    spot of the same σ answers with its own height (Lindeberg, Int. J. Comput. Vis. 30, 1998);
    what varies slowly, such as background, drops out. Each local maximum that is high enough is
    a spot. Its pixels are those around it, up to the watershed to its neighbours (8-connected),
    that answer with more than half of its height. Labels are numbered 1…n in raster order of
    their first pixels.

    The estimate ``threshold`` of the image set is the least height, in grey levels.

    Parameters
    ----------
    image
        One channel, unsmoothed; its border is mirrored.
    sigma_px
        σ of the spots, in px; for spots at the limit of resolution 0.21 λ / NA (Zhang, Zerubia
        & Olivo-Marin, Appl. Opt. 46, 2007), that is, their width at half height / 2.35.
    min_height_sd
        Least height, in standard deviations of the filtered noise. Normal noise hardly
        exceeds 5 anywhere in a field; the noise of few photons is skewed, hence the default of
        6. Nor are spots lower than a thousandth of the highest looked for.
    """
    pixels = image.pixels.astype(np.float32)
    if not np.isfinite(pixels).all():
        raise StepError("spots: the image holds NaN or infinite pixels; mend them before.")
    pixels -= np.median(pixels)  # the sampled filter's sum is not exactly 0
    heights = -2 * sigma_px**2 * ndi.gaussian_laplace(pixels, sigma_px, mode="reflect")
    if np.ptp(pixels) == 0:  # whatever the filter answers is its rounding
        return _labels(image, np.zeros(pixels.shape, np.int32), 0.0)
    highest = float(heights.max())
    least = max(min_height_sd * robust_sd(heights), highest / _DYNAMIC_RANGE)
    tops = local_maxima(heights, connectivity=2) & (heights > least)
    return _labels(image, _grown(heights, tops, least), least)


def _labels(image: Image, dense: npt.NDArray[np.int32], least: float) -> Labels:
    return image.mask(dense > 0).labels(dense).with_estimates(threshold=least)


def _grown(heights: Heights, tops: npt.NDArray[np.bool_], least: float) -> npt.NDArray[np.int32]:
    """Grow each top down to half its height."""
    seeds = connected(tops)
    basins = watershed(-heights, seeds, mask=heights > least / 2, connectivity=EIGHT)
    peaks = np.zeros(int(seeds.max(initial=0)) + 1, heights.dtype)
    peaks[seeds[tops]] = heights[tops]
    return in_raster_order(np.where(heights > peaks[basins] / 2, basins, 0))
