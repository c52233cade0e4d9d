"""Scores against ground truth: objects found, and links between them.

Objects are scored as in the Kaggle Data Science Bowl 2018 (Caicedo et al., Nature Methods 16,
2019) and by StarDist (``stardist.matching``, Schmidt et al., MICCAI 2018): one-to-one pairs of a
true and a found object by intersection over union (IoU). Links are scored after the Cell Tracking
Challenge (Maška et al., Bioinformatics 30, 2014): there an object is found by whatever covers more
than half of its pixels. Label images are 2-D, of integers; 0 is background, numbers may have gaps.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from dipstream.errors import DipstreamError, ReadError

__all__ = [
    "IOU_THRESHOLDS",
    "CtcTruth",
    "LinkScore",
    "ObjectMatch",
    "average_precision",
    "f1_score",
    "match_objects",
    "read_ctc_truth",
    "score_links",
]

LabelImage: TypeAlias = npt.NDArray[np.integer[Any]]
Frames: TypeAlias = Sequence[LabelImage] | Mapping[int, LabelImage]
Link: TypeAlias = tuple[tuple[int, int], tuple[int, int]]
"""((time, label), (later time, label))."""

IOU_THRESHOLDS = tuple(percent / 100 for percent in range(50, 100, 5))
"""0.50, 0.55, … 0.95: the thresholds of the Data Science Bowl."""

_IGNORED_FRACTION = 0.3


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


@dataclass(frozen=True, slots=True)
class LinkScore:
    """How many links are right.

    Attributes
    ----------
    n_truth_links
        Links of the truth: consecutive appearances of one track.
    n_truth_found
        How many of them the computed links contain.
    n_links
        Computed links that count, that is, without those that touch an ignored object.
    n_right
        How many of those are right.
    n_ignored
        Computed links left out of `n_links`.
    """

    n_truth_links: int
    n_truth_found: int
    n_links: int
    n_right: int
    n_ignored: int = 0

    @property
    def recall(self) -> float:
        """Part of the true links that was found; 1 if there is none."""
        return self.n_truth_found / self.n_truth_links if self.n_truth_links else 1.0

    @property
    def precision(self) -> float:
        """Part of the computed links that is right; 1 if there is none."""
        return self.n_right / self.n_links if self.n_links else 1.0


@dataclass(frozen=True, slots=True, eq=False)
class CtcTruth:
    """Ground truth of one sequence in the layout of the Cell Tracking Challenge.

    Attributes
    ----------
    frames
        Time → labels, where a label is a track number.
    parents
        Track → the track it came from by division; only tracks with a parent.
    ignore
        Time → pixels (non-zero) where objects do not count; may be empty.
    """

    frames: Mapping[int, LabelImage]
    parents: Mapping[int, int]
    ignore: Mapping[int, LabelImage]


@dataclass(frozen=True, slots=True, eq=False)
class _Overlap:
    """Pairs of labels that share pixels; row for row, 0 left out."""

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
    return _match(_overlap(truth, labels), iou)


def f1_score(truth: LabelImage, labels: LabelImage, iou: float = 0.5) -> float:
    """Return 2 TP / (2 TP + FP + FN) at one IoU threshold, see `match_objects`."""
    return match_objects(truth, labels, iou).f1


def average_precision(
    truth: LabelImage, labels: LabelImage, thresholds: Sequence[float] = IOU_THRESHOLDS
) -> float:
    """Return TP / (TP + FP + FN), averaged over IoU thresholds, as the Data Science Bowl does."""
    overlap = _overlap(truth, labels)
    return float(np.mean([_match(overlap, iou).average_precision for iou in thresholds]))


def score_links(
    truth_frames: Frames,
    label_frames: Frames,
    links: Iterable[Link],
    ignore_frames: Frames | None = None,
    parents: Mapping[int, int] | None = None,
) -> LinkScore:
    """Score computed links between objects by the links of true tracks.

    A computed object matches every true object of which it covers more than half the pixels
    (so one that fused two nuclei matches both). A true link joins two consecutive appearances
    of one track; it is found if a computed link joins objects that match its ends. A computed
    link is right if its ends match objects of one track, and wrong if an end matches nothing.
    A computed link that skips frames in which the track is there is right, but finds no true
    link.

    Parameters
    ----------
    truth_frames
        Label images whose labels are track numbers: a sequence (time = index) or time → image.
    label_frames
        The computed labels of the same times.
    links
        ((time, label), (later time, label)) of each computed link. A link whose end is no object
        of `label_frames` is wrong.
    ignore_frames
        Non-zero where objects do not count: links touching a computed object of which more than
        30 % lies there are left out of the precision.
    parents
        Track → its parent. With it, links from a mother to her daughter are right too; without
        it they are wrong, since no true link (of one track) joins the two.
    """
    truth, computed = _by_time(truth_frames), _by_time(label_frames)
    matches = {t: _ctc_matches(truth[t], computed[t]) for t in _shared_times(truth, computed)}
    ignored = _ignored_objects(computed, _by_time(ignore_frames or {}))
    true_links = _true_links(truth)
    found: set[tuple[int, int, int]] = set()
    right = counted = left_out = 0
    for (t, a), (u, b) in links:
        before, after = matches.get(t, {}).get(a, set()), matches.get(u, {}).get(b, set())
        tracks = before & after
        found |= {(t, u, track) for track in tracks} & true_links
        if (t, a) in ignored or (u, b) in ignored:
            left_out += 1
            continue
        counted += 1
        right += bool(tracks) or any((parents or {}).get(track) in before for track in after)
    return LinkScore(len(true_links), len(found), counted, right, left_out)


def read_ctc_truth(folder: str | Path) -> CtcTruth:
    """Read a ground-truth folder such as ``01_GT``.

    Reads ``TRA/man_track###.tif`` (label = track), ``TRA/man_track.txt`` (track, first and last
    time, parent or 0) and, where there are any, ``ignore/ignore###.tif``.
    """
    root = Path(folder)
    table = root / "TRA" / "man_track.txt"
    if not table.is_file():
        raise ReadError(f"{root} is no ground truth of the Cell Tracking Challenge: no {table}.")
    rows = [line.split() for line in table.read_text(encoding="utf-8").splitlines() if line.strip()]
    if not all(len(row) == 4 and all(word.isdigit() for word in row) for row in rows):
        raise ReadError(f"{table}: every line needs four numbers: track, begin, end, parent.")
    frames = _read_numbered(root / "TRA", "man_track")
    if not frames:
        raise ReadError(f"{root / 'TRA'} holds no man_track###.tif.")
    parents = {int(track): int(parent) for track, _, _, parent in rows if int(parent)}
    return CtcTruth(frames, parents, _read_numbered(root / "ignore", "ignore"))


def _read_numbered(folder: Path, stem: str) -> dict[int, LabelImage]:
    import tifffile  # noqa: PLC0415 - this module is otherwise numpy and scipy only

    paths = sorted(folder.glob(f"{stem}[0-9]*.tif"))
    return {int(path.stem.removeprefix(stem)): np.asarray(tifffile.imread(path)) for path in paths}


def _overlap(truth: LabelImage, labels: LabelImage) -> _Overlap:
    if truth.shape != labels.shape:
        raise DipstreamError(
            f"The truth is {truth.shape} pixels and the labels {labels.shape}: "
            "scores need two label images of the same field."
        )
    both = np.stack([truth.ravel(), labels.ravel()], axis=1).astype(np.int64)
    pairs, shared = np.unique(both, axis=0, return_counts=True)
    inside = (pairs != 0).all(axis=1)
    return _Overlap(
        pairs[inside, 0], pairs[inside, 1], shared[inside], _areas(truth), _areas(labels)
    )


def _areas(labels: LabelImage) -> dict[int, int]:
    values, counts = np.unique(labels, return_counts=True)
    return {
        int(value): int(count) for value, count in zip(values, counts, strict=True) if value != 0
    }


def _match(overlap: _Overlap, least: float) -> ObjectMatch:
    iou = overlap.iou()
    enough = iou >= least
    rows, row = np.unique(overlap.truth[enough], return_inverse=True)
    columns, column = np.unique(overlap.found[enough], return_inverse=True)
    # The half that a pair adds by its IoU can never outweigh one more pair: StarDist's cost.
    gain = np.zeros((len(rows), len(columns)))
    values = np.zeros_like(gain)
    gain[row, column] = 1 + iou[enough] / (2 * max(1, min(gain.shape)))
    values[row, column] = iou[enough]
    i, j = linear_sum_assignment(gain, maximize=True)
    made = gain[i, j] > 0
    pairs = tuple(
        (int(rows[y]), int(columns[x]), float(values[y, x]))
        for y, x in zip(i[made], j[made], strict=True)
    )
    return ObjectMatch(pairs, len(overlap.truth_area), len(overlap.found_area))


def _by_time(frames: Frames) -> dict[int, LabelImage]:
    if isinstance(frames, Mapping):
        return dict(frames)
    return dict(enumerate(frames))


def _shared_times(truth: dict[int, LabelImage], computed: dict[int, LabelImage]) -> list[int]:
    return sorted(truth.keys() & computed.keys())


def _ctc_matches(truth: LabelImage, labels: LabelImage) -> dict[int, set[int]]:
    overlap = _overlap(truth, labels)
    matches: dict[int, set[int]] = {}
    for track, label, shared in zip(overlap.truth, overlap.found, overlap.shared, strict=True):
        if 2 * shared > overlap.truth_area[int(track)]:
            matches.setdefault(int(label), set()).add(int(track))
    return matches


def _ignored_objects(
    computed: dict[int, LabelImage], ignore: dict[int, LabelImage]
) -> set[tuple[int, int]]:
    ignored = set()
    for t in _shared_times(ignore, computed):
        inside = _areas(np.where(ignore[t] != 0, computed[t], 0))
        areas = _areas(computed[t])
        ignored |= {
            (t, label) for label, part in inside.items() if part > _IGNORED_FRACTION * areas[label]
        }
    return ignored


def _true_links(truth: dict[int, LabelImage]) -> set[tuple[int, int, int]]:
    """Return (time, next time, track) of each pair of consecutive appearances."""
    last: dict[int, int] = {}
    links = set()
    for t in sorted(truth):
        for track in _areas(truth[t]):
            if track in last:
                links.add((last[track], t, track))
            last[track] = t
    return links
