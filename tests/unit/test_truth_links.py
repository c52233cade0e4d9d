"""Scores of links between objects."""

import numpy as np
import pytest
import tifffile

from dipstream.errors import ReadError
from dipstream.truth import read_ctc_truth, score_links


def frame(**squares):
    """Squares of 4 × 4 px: ``a=(1, 0)`` is label 1 at column 0."""
    image = np.zeros((4, 40), np.int32)
    for label, column in squares.values():
        image[:, column : column + 4] = label
    return image


TRUTH = [frame(a=(1, 0), b=(2, 10)), frame(a=(1, 2), b=(2, 12)), frame(a=(1, 4))]
FOUND = [frame(a=(1, 0), b=(2, 10)), frame(a=(2, 2), b=(1, 12)), frame(a=(1, 4))]
RIGHT = [((0, 1), (1, 2)), ((0, 2), (1, 1)), ((1, 2), (2, 1))]


def test_all_right():
    score = score_links(TRUTH, FOUND, RIGHT)
    assert (score.n_truth_links, score.n_truth_found, score.n_links, score.n_right) == (3, 3, 3, 3)
    assert (score.recall, score.precision) == (1, 1)


def test_missing_links_cost_recall_only():
    score = score_links(TRUTH, FOUND, RIGHT[:2])
    assert (score.recall, score.precision) == (pytest.approx(2 / 3), 1)


def test_swapped_links_cost_both():
    score = score_links(TRUTH, FOUND, [((0, 1), (1, 1)), ((0, 2), (1, 2)), RIGHT[2]])
    assert (score.recall, score.precision) == (pytest.approx(1 / 3), pytest.approx(1 / 3))


def test_a_match_covers_more_than_half_of_the_true_object():
    half, more = TRUTH[0].copy(), TRUTH[0].copy()
    half[:2, :4] = 0
    more[:2, :4] = 0
    more[1, 0] = 1
    links = [((0, 1), (1, 2))]
    assert score_links(TRUTH, [half, FOUND[1]], links).n_right == 0
    assert score_links(TRUTH, [more, FOUND[1]], links).n_right == 1


def test_a_fused_object_matches_both():
    fused = frame(a=(1, 0), b=(1, 10))
    score = score_links(TRUTH[:2], [fused, FOUND[1]], [((0, 1), (1, 2)), ((0, 1), (1, 1))])
    assert (score.recall, score.precision) == (1, 1)


def test_an_end_without_a_match_is_wrong():
    stray = FOUND[1].copy()
    stray[:, 30:34] = 3
    frames = [FOUND[0], stray, FOUND[2]]
    score = score_links(TRUTH, frames, [*RIGHT, ((0, 1), (1, 3)), ((0, 99), (1, 2))])
    assert (score.n_links, score.n_right, score.recall) == (5, 3, 1)


@pytest.mark.parametrize(("columns", "ignored"), [(1, False), (2, True)])
def test_links_at_ignored_objects_do_not_count(columns, ignored):
    ignore = np.zeros_like(TRUTH[0])
    ignore[:, 10 : 10 + columns] = 1  # 25 % or 50 % of the object; the limit is 30 %
    wrong = [((0, 2), (1, 2))]
    score = score_links(TRUTH, FOUND, RIGHT + wrong, ignore_frames={0: ignore})
    assert score.n_ignored == (2 if ignored else 0)
    assert score.precision == (1 if ignored else 0.75)
    assert score.recall == 1  # recall knows no ignored objects


def test_a_link_over_a_gap_is_right_but_finds_no_true_link():
    score = score_links(TRUTH, FOUND, [((0, 1), (2, 1))])
    assert (score.n_truth_found, score.n_links, score.n_right) == (0, 1, 1)


def test_a_gap_of_the_truth_is_bridged_by_the_same_gap():
    truth = [frame(a=(1, 0)), frame(), frame(a=(1, 4))]
    score = score_links(truth, truth, [((0, 1), (2, 1))])
    assert (score.n_truth_links, score.recall, score.precision) == (1, 1, 1)


def test_divisions_are_wrong_unless_parents_are_given():
    truth = [frame(a=(1, 10)), frame(b=(2, 6), c=(3, 14))]
    links = [((0, 1), (1, 2)), ((0, 1), (1, 3))]
    assert score_links(truth, truth, links).precision == 0
    with_parents = score_links(truth, truth, links, parents={2: 1, 3: 1})
    assert (with_parents.precision, with_parents.n_truth_links) == (1, 0)
    assert score_links(truth, truth, links, parents={2: 1}).precision == 0.5


def test_frames_may_be_named_by_their_time():
    truth = dict(zip((5, 6, 7), TRUTH, strict=True))
    found = dict(zip((5, 6, 7), FOUND, strict=True))
    links = [((t + 5, a), (u + 5, b)) for (t, a), (u, b) in RIGHT]
    assert score_links(truth, found, links).recall == 1
    assert score_links(truth, found, RIGHT).n_right == 0


def test_frames_that_were_not_computed_cost_recall():
    score = score_links(TRUTH, FOUND[:2], RIGHT[:2])
    assert score.recall == pytest.approx(2 / 3)


def test_nothing_at_all():
    score = score_links([], [], [])
    assert (score.recall, score.precision) == (1, 1)


def write_truth(folder, table="1 0 1 0\n2 2 2 1\n", frames=3):
    (folder / "TRA").mkdir()
    (folder / "ignore").mkdir()
    for t in range(frames):
        tifffile.imwrite(folder / "TRA" / f"man_track{t:03}.tif", np.full((3, 4), t, np.uint16))
    tifffile.imwrite(folder / "ignore" / "ignore001.tif", np.full((3, 4), 255, np.uint8))
    (folder / "TRA" / "man_track.txt").write_text(table)


def test_the_layout_of_the_challenge_is_read(tmp_path):
    write_truth(tmp_path)
    truth = read_ctc_truth(tmp_path)
    assert sorted(truth.frames) == [0, 1, 2]
    assert truth.frames[2].max() == 2
    assert truth.parents == {2: 1}
    assert set(truth.ignore) == {1}


@pytest.mark.parametrize(
    ("table", "frames", "message"),
    [
        ("1 0 1\n", 1, "four numbers"),
        ("1 0 x 0\n", 1, "four numbers"),
        ("", 0, "no man_track###.tif"),
    ],
)
def test_a_broken_folder_is_refused(tmp_path, table, frames, message):
    write_truth(tmp_path, table, frames)
    with pytest.raises(ReadError, match=message):
        read_ctc_truth(tmp_path)


def test_a_folder_without_truth_is_refused(tmp_path):
    with pytest.raises(ReadError, match=r"man_track\.txt"):
        read_ctc_truth(tmp_path)
