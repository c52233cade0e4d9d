"""Small, thin and cut off regions of the foreground."""

from benchmarks.scene import Scene
from benchmarks.stage import Stage
from dipstream.kernels.runs import runs_of_mask
from dipstream.steps.fast import clean as fast
from dipstream.steps.image import Mask
from dipstream.steps.segment import clean as reference

__all__ = ["stages"]


def stages(scene: Scene) -> list[Stage]:
    mask = scene.truth > 0
    dense, runs = Mask(mask), Mask(runs_of_mask(mask))
    return [
        Stage(
            "remove small",
            lambda: fast.clean(runs, min_area_px=50),
            lambda: reference.clean(dense, min_area_px=50),
        ),
        Stage(
            "opening, 2 px",
            lambda: fast.clean(runs, opening_px=2),
            lambda: reference.clean(dense, opening_px=2),
        ),
        Stage(
            "clear border",
            lambda: fast.clear_border(runs),
            lambda: reference.clear_border(dense),
        ),
    ]
