"""8-connected regions of the foreground."""

import numpy as np
from scipy import ndimage as ndi

from benchmarks.scene import Scene
from benchmarks.stage import Stage
from dipstream.kernels.components import components
from dipstream.kernels.runs import runs_of_mask

__all__ = ["stages"]


def stages(scene: Scene) -> list[Stage]:
    mask = scene.truth > 0
    runs = runs_of_mask(mask)
    eight = np.ones((3, 3), bool)
    return [Stage("regions", lambda: components(runs), lambda: ndi.label(mask, eight))]
