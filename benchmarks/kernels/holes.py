"""Holes in the foreground, one pixel in a hundred of it."""

import numpy as np
from scipy import ndimage as ndi

from benchmarks.scene import Scene
from benchmarks.stage import Stage
from dipstream.kernels.holes import fill_holes
from dipstream.kernels.runs import runs_of_mask

__all__ = ["stages"]


def stages(scene: Scene) -> list[Stage]:
    holes = np.random.default_rng(0).random(scene.truth.shape) < 0.01
    mask = (scene.truth > 0) & ~holes
    runs = runs_of_mask(mask)
    return [Stage("fill holes", lambda: fill_holes(runs), lambda: ndi.binary_fill_holes(mask))]
