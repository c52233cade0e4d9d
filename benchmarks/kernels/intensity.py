"""The intensity of all nuclei in one channel: raw, and corrected on the way."""

from typing import Any

import numpy as np
import numpy.typing as npt
from skimage import measure

from benchmarks.scene import DARK_DN, Scene
from benchmarks.stage import Stage
from dipstream.kernels.linear import Linear
from dipstream.kernels.runs import runs_of_labels
from dipstream.steps.fast.intensity import intensity
from dipstream.steps.image import Image, Labels

__all__ = ["stages"]

_NAMES = ("intensity_mean", "intensity_min", "intensity_max", "intensity_std", "centroid_weighted")


def stages(scene: Scene) -> list[Stage]:
    labels = Labels(runs_of_labels(scene.truth))
    labels.moments  # noqa: B018  (shape has asked for it before, in a frame)
    gain = (1 / scene.flat).astype(np.float32)
    corrected = Linear(scene.raw, np.array(DARK_DN, np.float32), gain)

    def table(pixels: npt.NDArray[Any]) -> object:
        return measure.regionprops_table(scene.truth, pixels, properties=_NAMES)

    return [
        Stage(
            "intensity, raw",
            lambda: intensity(labels, {"ch0": Image(scene.raw)}),
            lambda: table(scene.raw),
        ),
        Stage(
            "intensity, corrected on the way",
            lambda: intensity(labels, {"ch0": Image(corrected)}),
            lambda: table((scene.raw - np.float32(DARK_DN)) * gain),
        ),
    ]
