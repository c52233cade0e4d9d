"""Rings around objects: where the cytoplasm or the local background of a nucleus is measured."""

import numpy as np
from skimage import segmentation

from dipstream.steps.image import Labels

__all__ = ["ring_labels"]


def ring_labels(labels: Labels, *, inner_px: float, outer_px: float) -> Labels:
    """Return the band between two distances around every object, under the object's own label.

    A pixel belongs to the nearest object, so that neighbours' rings meet but never overlap, and
    never reach into another object. An object without any room around it has no ring.

    Parameters
    ----------
    labels
        The objects, int32 (y, x).
    inner_px, outer_px
        Euclidean distances from the object's border, in px: the ring holds the pixels farther
        than `inner_px` and not farther than `outer_px`.
    """
    outer = segmentation.expand_labels(labels.dense, distance=outer_px)
    inner = (
        labels.dense
        if inner_px == 0
        else segmentation.expand_labels(labels.dense, distance=inner_px)
    )
    return labels.with_data(np.where(inner > 0, 0, outer).astype(np.int32))
