"""Objects found against objects that are there, by intersection over union (IoU).

Scored as in the Kaggle Data Science Bowl 2018 (Caicedo et al., Nature Methods 16, 2019) and by
StarDist (``stardist.matching``, Schmidt et al., MICCAI 2018): one-to-one pairs of a true and a
found object. Label images are 2-D, of integers; 0 is background, numbers may have gaps.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dipstream.truth.overlap import LabelImage, Overlap, overlap

__all__ = ["IOU_THRESHOLDS", "ObjectMatch", "average_precision", "f1_score", "match_objects"]

IOU_THRESHOLDS = tuple(percent / 100 for percent in range(50, 100, 5))
"""0.50, 0.55, … 0.95: the thresholds of the Data Science Bowl."""


@dataclass(frozen=True, slots=True)
class ObjectMatch:
    """Which found object is which true one.

    Attributes
    ----------
    pairs
        (true label, found label, IoU) of every pair, by true label.
    n_truth, n_found
        Objects in the truth and in the result.
    """

    pairs: tuple[tuple[int, int, float], ...]
    n_truth: int
    n_found: int

    @property
    def true_positives(self) -> int:
        """Number of pairs."""
        return len(self.pairs)

    @property
    def f1(self) -> float:
        """2 TP / (2 TP + FP + FN); 1 if there was nothing to find and nothing was found."""
        both = self.n_truth + self.n_found
        return 2 * self.true_positives / both if both else 1.0

    @property
    def average_precision(self) -> float:
        """TP / (TP + FP + FN); 1 if there was nothing to find and nothing was found."""
        either = self.n_truth + self.n_found - self.true_positives
        return self.true_positives / either if either else 1.0


def match_objects(truth: LabelImage, labels: LabelImage, iou: float = 0.5) -> ObjectMatch:
    """Pair true and found objects one to one.

    A pair needs an intersection over union of at least `iou` (StarDist's ≥; the Data Science
    Bowl says >). Where several pairs are possible, as many as possible are made, and among those
    the ones with the largest IoU; above 0.5 there is never a choice.

    Parameters
    ----------
    truth, labels
        Label images of the same shape.
    iou
        Smallest IoU of a pair, above 0.
    """
    return _match(overlap(truth, labels), iou)


def f1_score(truth: LabelImage, labels: LabelImage, iou: float = 0.5) -> float:
    """Return 2 TP / (2 TP + FP + FN) at one IoU threshold, see `match_objects`."""
    return match_objects(truth, labels, iou).f1


def average_precision(
    truth: LabelImage, labels: LabelImage, thresholds: Sequence[float] = IOU_THRESHOLDS
) -> float:
    """Return TP / (TP + FP + FN), averaged over IoU thresholds, as the Data Science Bowl does."""
    shared = overlap(truth, labels)
    return float(np.mean([_match(shared, iou).average_precision for iou in thresholds]))


def _match(shared: Overlap, least: float) -> ObjectMatch:
    iou = shared.iou()
    enough = iou >= least
    rows, row = np.unique(shared.truth[enough], return_inverse=True)
    columns, column = np.unique(shared.found[enough], return_inverse=True)
    # The half that a pair adds by its IoU can never outweigh one more pair: StarDist's cost.
    gain = np.zeros((len(rows), len(columns)))
    values = np.zeros_like(gain)
    gain[row, column] = 1 + iou[enough] / (2 * max(1, min(gain.shape)))
    values[row, column] = iou[enough]
    from scipy.optimize import linear_sum_assignment  # noqa: PLC0415 - slow, and rarely needed

    i, j = linear_sum_assignment(gain, maximize=True)
    made = gain[i, j] > 0
    pairs = tuple(
        (int(rows[y]), int(columns[x]), float(values[y, x]))
        for y, x in zip(i[made], j[made], strict=True)
    )
    return ObjectMatch(pairs, len(shared.truth_area), len(shared.found_area))
