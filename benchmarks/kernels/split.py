"""From foreground to objects: beside the usual recipe with local maxima and a watershed."""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage as ndi
from skimage.feature import peak_local_max
from skimage.segmentation import watershed

from benchmarks.scene import Scene
from benchmarks.stage import Stage
from dipstream.kernels.runs import runs_of_mask
from dipstream.steps.fast.split import split
from dipstream.steps.image import Mask

__all__ = ["stages"]


def stages(scene: Scene) -> list[Stage]:
    mask = scene.truth > 0
    runs = Mask(runs_of_mask(mask))
    return [Stage("split", lambda: split(runs), lambda: _recipe(mask))]


def _recipe(mask: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
    distance = ndi.gaussian_filter(ndi.distance_transform_edt(mask), 1.0)
    regions, _ = ndi.label(mask)
    tops = peak_local_max(distance, min_distance=7, labels=regions, exclude_border=False)
    seeds = np.zeros(mask.shape, np.int32)
    seeds[tuple(tops.T)] = np.arange(1, len(tops) + 1)
    return np.asarray(watershed(-distance, seeds, mask=mask))
