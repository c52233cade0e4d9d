"""Correction and smoothing."""

import numpy as np
from scipy import ndimage as ndi

from benchmarks.scene import DARK_DN, Scene
from benchmarks.stage import Stage
from dipstream.kernels.linear import Linear
from dipstream.kernels.median import median_of_nine
from dipstream.kernels.smooth import smooth

__all__ = ["corrected", "stages"]


def corrected(scene: Scene) -> Linear:
    """Return the frame less its dark signal, over its illumination."""
    gain = np.asarray(scene.flat.mean() / scene.flat, np.float32)
    return Linear(scene.raw, np.asarray(np.float32(DARK_DN)), gain)


def stages(scene: Scene) -> list[Stage]:
    linear = corrected(scene)
    smoothed = np.empty(linear.shape, np.float32)

    def gaussian(sigma_px: float) -> Stage:
        return Stage(
            f"correct, gaussian σ {sigma_px:g}",
            lambda: smooth(linear, sigma_px, smoothed),
            lambda: ndi.gaussian_filter(linear.pixels(), sigma_px),
        )

    return [
        *(gaussian(sigma_px) for sigma_px in (1.0, 1.5, 10.0)),
        Stage(
            "median of 3 × 3",
            lambda: median_of_nine(scene.raw),
            lambda: ndi.median_filter(scene.raw, 3),
        ),
    ]
