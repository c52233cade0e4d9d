"""The columns every object has."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dipstream.kernels.runs import runs_of_labels
from dipstream.pipeline.keys import KEY_COLUMNS, key_values
from dipstream.steps import Labels


def image_set(
    pixel_um: float | None = None, affine: tuple[float, ...] | None = None, stage: Any = None
) -> Any:
    """Only what the keys look at."""
    return SimpleNamespace(
        segment=SimpleNamespace(pixel_um=pixel_um, camera_to_stage=affine),
        frames=[SimpleNamespace(info=SimpleNamespace(stage_um=stage))],
    )


@given(arrays(np.int32, (17, 23), elements=st.sampled_from([0, 0, 1, 2, 5])))
@settings(max_examples=40, deadline=None)
def test_centroids_are_mean_rows_and_columns(dense: np.ndarray) -> None:
    found = key_values(Labels(runs_of_labels(dense)), image_set())
    numbers = np.unique(dense[dense > 0])
    assert list(found) == [column.name for column in KEY_COLUMNS]
    assert found["label"].tolist() == numbers.tolist()
    assert found["label"].dtype == np.int64
    for k, name in enumerate(("y_px", "x_px")):
        wanted = [np.nonzero(dense == number)[k].mean() for number in numbers]
        np.testing.assert_allclose(found[name], wanted, rtol=1e-14)
    for name in ("y_um", "x_um", "world_y_um", "world_x_um"):
        assert found[name].shape == numbers.shape
        assert np.isnan(found[name]).all()


def test_nothing_dense_is_made() -> None:
    labels = Labels(runs_of_labels(np.eye(9, dtype=np.int32)))
    assert key_values(labels, image_set())["y_px"].tolist() == [4]
    assert not isinstance(labels.data, np.ndarray)
    assert "dense" not in labels._views


def test_micrometres_and_the_stage() -> None:
    dense = np.zeros((20, 30), np.int32)
    dense[4:7, 10:15] = 3
    found = key_values(
        Labels(dense), image_set(0.5, (1.0, 0.5, 2.0, -0.25, 1.0, 3.0), (100.0, 200.0))
    )
    assert (found["y_px"][0], found["x_px"][0]) == (5, 12)
    assert (found["y_um"][0], found["x_um"][0]) == (2.5, 6)
    assert found["world_x_um"][0] == pytest.approx(100 + 6 + 0.5 * 2.5 + 2)
    assert found["world_y_um"][0] == pytest.approx(200 - 0.25 * 6 + 2.5 + 3)
