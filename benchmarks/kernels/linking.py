"""From the objects of one frame to those of the next, beside the matching that defines it."""

import numpy as np
from scipy import ndimage as ndi

from benchmarks.scene import Scene
from benchmarks.stage import Stage
from dipstream.kernels.assignment import assign
from dipstream.kernels.near_pairs import near_pairs
from dipstream.steps.objects import Objects
from dipstream.steps.track.assignment import NO_LINK_COST, assign_near
from dipstream.steps.track.lap import lap

__all__ = ["stages"]

_GATE_PX, _STEP_PX, _LOST = 20.0, 3.0, 0.02


def stages(scene: Scene) -> list[Stage]:
    n = int(scene.truth.max())
    tracks = np.array(ndi.center_of_mass(scene.truth > 0, scene.truth, range(1, n + 1)))
    rng = np.random.default_rng(n)
    moved = tracks + rng.normal(0, _STEP_PX, tracks.shape)
    objects = rng.permutation(moved[rng.random(n) >= _LOST])
    state, _ = lap(None, _objects(0, tracks))
    shown = _objects(1, objects)
    return [
        Stage(
            "near pairs",
            lambda: near_pairs(tracks, objects, _GATE_PX),
            lambda: assign_near(tracks, objects, _GATE_PX),
        ),
        Stage(
            "assignment",
            lambda: assign(tracks, objects, _GATE_PX, NO_LINK_COST),
            lambda: assign_near(tracks, objects, _GATE_PX),
        ),
        Stage(
            "lap with events, divisions and state",
            lambda: lap(state, shown, max_distance_px=_GATE_PX),
            lambda: assign_near(tracks, objects, _GATE_PX),
        ),
    ]


def _objects(t: int, yx_px: np.ndarray) -> Objects:
    n = len(yx_px)
    features = {"label": np.arange(1, n + 1), "area": np.full(n, 400.0)}
    return Objects(t, t, yx_px[:, 0].copy(), yx_px[:, 1].copy(), features, next_track_id=1 + t * n)
