"""Scores of objects."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dipstream.errors import DipstreamError
from dipstream.truth import IOU_THRESHOLDS, average_precision, f1_score, match_objects

LABELS = hnp.arrays(np.int32, (6, 7), elements={"min_value": 0, "max_value": 4})


def row(*runs):
    return np.array([[label for label, n in runs for _ in range(n)]])


def test_a_pair_needs_the_iou():
    truth = row((1, 10), (0, 10))
    labels = row((0, 4), (7, 10), (0, 6))  # 6 shared of 14
    assert match_objects(truth, labels, 0.42).pairs == ((1, 7, 6 / 14),)
    assert match_objects(truth, labels, 0.43).pairs == ()


def test_counts_and_scores():
    truth = row((1, 10), (2, 10), (3, 10), (0, 10))
    labels = row((1, 10), (2, 6), (0, 4), (0, 10), (9, 10))
    match = match_objects(truth, labels)
    assert (match.n_truth, match.n_found, match.true_positives) == (3, 3, 2)
    assert match.f1 == pytest.approx(2 * 2 / 6)
    assert match.average_precision == pytest.approx(2 / 4)
    assert f1_score(truth, labels, 0.7) == pytest.approx(2 / 6)


def test_average_precision_is_the_mean_over_thresholds():
    truth = row((1, 10), (0, 10))
    labels = row((1, 8), (0, 12))  # IoU 0.8: a pair at 0.50, 0.55, … 0.80
    assert IOU_THRESHOLDS == (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
    assert average_precision(truth, labels) == pytest.approx(0.7)
    assert average_precision(truth, labels, [0.5]) == 1


def test_one_to_one_and_as_many_pairs_as_possible():
    truth = row((1, 3), (1, 3), (2, 2))
    labels = row((5, 3), (6, 3), (6, 2))
    # 6 has an IoU of 3/8 with 1 and of 2/5 with 2; 5 has one of 1/2 with 1
    assert [pair[:2] for pair in match_objects(truth, labels, 0.3).pairs] == [(1, 5), (2, 6)]


def test_the_larger_iou_wins_among_equally_many():
    truth = row((1, 10))
    labels = row((4, 4), (3, 6))
    assert match_objects(truth, labels, 0.3).pairs == ((1, 3, 0.6),)


def test_halves_are_one_pair():
    assert match_objects(row((1, 10)), row((1, 5), (2, 5))).true_positives == 1


@pytest.mark.parametrize(
    ("truth", "labels", "score"),
    [
        (row((0, 9)), row((0, 9)), 1.0),
        (row((0, 9)), row((1, 9)), 0.0),
        (row((1, 9)), row((0, 9)), 0.0),
    ],
)
def test_nothing_to_find(truth, labels, score):
    assert f1_score(truth, labels) == score
    assert average_precision(truth, labels) == score


@given(labels=LABELS)
@settings(deadline=None)
def test_a_perfect_result(labels):
    assert f1_score(labels, labels * 3, 1.0) == 1
    assert average_precision(labels, labels) == 1


@given(truth=LABELS, labels=LABELS, iou=st.floats(0.01, 1))
@settings(deadline=None)
def test_every_pair_is_as_good_as_asked_and_none_is_used_twice(truth, labels, iou):
    match = match_objects(truth, labels, iou)
    for t, found, value in match.pairs:
        either = (truth == t) | (labels == found)
        assert value == ((truth == t) & (labels == found)).sum() / either.sum() >= iou
    assert len({t for t, _, _ in match.pairs}) == len({f for _, f, _ in match.pairs})
    assert match.true_positives == len(match.pairs) == _most_pairs(truth, labels, iou)
    assert match.true_positives == match_objects(labels, truth, iou).true_positives


def _most_pairs(truth, labels, iou):
    """Kuhn's augmenting paths: an independent count."""
    edges = {}
    for t in set(truth[truth > 0].tolist()):
        for f in set(labels[labels > 0].tolist()):
            both = ((truth == t) & (labels == f)).sum()
            if both and both / ((truth == t) | (labels == f)).sum() >= iou:
                edges.setdefault(t, []).append(f)
    taken = {}

    def place(t, tried):
        for f in edges.get(t, []):
            if f not in tried:
                tried.add(f)
                if f not in taken or place(taken[f], tried):
                    taken[f] = t
                    return True
        return False

    return sum(place(t, set()) for t in edges)


def test_labels_may_have_gaps_and_any_integer_type():
    truth = row((7, 5), (0, 2), (60000, 5)).astype(np.uint16)
    labels = row((3, 5), (0, 2), (-4, 5)).astype(np.int8)
    assert match_objects(truth, labels).pairs == ((7, 3, 1.0), (60000, -4, 1.0))


def test_shapes_must_agree():
    with pytest.raises(DipstreamError, match=r"\(1, 9\).*\(1, 8\)"):
        f1_score(row((1, 9)), row((1, 8)))
