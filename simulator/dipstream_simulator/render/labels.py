"""What is really there: which pixels belong to which object, and where the objects are."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dipstream_simulator.render.kernels import deepest, number
from dipstream_simulator.render.shapes import ShapeSprites
from dipstream_simulator.specimen.model import Canvas, Objects

__all__ = ["SceneTruth", "canvas_truth", "objects_truth"]

_Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class SceneTruth:
    """What one view shows at one time.

    Attributes
    ----------
    labels
        int32 (y, x): 1, 2, … without holes, 0 = background.
    track_ids, parent_ids
        int64 (n,), in the order of the labels; parent 0 = none.
    y_um, x_um
        float64 (n,): centroids in the image, in µm from the middle of the first pixel.
    z_um
        float64 (n,): height above the plane in focus, in µm.
    """

    labels: npt.NDArray[np.int32]
    track_ids: npt.NDArray[np.int64]
    parent_ids: npt.NDArray[np.int64]
    y_um: _Numbers
    x_um: _Numbers
    z_um: _Numbers

    def copy(self) -> "SceneTruth":
        """Return the same in arrays of its own."""
        return SceneTruth(
            self.labels.copy(),
            self.track_ids.copy(),
            self.parent_ids.copy(),
            self.y_um.copy(),
            self.x_um.copy(),
            self.z_um.copy(),
        )


def objects_truth(
    objects: Objects,
    sprites: ShapeSprites,
    y_px: _Numbers,
    x_px: _Numbers,
    shape: tuple[int, int],
    pixel_um: float,
    focus_um: float,
) -> SceneTruth:
    """Label the pixels by the object in which their middle lies deepest.

    Parameters
    ----------
    objects, sprites
        The objects, and how deep their shapes are.
    y_px, x_px
        Where the objects' centroids are; the middle of the image's first pixel is 0.
    shape, pixel_um
        Rows and columns of the image, and its pixel in µm.
    focus_um
        Height of the plane in focus, in µm.
    """
    reach_px = sprites.reach_um(objects.shape) / pixel_um + 1.0
    seen = np.flatnonzero(
        objects.counted
        & (y_px > -reach_px)
        & (y_px < shape[0] - 1 + reach_px)
        & (x_px > -reach_px)
        & (x_px < shape[1] - 1 + reach_px)
    )
    labels = np.zeros(shape, dtype=np.int32)
    if len(seen):
        shelf = sprites.depth(objects.shape[seen])
        depth = np.zeros(shape, dtype=np.float32)
        deepest(
            labels,
            depth,
            shelf.buffer,
            shelf.offset,
            shelf.side,
            shelf.oversample,
            y_px[seen],
            x_px[seen],
        )
        seen = seen[number(labels, len(seen))]
    return SceneTruth(
        labels=labels,
        track_ids=objects.track_ids[seen],
        parent_ids=objects.parent_ids[seen],
        y_um=y_px[seen] * pixel_um,
        x_um=x_px[seen] * pixel_um,
        z_um=objects.z_um[seen] - focus_um,
    )


def canvas_truth(
    canvas: Canvas, y_um: _Numbers, x_um: _Numbers, pixel_um: float, focus_um: float
) -> SceneTruth:
    """Label the pixels by the element of a canvas in which their middle lies.

    Element k has track k; its centroid is that of its pixels.

    Parameters
    ----------
    canvas
        The drawing.
    y_um, x_um
        World coordinates of the image's rows and columns, in µm.
    pixel_um
        Side of a pixel, in µm.
    focus_um
        Height of the plane in focus, in µm.
    """
    labels = np.ascontiguousarray(canvas.labels(y_um, x_um), dtype=np.int32)
    kept = number(labels, int(labels.max(initial=0)))
    rows, columns = np.nonzero(labels)
    which = labels[rows, columns]
    area_px = np.bincount(which, minlength=len(kept) + 1)[1:]
    y_px = np.bincount(which, weights=rows, minlength=len(kept) + 1)[1:] / area_px
    x_px = np.bincount(which, weights=columns, minlength=len(kept) + 1)[1:] / area_px
    return SceneTruth(
        labels=labels,
        track_ids=kept + 1,
        parent_ids=np.zeros(len(kept), dtype=np.int64),
        y_um=y_px * pixel_um,
        x_um=x_px * pixel_um,
        z_um=np.full(len(kept), -focus_um),
    )
