"""The split on runs says what the reference says; its kernel has more tests of its own."""

import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from benchmarks.scene import make_scene
from dipstream.errors import ConfigError
from dipstream.kernels import LabelledRuns
from dipstream.kernels.runs import runs_of_mask
from dipstream.steps.fast import clean as fast_clean
from dipstream.steps.fast.split import split
from dipstream.steps.image import Mask
from dipstream.steps.segment import clean as reference_clean
from dipstream.steps.segment.split import split as reference
from dipstream.steps.step import mark_of

MASKS = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=24))


def assert_same(mask, **parameters):
    found, wanted = split(mask, **parameters), reference(mask, **parameters)
    assert isinstance(found.data, LabelledRuns)
    assert found.dense.dtype == np.int32
    np.testing.assert_array_equal(found.dense, wanted.dense)
    assert (found.pixel_um, found.estimates) == (wanted.pixel_um, wanted.estimates)


@given(
    mask=MASKS,
    parameters=st.fixed_dictionaries(
        {},
        optional={"smooth_px": st.floats(0, 4), "h_px": st.floats(1e-3, 5)},
    ),
)
@settings(deadline=None)
def test_distance(mask, parameters):
    assert_same(Mask(mask, pixel_um=0.3).with_estimates(threshold=7.0), **parameters)
    assert_same(Mask(runs_of_mask(mask)), **parameters)


@given(mask=MASKS)
@settings(deadline=None)
def test_none(mask):
    assert_same(Mask(mask), method="none")


@pytest.mark.parametrize(("size", "n"), [(512, 50), (1024, 800)])
@pytest.mark.parametrize("parameters", [{}, {"smooth_px": 1.5, "h_px": 0.75}, {"smooth_px": 0.0}])
def test_scenes(size, n, parameters):
    assert_same(Mask(make_scene(size, n).truth > 0), **parameters)


@pytest.mark.parametrize("parameters", [{"smooth_px": 1.0}, {"h_px": 1.0}])
def test_parameters_without_meaning_are_refused(parameters):
    with pytest.raises(ConfigError, match="method: distance"):
        split(Mask(np.ones((3, 3), bool)), method="none", **parameters)


@pytest.mark.parametrize(
    ("twin", "step"),
    [
        (split, reference),
        *(
            (getattr(fast_clean, name), getattr(reference_clean, name))
            for name in ("clean", "clear_border", "fill_holes")
        ),
    ],
)
def test_twins_have_the_signature_and_the_mark_of_their_step(twin, step):
    assert str(inspect.signature(twin)) == str(inspect.signature(step))
    assert mark_of(twin) == mark_of(step)
