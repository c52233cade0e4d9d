"""One image set: which found object is which true one, and how far off it is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from dipstream.errors import DipstreamError
from dipstream.truth.edge import circles_cut, labels_cut
from dipstream.truth.objects import ObjectMatch, average_precision, match_objects
from dipstream.truth.true_set import TrueSet

__all__ = ["Comparison", "FoundSet", "compare"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_NOTHING: Mapping[str, Floats] = MappingProxyType({})


@dataclass(frozen=True, slots=True, eq=False)
class FoundSet:
    """The objects that a run found in one image set.

    Attributes
    ----------
    track_ids
        int64 (n,): tracks, 0 or less for none.
    y_px, x_px
        float64 (n,): centroids in px.
    area_px
        float64 (n,): pixels of each object; NaN if not measured.
    sums
        Channel → float64 (n,): sum of each object's pixels, in the unit of the run.
    labels
        int32 (y, x): label image, if it is at hand; its numbers are of no account.
    shape
        Rows and columns of the image; None if not known.
    cut
        bool (n,): objects that touch the edge of the image; None if not known.
    tracked
        Whether there is a tracker.
    """

    track_ids: Integers
    y_px: Floats
    x_px: Floats
    area_px: Floats
    sums: Mapping[str, Floats] = field(default_factory=lambda: _NOTHING)
    labels: npt.NDArray[np.int32] | None = None
    shape: tuple[int, int] | None = None
    cut: npt.NDArray[np.bool_] | None = None
    tracked: bool = True

    @property
    def count(self) -> int:
        """How many objects were found."""
        return len(self.y_px)


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """A true and a found image set, side by side.

    Attributes
    ----------
    pairs
        int64 (m, 2): rows of the true and of the found object, one to one.
    distance_px
        float64 (m,): from true to found centroid, in px.
    whole
        bool (m,): whether neither of the two touches the edge of the image, which would cut one of
        them and move its centroid.
    overlap
        Pairs by intersection over union ≥ 0.5; None unless both label images are there.
    average_precision
        Over IoU thresholds 0.50 to 0.95; None likewise, or if it was not asked for.
    """

    true: TrueSet
    found: FoundSet
    pairs: Integers
    distance_px: Floats
    whole: npt.NDArray[np.bool_]
    overlap: ObjectMatch | None = None
    average_precision: float | None = None


def compare(true: TrueSet, found: FoundSet, *, precise: bool = True) -> Comparison:
    """Hold what was found against what is there.

    A found object is a true one if its centroid lies in it: by the true label image where that is
    at hand, else within the radius of a circle of the object's area around its centroid. Of several
    such pairs the closest goes first, and each object is used once.

    Parameters
    ----------
    true, found
        The same image set.
    precise
        Compute the average precision as well, which takes ten matchings.

    Raises
    ------
    DipstreamError
        If the two are of images of different shapes.
    """
    _require_same_shape(true, found)
    candidates = _by_radius(true, found) if true.labels is None else _by_label(true, found)
    pairs, distance_px = _one_to_one(true, found, candidates)
    whole = _whole(true, found, pairs)
    if true.labels is None or found.labels is None:
        return Comparison(true, found, pairs, distance_px, whole)
    return Comparison(
        true,
        found,
        pairs,
        distance_px,
        whole,
        match_objects(true.labels, found.labels),
        average_precision(true.labels, found.labels) if precise else None,
    )


def _require_same_shape(true: TrueSet, found: FoundSet) -> None:
    there = true.shape if true.labels is None else true.labels.shape
    here = found.shape if found.labels is None else found.labels.shape
    if there is not None and here is not None and there != here:
        raise DipstreamError(
            f"the truth is of {there[0]} x {there[1]} pixels and the image of {here[0]} x {here[1]}"
        )


def _whole(true: TrueSet, found: FoundSet, pairs: Integers) -> npt.NDArray[np.bool_]:
    shape = true.shape or found.shape
    if true.labels is not None:
        true_cut = labels_cut(true.labels, true.count)
    else:
        true_cut = circles_cut(true.y_px, true.x_px, true.area_px.astype(np.float64), shape)
    found_cut = found.cut
    if found_cut is None:
        found_cut = circles_cut(found.y_px, found.x_px, found.area_px, shape)
    return ~(true_cut[pairs[:, 0]] | found_cut[pairs[:, 1]])


def _by_label(true: TrueSet, found: FoundSet) -> Integers:
    if true.labels is None or not found.count:
        return np.empty((0, 2), np.int64)
    rows, columns = true.labels.shape
    y = np.clip(np.rint(found.y_px).astype(np.int64), 0, rows - 1)
    x = np.clip(np.rint(found.x_px).astype(np.int64), 0, columns - 1)
    under = true.labels[y, x].astype(np.int64)
    hit = np.flatnonzero(under > 0)
    return np.stack([under[hit] - 1, hit], axis=1)


def _by_radius(true: TrueSet, found: FoundSet) -> Integers:
    known = np.isfinite(true.y_px)
    if not known.any() or not found.count:
        return np.empty((0, 2), np.int64)
    from scipy.spatial import cKDTree  # noqa: PLC0415 - slow, and only needed with truth

    tree = cKDTree(np.stack([found.y_px, found.x_px], axis=1))
    rows = np.flatnonzero(known)
    radius_px = np.sqrt(true.area_px[rows] / np.pi)
    near = tree.query_ball_point(np.stack([true.y_px, true.x_px], axis=1)[rows], radius_px)
    pairs = [(row, one) for row, several in zip(rows, near, strict=True) for one in several]
    return np.array(pairs, np.int64).reshape(-1, 2)


def _one_to_one(true: TrueSet, found: FoundSet, candidates: Integers) -> tuple[Integers, Floats]:
    i, j = candidates[:, 0], candidates[:, 1]
    distance_px = np.hypot(true.y_px[i] - found.y_px[j], true.x_px[i] - found.x_px[j])
    taken_true, taken_found, kept = set(), set(), []
    for k in np.argsort(distance_px, kind="stable").tolist():
        a, b = int(i[k]), int(j[k])
        if a not in taken_true and b not in taken_found:
            taken_true.add(a)
            taken_found.add(b)
            kept.append(k)
    kept.sort()
    return candidates[kept], distance_px[kept]
