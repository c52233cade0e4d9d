"""Adds up comparisons of image sets into one score."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dipstream.truth.compare import Comparison
from dipstream.truth.distances import Distances
from dipstream.truth.intensity import IntensityFit, IntensitySums
from dipstream.truth.lineage import DivisionScore, Lineage
from dipstream.truth.links import LinkScore

__all__ = ["Score", "ScoreTally"]


@dataclass(frozen=True, slots=True)
class Score:
    """How a run compares with the truth.

    Attributes
    ----------
    image_sets
        Image sets compared.
    truth_objects_mean, found_objects_mean
        Objects of an image set, on average.
    count_error_percent
        Mean of |found − true| / true over the image sets; None before the first.
    precision, recall, f1
        Found objects that are there, true objects that were found, and both in one, by centroid.
        None where nothing was found, nothing is there, or neither.
    iou_image_sets, f1_iou50, average_precision
        Image sets whose label images were compared; F1 at IoU ≥ 0.5 over all their objects; mean
        over IoU 0.50 to 0.95, of image sets with anything in them. None without label images, or
        without objects.
    centroid_objects, centroid_error_median_um, centroid_error_rms_um
        Pairs of which neither object touches the edge of the image, and the distance of their
        centroids, in µm; None if there is no pair.
    tracked
        Whether there is a tracker.
    links, divisions
        See `LinkScore`, `DivisionScore`.
    intensity
        The fit of each channel whose electrons are known.
    """

    image_sets: int
    truth_objects_mean: float
    found_objects_mean: float
    count_error_percent: float | None
    precision: float | None
    recall: float | None
    f1: float | None
    iou_image_sets: int
    f1_iou50: float | None
    average_precision: float | None
    centroid_objects: int
    centroid_error_median_um: float | None
    centroid_error_rms_um: float | None
    tracked: bool
    links: LinkScore
    divisions: DivisionScore
    intensity: Mapping[str, IntensityFit]

    @property
    def link_recall(self) -> float | None:
        """Part of the true links that was found; None without a tracker, or without links."""
        return self.links.recall if self.tracked and self.links.n_truth_links else None

    @property
    def link_precision(self) -> float | None:
        """Part of the found links that is right; None if there is none."""
        return self.links.precision if self.links.n_links else None

    def as_dict(self) -> dict[str, Any]:
        """Return the score as what JSON can hold, rounded to what is meant."""
        return {
            "image_sets": self.image_sets,
            "truth_objects_mean": round(self.truth_objects_mean, 3),
            "found_objects_mean": round(self.found_objects_mean, 3),
            "count_error_percent": _rounded(self.count_error_percent, 3),
            "precision": _rounded(self.precision, 5),
            "recall": _rounded(self.recall, 5),
            "f1": _rounded(self.f1, 5),
            "iou_image_sets": self.iou_image_sets,
            "f1_iou50": _rounded(self.f1_iou50, 5),
            "average_precision": _rounded(self.average_precision, 5),
            "centroid_objects": self.centroid_objects,
            "centroid_error_median_um": _rounded(self.centroid_error_median_um, 5),
            "centroid_error_rms_um": _rounded(self.centroid_error_rms_um, 5),
            "tracked": self.tracked,
            "true_links": self.links.n_truth_links,
            "link_recall": _rounded(self.link_recall, 5),
            "found_links": self.links.n_links,
            "link_precision": _rounded(self.link_precision, 5),
            "true_divisions": self.divisions.n_truth,
            "true_divisions_found": self.divisions.n_truth_found,
            "found_divisions": self.divisions.n_found,
            "found_divisions_right": self.divisions.n_right,
            "intensity": {
                channel: {
                    "objects": fit.n,
                    "slope_per_e": float(f"{fit.slope_per_e:.6g}"),
                    "offset_per_px": float(f"{fit.offset_per_px:.6g}"),
                    "correlation": _rounded(fit.correlation, 6),
                }
                for channel, fit in self.intensity.items()
            },
        }


class ScoreTally:
    """Takes comparisons in, in order of time at each place; keeps a few numbers a track.

    The memory and the time of `score` do not grow with the number of objects.

    Parameters
    ----------
    pixel_um
        Side of a pixel in µm; None if not known.
    """

    def __init__(self, pixel_um: float | None) -> None:
        self._pixel_um = pixel_um
        self._sets = self._true = self._found = self._pairs = 0
        self._error = 0.0
        self._iou_sets = self._iou_true = self._iou_found = self._iou_pairs = 0
        self._precision_sets = 0
        self._precisions = 0.0
        self._distances = Distances()
        self._tracked = True
        self._lineage = Lineage()
        self._intensity: dict[str, IntensitySums] = {}

    def add(self, one: Comparison, found_parents: Mapping[int, int] | None = None) -> None:
        """Take in an image set; see `Lineage.add` for the parents."""
        true, found = one.true.count, one.found.count
        self._sets += 1
        self._true += true
        self._found += found
        self._pairs += len(one.pairs)
        self._error += abs(found - true) / max(true, 1)
        self._tracked = one.found.tracked
        self._distances.add(one.distance_px[one.whole])
        if one.overlap is not None:
            self._iou_sets += 1
            self._iou_true += one.overlap.n_truth
            self._iou_found += one.overlap.n_found
            self._iou_pairs += one.overlap.true_positives
        if one.average_precision is not None and true + found:
            self._precision_sets += 1
            self._precisions += one.average_precision
        self._lineage.add(one, found_parents)
        i, j = one.pairs[:, 0], one.pairs[:, 1]
        for channel, electrons in one.true.electrons.items():
            if channel in one.found.sums:
                sums = self._intensity.setdefault(channel, IntensitySums())
                sums.add(electrons[i], one.found.area_px[j], one.found.sums[channel][j])

    def score(self) -> Score:
        """Return the score so far."""
        sets = max(self._sets, 1)
        fits = {channel: sums.fit() for channel, sums in self._intensity.items()}
        return Score(
            image_sets=self._sets,
            truth_objects_mean=self._true / sets,
            found_objects_mean=self._found / sets,
            count_error_percent=100 * self._error / sets if self._sets else None,
            precision=_share(self._pairs, self._found),
            recall=_share(self._pairs, self._true),
            f1=_share(2 * self._pairs, self._true + self._found),
            iou_image_sets=self._iou_sets,
            f1_iou50=_share(2 * self._iou_pairs, self._iou_true + self._iou_found),
            average_precision=_share(self._precisions, self._precision_sets),
            centroid_objects=self._distances.n,
            centroid_error_median_um=_scaled(self._distances.median_px(), self._pixel_um),
            centroid_error_rms_um=_scaled(self._distances.rms_px(), self._pixel_um),
            tracked=self._tracked,
            links=self._lineage.links(),
            divisions=self._lineage.divisions(),
            intensity={channel: fit for channel, fit in fits.items() if fit is not None},
        )


def _share(part: float, whole: int) -> float | None:
    return part / whole if whole else None


def _scaled(value: float | None, scale: float | None) -> float | None:
    return None if value is None or scale is None else value * scale


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None or not np.isfinite(value) else round(value, digits)
