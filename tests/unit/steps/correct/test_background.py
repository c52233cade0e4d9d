import numpy as np
import pytest
from scipy import ndimage

from dipstream.steps import Image
from dipstream.steps.correct.background import background

Y, X = np.mgrid[:160, :200].astype(np.float64)
SLOPE = 100 + 0.2 * Y + 0.1 * X


def cells() -> tuple[np.ndarray, np.ndarray]:
    """Return discs of radius 6 and height 200, and where nothing is."""
    discs = np.zeros(Y.shape)
    for y in range(20, 160, 40):
        for x in range(20, 200, 40):
            discs[(Y - y) ** 2 + (X - x) ** 2 <= 36] = 200
    return discs, ndimage.distance_transform_edt(discs == 0) > 3


@pytest.mark.parametrize(
    ("method", "radius_px", "bias_dn"),
    [
        ("rolling_ball", 20, 4),
        ("rolling_ball", 8, 4),
        ("white_tophat", 15, 4),
        ("gaussian", 30, 30),
    ],
)
def test_finds_a_slope_under_objects(method: str, radius_px: float, bias_dn: float) -> None:
    discs, empty = cells()
    found = background(
        Image(discs + SLOPE),
        method=method,
        radius_px=radius_px,  # type: ignore[arg-type]
    ).pixels
    assert found.dtype == np.float32
    error = np.abs(found - discs)[10:-10, 10:-10]
    assert error[empty[10:-10, 10:-10]].max() < bias_dn
    assert error.max() < bias_dn + 5


@pytest.mark.parametrize("radius_px", [8, 20, 50])
def test_the_ball_is_not_displaced_by_working_on_a_smaller_image(radius_px: float) -> None:
    found = background(Image(4 * X + 3 * Y), radius_px=radius_px).pixels
    np.testing.assert_allclose(found[55:-55, 55:-55], 0, atol=0.5)


def test_percentile_is_one_number_a_plane() -> None:
    stack = np.stack([np.arange(101.0).reshape(1, 101), 10 + np.arange(101.0).reshape(1, 101)])
    found = background(Image(stack), method="percentile", percentile=20).pixels
    np.testing.assert_allclose(found[0], np.arange(101.0)[None] - 20)
    np.testing.assert_allclose(found[1], found[0])


@pytest.mark.parametrize("method", ["rolling_ball", "gaussian"])
def test_noise_stays_centred_on_zero(method: str) -> None:
    noise = np.random.default_rng(3).poisson(100, (256, 256)).astype(np.uint16)
    found = background(Image(noise), method=method, radius_px=50).pixels  # type: ignore[arg-type]
    assert found.min() < 0  # not clipped
    # a ball on the pixels themselves would lie about 3 σ = 30 below the mean
    assert abs(found.mean()) < 8


def test_tophat_is_scipys() -> None:
    noise = np.random.default_rng(3).normal(100, 10, (40, 50)).astype(np.float32)
    found = background(Image(noise), method="white_tophat", radius_px=3).pixels
    np.testing.assert_array_equal(found, ndimage.white_tophat(noise, size=(7, 7)))


@pytest.mark.parametrize("radius_px", [8, 20, 50, 200])
def test_constant_images_and_odd_sizes(radius_px: float) -> None:
    found = background(Image(np.full((37, 53), 500, np.uint16)), radius_px=radius_px).pixels
    assert found.shape == (37, 53)
    np.testing.assert_allclose(found, 0, atol=0.01)
