"""Scores of image sets against the truth: pairs, links, divisions, intensities."""

import pickle
import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dipstream.errors import DipstreamError
from dipstream.truth import FoundSet, ScoreTally, SetPlace, TrueSet, compare, score_links
from dipstream.truth.distances import Distances
from dipstream.truth.intensity import IntensitySums
from dipstream.truth.lineage import Lineage

SHAPE = (20, 40)
SIDE = 4
Boxes = dict[int, tuple[int, int]]


def drawn(boxes: Boxes) -> np.ndarray:
    """Squares, numbered 1, 2, … in the order of the mapping."""
    image = np.zeros(SHAPE, np.int32)
    for label, (y, x) in enumerate(boxes.values(), 1):
        image[y : y + SIDE, x : x + SIDE] = label
    return image


def middles(boxes: Boxes) -> np.ndarray:
    return np.array(list(boxes.values()), float).reshape(-1, 2) + (SIDE - 1) / 2


def true_set(
    boxes: Boxes, t: int = 0, parents: dict[int, int] | None = None, *, image: bool = True
) -> TrueSet:
    """Squares by track."""
    y_px, x_px = middles(boxes).T
    return TrueSet(
        place=SetPlace("0", t, 0),
        seq=t,
        track_ids=np.array(list(boxes), np.int64),
        parent_ids=np.array([(parents or {}).get(track, 0) for track in boxes], np.int64),
        y_px=y_px,
        x_px=x_px,
        z_um=np.zeros(len(boxes)),
        area_px=np.full(len(boxes), SIDE**2),
        labels=drawn(boxes) if image else None,
    )


def found_set(boxes: Boxes, *, image: bool = True, off: float = 0.0) -> FoundSet:
    y_px, x_px = middles(boxes).T
    return FoundSet(
        track_ids=np.array(list(boxes), np.int64),
        y_px=y_px + off,
        x_px=x_px,
        area_px=np.full(len(boxes), float(SIDE**2)),
        labels=drawn(boxes) if image else None,
    )


APART = {1: (2, 2), 2: (2, 20), 3: (10, 10)}


@pytest.mark.parametrize("image", [True, False], ids=["by label image", "by radius"])
def test_an_object_is_found_if_its_centroid_lies_in_it(image: bool) -> None:
    found = found_set({7: (3, 2), 8: (2, 27), 9: (10, 10)}, image=False)
    one = compare(true_set(APART, image=image), found)
    assert one.pairs.tolist() == [[0, 0], [2, 2]]
    assert one.distance_px.tolist() == [1.0, 0.0]
    assert one.overlap is None


@pytest.mark.parametrize("image", [True, False], ids=["by label image", "by radius"])
def test_pairs_are_one_to_one_and_the_closest_goes_first(image: bool) -> None:
    found = found_set({7: (3, 2), 8: (2, 2), 9: (1, 2)}, image=False)
    one = compare(true_set({1: (2, 2)}, image=image), found)
    assert one.pairs.tolist() == [[0, 1]]


def test_the_label_image_decides_and_not_the_distance() -> None:
    labels = np.zeros(SHAPE, np.int32)
    labels[5, 2:30] = 1  # long and thin: its ends are far from its centroid
    thin = TrueSet(
        *(SetPlace("0", 0, 0), 0, np.array([1]), np.array([0])),
        *(np.array([5.0]), np.array([15.5]), np.array([0.0]), np.array([28])),
        labels=labels,
    )
    tip, beside = {7: (4, 25)}, {7: (5, 14)}
    assert len(compare(thin, found_set(tip, image=False, off=-0.5)).pairs) == 1
    assert len(compare(thin, found_set(beside, image=False, off=-0.5)).pairs) == 0


def test_centroids_outside_the_image_are_at_its_edge() -> None:
    found = FoundSet(np.array([1]), np.array([-3.0]), np.array([99.0]), np.array([1.0]))
    corner = true_set({1: (0, SHAPE[1] - SIDE)})
    assert len(compare(corner, found).pairs) == 1


def test_overlap_needs_both_images() -> None:
    moved = found_set({7: (3, 2), 8: (2, 20)})
    one = compare(true_set(APART), moved)
    assert one.overlap is not None
    assert (one.overlap.true_positives, one.overlap.n_truth, one.overlap.n_found) == (2, 3, 2)
    # IoU 12/20 = 0.6 (thresholds .50, .55, .60) and 1 (all ten)
    assert one.average_precision == pytest.approx((3 * 2 / 3 + 7 * 1 / 4) / 10)
    assert compare(true_set(APART), moved, precise=False).average_precision is None
    small = replace(found_set(APART), labels=np.zeros((2, 2), np.int32))
    with pytest.raises(DipstreamError, match="pixels"):
        compare(true_set(APART), small)


def tally(*sets: tuple[TrueSet, FoundSet], pixel_um: float | None = 0.5) -> dict[str, object]:
    made = ScoreTally(pixel_um)
    for true, found in sets:
        made.add(compare(true, found))
    return made.score().as_dict()


def test_a_score_in_numbers() -> None:
    found = found_set({7: (3, 2), 8: (2, 27), 9: (10, 10), 10: (15, 30)})
    score = tally((true_set(APART), found), (true_set(APART, 1), found_set(APART)))
    assert score["image_sets"] == 2
    assert (score["truth_objects_mean"], score["found_objects_mean"]) == (3, 3.5)
    assert score["count_error_percent"] == pytest.approx(100 * (1 / 3 + 0) / 2, abs=1e-3)
    assert score["precision"] == pytest.approx(5 / 7, abs=1e-5)
    assert score["recall"] == pytest.approx(5 / 6, abs=1e-5)
    assert score["f1"] == pytest.approx(10 / 13, abs=1e-5)
    assert score["f1_iou50"] == pytest.approx(10 / 13, abs=1e-5)
    assert score["centroid_error_median_um"] == 0
    assert score["centroid_error_rms_um"] == pytest.approx(0.5 * np.sqrt(1 / 5), abs=1e-5)


def test_nothing_compared_and_nothing_known() -> None:
    assert tally()["count_error_percent"] is None
    score = tally((true_set({}), found_set({}, image=False)), pixel_um=None)
    for name in ("f1", "precision", "recall", "link_recall", "link_precision"):
        assert score[name] is None, "nothing there, nothing found"
    for name in ("f1_iou50", "average_precision", "centroid_error_rms_um"):
        assert score[name] is None
    empty = tally((true_set({}), found_set({})))
    assert (empty["iou_image_sets"], empty["f1_iou50"], empty["average_precision"]) == (
        1,
        None,
        None,
    )
    blind = tally((true_set(APART), found_set({})))
    assert (blind["precision"], blind["recall"], blind["f1"]) == (None, 0, 0)


def test_an_untracked_run_has_no_share_of_links() -> None:
    sets = [(true_set(APART, t), replace(found_set(APART), tracked=False)) for t in (0, 1)]
    score = tally(*sets)
    assert (score["tracked"], score["true_links"], score["link_recall"]) == (False, 3, None)
    lost = [
        (true_set(APART, t), replace(found_set(APART), track_ids=np.zeros(3, int))) for t in (0, 1)
    ]
    assert tally(*lost)["link_recall"] == 0, "a tracker that tracked nothing missed all"


# The edge of the image.

CUT = {1: (0, 10), 2: (8, SHAPE[1] - SIDE), 3: (8, 10)}


@pytest.mark.parametrize("image", [True, False], ids=["by label image", "by radius"])
@pytest.mark.parametrize("side", ["true", "found"])
def test_objects_at_the_edge_have_no_centroid_error(image: bool, side: str) -> None:
    true, found = true_set(CUT, image=image), found_set(CUT, image=image, off=0.25)
    if image:  # the circles of what lies at the edge reach over it as well
        inside = {"y_px": np.full(3, 9.0), "x_px": np.array([3.0, 12.0, 30.0])}
        if side == "true":
            found = replace(found, cut=np.zeros(3, bool))
        else:
            true = replace(true, labels=None, shape=SHAPE, area_px=np.ones(3), **inside)
            found = replace(found, labels=None, cut=np.array([True, True, False]), **inside)
    true = replace(true, shape=SHAPE)
    one = compare(true, found)
    assert len(one.pairs) == 3, "they count as found"
    assert one.whole.tolist() == [False, False, True]
    made = ScoreTally(0.5)
    made.add(one)
    assert made.score().centroid_objects == 1


def test_images_of_different_shapes_are_not_compared() -> None:
    other = replace(found_set(APART, image=False), shape=(20, 41))
    with pytest.raises(DipstreamError, match="20 x 40 pixels and the image of 20 x 41"):
        compare(true_set(APART), other)
    with pytest.raises(DipstreamError, match="pixels"):
        compare(replace(true_set(APART, image=False), shape=SHAPE), other)


# Links.


def lineage(truth: list[TrueSet], found: list[FoundSet], parents: dict[int, int]) -> Lineage:
    made = Lineage()
    for true, one in zip(truth, found, strict=True):
        made.add(compare(true, one), parents)
    return made


TRACKS = st.lists(
    st.dictionaries(st.integers(1, 4), st.integers(0, 3), max_size=4).filter(
        lambda at: len(set(at.values())) == len(at)
    ),
    min_size=1,
    max_size=6,
)


@given(truth=TRACKS, found=TRACKS)
@settings(deadline=None, max_examples=150)
def test_links_are_scored_as_by_label_images(
    truth: list[dict[int, int]], found: list[dict[int, int]]
) -> None:
    """Objects sit on four places without touching: both ways of pairing agree."""
    times = min(len(truth), len(found))

    def boxes(at: dict[int, int]) -> Boxes:
        return {track: (2, 9 * place) for track, place in at.items()}

    true_sets = [true_set(boxes(at), t) for t, at in enumerate(truth[:times])]
    found_sets = [found_set(boxes(at)) for at in found[:times]]
    links, last = [], dict[int, tuple[int, int]]()
    for t, at in enumerate(found[:times]):
        for label, track in enumerate(at, 1):
            if track in last:
                links.append((last[track], (t, label)))
            last[track] = t, label
    by_track = [
        np.concatenate([[0], one.track_ids])[one.labels]
        for one in true_sets
        if one.labels is not None
    ]
    wanted = score_links(
        by_track, [one.labels for one in found_sets if one.labels is not None], links
    )
    score = lineage(true_sets, found_sets, {}).links()
    assert (score.n_truth_links, score.n_truth_found) == (
        wanted.n_truth_links,
        wanted.n_truth_found,
    )
    assert (score.n_links, score.n_right) == (wanted.n_links, wanted.n_right)


def test_a_track_that_was_elsewhere_meanwhile_is_no_link() -> None:
    here, elsewhere = (2, 2), (2, 20)
    truth = [true_set({1: here}, 0), true_set({}, 1), true_set({1: here}, 2)]
    found = [found_set({50: here}), found_set({50: elsewhere}), found_set({50: here})]
    links = lineage(truth, found, {}).links()
    assert (links.n_truth_links, links.n_truth_found, links.n_right) == (1, 0, 0)


def family(daughters: tuple[int, int] = (2, 3)) -> list[TrueSet]:
    """Track 1 divides at t = 2."""
    alone, parents = {1: (8, 10)}, dict.fromkeys(daughters, 1)
    both = dict(zip(daughters, [(4, 10), (12, 10)], strict=True))
    return [*(true_set(alone, t) for t in (0, 1)), *(true_set(both, t, parents) for t in (2, 3))]


def run_of(*tracks: dict[int, tuple[int, int]]) -> list[FoundSet]:
    return [found_set(boxes) for boxes in tracks]


ALONE = {50: (8, 10)}
DIVIDED = {50: (4, 10), 51: (12, 10)}
NEW = {52: (4, 10), 51: (12, 10)}


@pytest.mark.parametrize(
    ("found", "parents", "expected"),
    [
        (run_of(ALONE, ALONE, DIVIDED, DIVIDED), {51: 50}, (1, 1, 1, 1)),
        (run_of(ALONE, ALONE, NEW, NEW), {51: 50, 52: 50}, (1, 1, 1, 1)),
        (run_of(ALONE, ALONE, DIVIDED, DIVIDED), {}, (1, 0, 0, 0)),
        (run_of(ALONE, ALONE, ALONE | {51: (4, 30)}, ALONE), {51: 50}, (1, 0, 1, 0)),
        (run_of({60: (4, 30)}, {60: (4, 30)}, DIVIDED, DIVIDED), {51: 60}, (1, 0, 1, 0)),
    ],
    ids=[
        "found",
        "found with two new tracks",
        "not reported",
        "a daughter of nobody",
        "a stranger's daughter",
    ],
)
def test_divisions(
    found: list[FoundSet], parents: dict[int, int], expected: tuple[int, ...]
) -> None:
    score = lineage(family(), found, parents).divisions()
    assert (score.n_truth, score.n_truth_found, score.n_found, score.n_right) == expected


def test_a_link_from_mother_to_daughter_is_right() -> None:
    links = lineage(family(), run_of(ALONE, ALONE, DIVIDED, DIVIDED), {51: 50}).links()
    assert (links.n_truth_links, links.n_truth_found) == (3, 3)
    assert (links.n_links, links.n_right) == (4, 4)


def test_places_have_nothing_to_do_with_each_other() -> None:
    made = Lineage()
    for position in ("A", "B"):
        one = true_set({1: (2, 2)})
        there = TrueSet(
            SetPlace(position, 0, 0), 0, one.track_ids, one.parent_ids, one.y_px, one.x_px,
            one.z_um, one.area_px,
        )  # fmt: skip
        made.add(compare(there, found_set({1: (2, 2)})))
    assert made.links().n_links == made.links().n_truth_links == 0


def test_a_set_that_comes_too_late_makes_no_links() -> None:
    here = {1: (2, 2)}
    made = Lineage()
    for t in (0, 2, 1, 3):
        made.add(compare(true_set(here, t), found_set(here)))
    assert (made.links().n_truth_links, made.links().n_right) == (2, 2)


def test_a_division_counts_once_in_whatever_order_its_daughters_come() -> None:
    alone, one, both = {1: (8, 10)}, {2: (4, 10)}, {2: (4, 10), 3: (12, 10)}
    truth = [true_set(alone, 0), true_set(one, 1, {2: 1}), true_set(both, 2, {2: 1, 3: 1})]
    found = run_of({50: (8, 10)}, {51: (4, 10)}, {51: (4, 10), 52: (12, 10)})
    score = lineage(truth, found, {51: 50, 52: 50}).divisions()
    assert (score.n_truth, score.n_truth_found) == (1, 1)


# Distances.


@given(
    st.lists(st.floats(0, 1e4).map(lambda value: 0.0 if value < 1e-4 else value), min_size=1),
    st.integers(1, 3),
)
@settings(deadline=None)
def test_median_and_rms_of_distances(values: list[float], parts: int) -> None:
    made = Distances()
    for part in np.array_split(np.array([*values, np.nan]), parts):
        made.add(part)
    assert made.n == len(values)
    assert made.median_px() == pytest.approx(np.median(values), rel=0.0026)
    assert made.rms_px() == pytest.approx(np.sqrt(np.mean(np.square(values))))


def test_the_score_does_not_grow_with_the_objects() -> None:
    made = Distances()
    size = len(pickle.dumps(made))
    rng = np.random.default_rng(1)
    for _ in range(20):
        made.add(rng.rayleigh(1.0, 50_000))
    assert len(pickle.dumps(made)) < size + 100
    start = time.perf_counter()
    for _ in range(20):
        made.median_px()
    assert time.perf_counter() - start < 0.2


# Intensities.


def test_the_fit_finds_gain_and_offset() -> None:
    rng = np.random.default_rng(5)
    electrons, area = rng.uniform(1e4, 1e5, 400), rng.uniform(50, 900, 400)
    sums = IntensitySums()
    measured = 0.5 * electrons + 100 * area + rng.normal(0, 50, 400)
    measured[7] = np.nan
    for part in (slice(0, 3), slice(3, 400)):
        sums.add(electrons[part], area[part], measured[part])
    fit = sums.fit()
    assert fit is not None
    assert fit.n == 399
    assert fit.slope_per_e == pytest.approx(0.5, rel=1e-3)
    assert fit.offset_per_px == pytest.approx(100, rel=1e-3)
    known = np.isfinite(measured)
    less = (measured - fit.offset_per_px * area)[known]
    assert fit.correlation == pytest.approx(np.corrcoef(electrons[known], less)[0, 1], abs=1e-9)


def test_no_fit_without_two_kinds_of_objects() -> None:
    sums = IntensitySums()
    sums.add(np.ones(2), np.ones(2), np.ones(2))
    assert sums.fit() is None
    sums.add(np.ones(9), np.ones(9), np.ones(9))
    assert sums.fit() is None
