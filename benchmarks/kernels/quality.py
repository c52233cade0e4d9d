"""What every raw frame is judged by."""

import numpy as np

from benchmarks.scene import Scene
from benchmarks.stage import Stage
from dipstream.steps.quality import check_finite, frame_quality, reference_quality

__all__ = ["stages"]


def stages(scene: Scene) -> list[Stage]:
    floats = scene.raw.astype(np.float32)
    return [
        Stage(
            "quality of a frame, uint16",
            lambda: frame_quality(scene.raw, 16),
            lambda: reference_quality(scene.raw, 16),
        ),
        Stage(
            "quality of a frame, float32",
            lambda: frame_quality(floats, None),
            lambda: reference_quality(floats, None),
        ),
        Stage(
            "finite pixels, float32",
            lambda: check_finite(floats),
            lambda: np.isfinite(floats).all(),
        ),
    ]
