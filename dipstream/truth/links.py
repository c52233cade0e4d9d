"""Links between objects, scored after the Cell Tracking Challenge.

Maška et al., Bioinformatics 30, 2014: an object is found by whatever covers more than half of its
pixels.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from dipstream.truth.overlap import LabelImage, areas, overlap

__all__ = ["Frames", "Link", "LinkScore", "score_links"]

Frames: TypeAlias = Sequence[LabelImage] | Mapping[int, LabelImage]
Link: TypeAlias = tuple[tuple[int, int], tuple[int, int]]
"""((time, label), (later time, label))."""

_IGNORED_FRACTION = 0.3


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


def _by_time(frames: Frames) -> dict[int, LabelImage]:
    if isinstance(frames, Mapping):
        return dict(frames)
    return dict(enumerate(frames))


def _shared_times(truth: dict[int, LabelImage], computed: dict[int, LabelImage]) -> list[int]:
    return sorted(truth.keys() & computed.keys())


def _ctc_matches(truth: LabelImage, labels: LabelImage) -> dict[int, set[int]]:
    pairs = overlap(truth, labels)
    matches: dict[int, set[int]] = {}
    for track, label, shared in zip(pairs.truth, pairs.found, pairs.shared, strict=True):
        if 2 * shared > pairs.truth_area[int(track)]:
            matches.setdefault(int(label), set()).add(int(track))
    return matches


def _ignored_objects(
    computed: dict[int, LabelImage], ignore: dict[int, LabelImage]
) -> set[tuple[int, int]]:
    ignored = set()
    for t in _shared_times(ignore, computed):
        inside = areas(np.where(ignore[t] != 0, computed[t], 0))
        whole = areas(computed[t])
        ignored |= {
            (t, label) for label, part in inside.items() if part > _IGNORED_FRACTION * whole[label]
        }
    return ignored


def _true_links(truth: dict[int, LabelImage]) -> set[tuple[int, int, int]]:
    """Return (time, next time, track) of each pair of consecutive appearances."""
    last: dict[int, int] = {}
    links = set()
    for t in sorted(truth):
        for track in areas(truth[t]):
            if track in last:
                links.add((last[track], t, track))
            last[track] = t
    return links
