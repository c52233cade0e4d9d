"""The label and centroid of every nucleus."""

from types import SimpleNamespace
from typing import Any

from skimage import measure

from benchmarks.scene import Scene
from benchmarks.stage import Stage
from dipstream.kernels.runs import runs_of_labels
from dipstream.pipeline.keys import key_values
from dipstream.steps.image import Labels

__all__ = ["stages"]


def stages(scene: Scene) -> list[Stage]:
    labels = Labels(runs_of_labels(scene.truth))
    labels.moments  # noqa: B018  (a measurement asks for it too)
    # All that is looked at: the size of a pixel, and where the stage stands.
    image_set: Any = SimpleNamespace(
        segment=SimpleNamespace(pixel_um=0.25, camera_to_stage=(0.25, 0, 0, 0, 0.25, 0)),
        frames=[SimpleNamespace(info=SimpleNamespace(stage_um=(0.0, 0.0)))],
    )
    names = ("label", "centroid")
    return [
        Stage(
            "label and centroid",
            lambda: key_values(labels, image_set),
            lambda: measure.regionprops_table(scene.truth, properties=names),
        )
    ]
