"""Live counters, and results whose label images are drawn when they are asked for."""

from collections.abc import Callable

import numpy as np
import pytest

from dipstream.frame import ImageSet
from dipstream.kernels.runs import runs_of_labels
from dipstream.run.result import LabelImages, Result
from dipstream.run.tally import Tally
from dipstream.steps.image import Labels


@pytest.mark.parametrize(("deadline_ms", "misses"), [(None, 0), (10.0, 2), (9.9, 3), (1e3, 0)])
def test_deadlines_are_missed_by_those_who_come_later(
    deadline_ms: float | None, misses: int
) -> None:
    tally = Tally(deadline_ms)
    tally.commit([10.0, 10.1], {"nuclei": 3})
    tally.commit([], {})
    tally.commit([1.0, 500.0], {"nuclei": 2, "rings": 1})
    assert tally.deadline_misses == misses
    assert (tally.image_sets, tally.objects.total()) == (3, 6)


def test_misses_are_counted_over_the_whole_run() -> None:
    tally = Tally(1.0)
    for _ in range(1200):
        tally.commit([2.0], {})
    assert tally.deadline_misses == 1200
    assert tally.lag_ms() == (2.0, 2.0)


def test_label_images_are_drawn_when_asked_for(make_set: Callable[..., ImageSet]) -> None:
    drawn = np.zeros((4, 5), np.int32)
    drawn[1:3, 2:4] = 1
    labels = Labels(runs_of_labels(drawn))
    images = LabelImages({"nuclei": labels})
    result = Result(0, make_set(), label_images=images)
    assert result.nbytes == result.image_set.nbytes + 4 * 20
    assert (list(images), len(images)) == (["nuclei"], 1)
    assert "dense" not in labels._views
    np.testing.assert_array_equal(result.labels(), drawn)
    assert result.labels("nuclei").dtype == np.int32
    with pytest.raises(KeyError):
        result.labels("cells")
    plain = Result(0, result.image_set, label_images={"nuclei": drawn})
    assert plain.nbytes == result.nbytes
