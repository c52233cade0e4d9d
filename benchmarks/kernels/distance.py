"""Distance to the background, of many objects and of one that is as large as the frame."""

import numpy as np
from scipy import ndimage as ndi

from benchmarks.scene import Scene
from benchmarks.stage import Stage
from dipstream.kernels.distance import squared_distance
from dipstream.kernels.runs import runs_of_mask

__all__ = ["stages"]


def stages(scene: Scene) -> list[Stage]:
    mask = scene.truth > 0
    giant = np.ones_like(mask)
    giant[0, 0] = False
    runs, runs_of_giant = runs_of_mask(mask), runs_of_mask(giant)
    return [
        Stage(
            "distance",
            lambda: squared_distance(runs),
            lambda: ndi.distance_transform_edt(mask),
        ),
        Stage(
            "distance in one giant",
            lambda: squared_distance(runs_of_giant),
            lambda: ndi.distance_transform_edt(giant),
        ),
    ]
