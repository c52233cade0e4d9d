"""The script that people write with scikit-image: what every ratio is a ratio to."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage as ndi
from skimage.feature import peak_local_max
from skimage.filters import gaussian, threshold_otsu
from skimage.measure import regionprops_table
from skimage.morphology import remove_small_objects
from skimage.segmentation import watershed

__all__ = ["PROPERTIES", "Labels", "Plane", "correct", "measure", "nuclei_of", "segment"]

Plane = npt.NDArray[Any]
Labels = npt.NDArray[np.int32]

PROPERTIES = (
    *("label", "area", "centroid", "bbox", "perimeter", "axis_major_length", "axis_minor_length"),
    *("eccentricity", "solidity", "orientation"),
    *("intensity_mean", "intensity_max", "intensity_min", "intensity_std", "centroid_weighted"),
)


def nuclei_of(
    raw: Sequence[Plane], dark_dn: float, flat: Plane | None
) -> tuple[Labels, dict[str, npt.NDArray[Any]]]:
    """Segment the first channel and measure all.

    Parameters
    ----------
    raw
        (y, x) of each channel.
    dark_dn
        Offset of the camera.
    flat
        Illumination (y, x), or None.

    Returns
    -------
    labels
        int32 (y, x), 0 = background.
    table
        One value an object for each of `PROPERTIES`.
    """
    channels = [correct(plane, dark_dn, flat) for plane in raw]
    labels = segment(channels[0])
    return labels, measure(labels, channels)


def correct(raw: Plane, dark_dn: float, flat: Plane | None) -> Plane:
    """Return float32 pixels without offset and shading."""
    pixels = raw.astype(np.float32) - np.float32(dark_dn)
    return pixels if flat is None else pixels / flat


def segment(pixels: Plane) -> Labels:
    """Return the nuclei: bright, filled, not tiny, and cut apart at their necks."""
    smooth = gaussian(pixels, 1.5, preserve_range=True)
    mask = smooth > threshold_otsu(smooth)
    mask = ndi.binary_fill_holes(mask)
    mask = remove_small_objects(mask, max_size=49)
    distance = ndi.gaussian_filter(ndi.distance_transform_edt(mask), 1.0)
    regions, _ = ndi.label(mask)
    peaks = peak_local_max(distance, min_distance=7, labels=regions, exclude_border=False)
    markers = np.zeros(mask.shape, np.int32)
    markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    found: Labels = watershed(-distance, markers, mask=mask)
    return found


def measure(labels: Labels, channels: Sequence[Plane]) -> dict[str, npt.NDArray[Any]]:
    """Measure every object in every channel."""
    pixels = channels[0] if len(channels) == 1 else np.stack(channels, axis=-1)
    table: dict[str, npt.NDArray[Any]] = regionprops_table(labels, pixels, properties=PROPERTIES)
    return table
