"""The same recipe as somebody writes it who knows OpenCV; the rest is scikit-image's."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from skimage.feature import peak_local_max
from skimage.segmentation import watershed

from benchmarks.optional import optional
from benchmarks.user_script import Labels, Plane, correct, measure

__all__ = ["available", "nuclei_of"]


def available() -> bool:
    """Return whether OpenCV is installed; it is then kept to one thread, like all others."""
    cv2 = optional("cv2")
    if cv2 is not None:
        cv2.setNumThreads(1)
    return cv2 is not None


def nuclei_of(
    raw: Sequence[Plane], dark_dn: float, flat: Plane | None
) -> tuple[Labels, dict[str, npt.NDArray[Any]]]:
    """Segment the first channel and measure all; as `user_script.nuclei_of`."""
    channels = [correct(plane, dark_dn, flat) for plane in raw]
    labels = segment(channels[0])
    return labels, measure(labels, channels)


def segment(pixels: Plane) -> Labels:
    """Return the nuclei: bright, filled, not tiny, and cut apart at their necks."""
    cv2: Any = optional("cv2")
    smooth = cv2.GaussianBlur(pixels, (0, 0), 1.5, borderType=cv2.BORDER_REFLECT)
    grey = cv2.normalize(smooth, None, 0, 65535, cv2.NORM_MINMAX, cv2.CV_16U)
    _, mask = cv2.threshold(grey, 0, 65535, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    mask = _filled(cv2, (mask > 0).astype(np.uint8))
    mask, regions = _without_small(cv2, mask, least_px=50)
    distance = cv2.distanceTransform(mask, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    distance = cv2.GaussianBlur(distance, (0, 0), 1.0, borderType=cv2.BORDER_REFLECT)
    peaks = peak_local_max(distance, min_distance=7, labels=regions, exclude_border=False)
    markers = np.zeros(mask.shape, np.int32)
    markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    found: Labels = watershed(-distance, markers, mask=mask > 0)
    return found


def _filled(cv2: Any, mask: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled: npt.NDArray[np.uint8] = cv2.drawContours(mask, outlines, -1, 1, cv2.FILLED)
    return filled


def _without_small(
    cv2: Any, mask: npt.NDArray[np.uint8], least_px: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]]:
    _, regions, statistics, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
    large = statistics[:, cv2.CC_STAT_AREA] >= least_px
    large[0] = False
    kept = large[regions]
    return kept.astype(np.uint8), np.where(kept, regions, 0)
