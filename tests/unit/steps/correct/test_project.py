import numpy as np
import pytest

from dipstream.errors import StepError
from dipstream.steps import Image
from dipstream.steps.correct.project import project

STACK = np.random.default_rng(2).integers(0, 65536, (4, 6, 5)).astype(np.uint16)


@pytest.mark.parametrize(
    ("method", "dtype"),
    [
        ("max", np.uint16),
        ("min", np.uint16),
        ("mean", np.float32),
        ("median", np.float32),
        ("sum", np.float64),
    ],
)
def test_methods(method: str, dtype: type) -> None:
    found = project(Image(STACK, channel="GFP"), method=method)  # type: ignore[arg-type]
    assert found.pixels.dtype == dtype
    assert found.channel == "GFP"
    expected = getattr(np, method)(STACK.astype(np.float64), axis=0)
    np.testing.assert_allclose(found.pixels, expected, rtol=1e-7)


def test_sum_does_not_overflow() -> None:
    stack = np.full((3, 2, 2), 2**32 - 1, np.uint32)
    assert (project(Image(stack), method="sum").pixels == 3 * (2**32 - 1)).all()


def test_a_plane_passes_through() -> None:
    image = Image(STACK[0])
    assert project(image, method="sum") is image


def test_other_shapes_are_refused() -> None:
    with pytest.raises(StepError, match="allowed are"):
        project(Image(np.zeros(5)))
