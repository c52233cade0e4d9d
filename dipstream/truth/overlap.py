"""Which pixels two label images share: the arithmetic that all scores of objects rest on."""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from dipstream.errors import DipstreamError

__all__ = ["LabelImage", "Overlap", "areas", "overlap"]

LabelImage: TypeAlias = npt.NDArray[np.integer[Any]]
"""2-D, of integers; 0 is background, numbers may have gaps."""

_MOST_KEYS = 2**62


@dataclass(frozen=True, slots=True, eq=False)
class Overlap:
    """Pairs of labels that share pixels; row for row, 0 left out.

    Attributes
    ----------
    truth, found, shared
        int64 (n,): the true label, the found label and how many pixels they share.
    truth_area, found_area
        Label → its pixels in the whole image.
    """

    truth: npt.NDArray[np.int64]
    found: npt.NDArray[np.int64]
    shared: npt.NDArray[np.int64]
    truth_area: dict[int, int]
    found_area: dict[int, int]

    def iou(self) -> npt.NDArray[np.float64]:
        """Return intersection over union of every pair."""
        a = np.array([self.truth_area[int(label)] for label in self.truth], np.int64)
        b = np.array([self.found_area[int(label)] for label in self.found], np.int64)
        return np.asarray(self.shared / (a + b - self.shared), np.float64)


def overlap(truth: LabelImage, labels: LabelImage) -> Overlap:
    """Count the pixels that true and found objects share.

    Raises
    ------
    DipstreamError
        If the images differ in shape.
    """
    if truth.shape != labels.shape:
        raise DipstreamError(
            f"The truth is {truth.shape} pixels and the labels {labels.shape}: "
            "scores need two label images of the same field."
        )
    inside = (truth != 0) & (labels != 0)
    pairs, shared = _counted(truth[inside].astype(np.int64), labels[inside].astype(np.int64))
    return Overlap(pairs[:, 0], pairs[:, 1], shared, areas(truth), areas(labels))


def areas(labels: LabelImage) -> dict[int, int]:
    """Return label → its pixels; 0 left out."""
    values, counts = np.unique(labels[labels != 0], return_counts=True)
    return {int(value): int(count) for value, count in zip(values, counts, strict=True)}


def _counted(
    a: npt.NDArray[np.int64], b: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the distinct pairs (n, 2), sorted, and how often each occurs."""
    if a.size == 0:
        return np.empty((0, 2), np.int64), np.empty(0, np.int64)
    first_a, first_b = int(a.min()), int(b.min())
    span = int(b.max()) - first_b + 1
    if (int(a.max()) - first_a + 1) * span > _MOST_KEYS:
        pairs, counts = np.unique(np.stack([a, b], axis=1), axis=0, return_counts=True)
        return pairs, counts.astype(np.int64)
    # One number a pair: sorting numbers is ten times as fast as sorting rows.
    keys, counts = np.unique((a - first_a) * span + (b - first_b), return_counts=True)
    pairs = np.stack([keys // span + first_a, keys % span + first_b], axis=1)
    return pairs, counts.astype(np.int64)
