"""What is really there: labels, tracks and centroids of one time."""

import numpy as np
import numpy.typing as npt

from dipstream.source import SourceTruth
from dipstream_simulator.render.scene import Scene
from dipstream_simulator.render.sprites import place

__all__ = ["scene_truth"]


def scene_truth(scene: Scene, position_um: npt.NDArray[np.float64]) -> SourceTruth:
    """Return which pixels belong to which nucleus.

    A pixel belongs to a nucleus if its middle lies within the outline, before any blur; where
    nuclei overlap, to the one in which it lies deeper. Labels are 1, 2, … without holes, in the
    order of the nuclei; a nucleus without a pixel is not counted. Nucleus i has track i + 1 at
    all times, whatever its label.

    Parameters
    ----------
    scene
        Image size and sprites.
    position_um
        (n, 2) centroids (y, x) in µm from the field's corner.

    Returns
    -------
    SourceTruth
        Centroids are those of the whole outline, in µm from the middle of the first pixel, as
        a segmentation measures them.
    """
    places_px = scene.places_px(position_um)
    tracks = np.zeros(scene.shape, dtype=np.int32)
    deepest = np.zeros(scene.shape, dtype=np.float32)
    for nucleus, (y_px, x_px) in enumerate(places_px.tolist()):
        sprite = scene.sprites[int(scene.specimen.shape_of[nucleus])]
        where, depth = place(scene.shape, *sprite.stamp(sprite.depth, y_px, x_px))
        deeper = depth > deepest[where]
        deepest[where][deeper] = depth[deeper]
        tracks[where][deeper] = nucleus + 1
    track_ids, labels = np.unique(tracks, return_inverse=True)
    if track_ids[0] == 0:
        track_ids = track_ids[1:]
    else:  # not one pixel of background is left
        labels = labels + 1
    seen_um = places_px[track_ids - 1] * scene.pixel_um
    return SourceTruth(
        labels=labels.reshape(scene.shape).astype(np.int32),
        track_ids=track_ids.astype(np.int64),
        parent_ids=np.zeros(len(track_ids), dtype=np.int64),
        y_um=seen_um[:, 0].copy(),
        x_um=seen_um[:, 1].copy(),
        z_um=np.zeros(len(track_ids)),
    )
