"""The shape of all nuclei, and its parts."""

import numpy as np
from scipy import ndimage as ndi
from skimage import measure

from benchmarks.scene import Scene
from benchmarks.stage import Stage
from dipstream.kernels.euler import euler_numbers
from dipstream.kernels.hull import convex_areas
from dipstream.kernels.moments import moments_of_runs
from dipstream.kernels.perimeter import perimeters
from dipstream.kernels.runs import runs_of_labels
from dipstream.steps.fast.shape import shape
from dipstream.steps.image import Labels
from dipstream.steps.measure.shape import shape as reference

__all__ = ["stages"]


def stages(scene: Scene) -> list[Stage]:
    runs = runs_of_labels(scene.truth)
    moments = moments_of_runs(runs)

    def table(*names: str) -> object:
        return measure.regionprops_table(scene.truth, properties=names)

    def by_bincount() -> object:
        y, x = np.nonzero(scene.truth)
        label = scene.truth[y, x]
        sums = [np.bincount(label, weights) for weights in (y, x, y * y, y * x, x * x)]
        return ndi.find_objects(scene.truth), sums

    return [
        Stage("moments and boxes", lambda: moments_of_runs(runs), by_bincount),
        Stage("Euler number", lambda: euler_numbers(moments.runs), lambda: table("euler_number")),
        Stage("perimeter", lambda: perimeters(moments), lambda: table("perimeter")),
        Stage("convex area", lambda: convex_areas(moments), lambda: table("area_convex")),
        Stage(
            "shape, all columns",
            lambda: shape(Labels(runs), {}),
            lambda: reference(Labels(scene.truth), {}),
        ),
    ]
