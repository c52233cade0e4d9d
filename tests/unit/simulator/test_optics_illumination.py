"""Shading: 1 on the axis, and as dark as asked for in the corners."""

import numpy as np
import pytest

from dipstream.errors import SourceError
from dipstream_simulator.optics import shading


def test_flat_light_is_one_everywhere() -> None:
    flat = shading((5, 7), 0.3)
    assert flat.dtype == np.float32
    assert flat.shape == (5, 7)
    assert (flat == 1.0).all()


@pytest.mark.parametrize("shape", [(101, 101), (65, 129)])
@pytest.mark.parametrize("loss", [0.05, 0.3, 0.8])
def test_corners_lose_what_was_asked(shape: tuple[int, int], loss: float) -> None:
    dark = shading(shape, 6.5, vignetting=loss)
    assert dark[shape[0] // 2, shape[1] // 2] == 1.0
    corners = dark[[0, 0, -1, -1], [0, -1, 0, -1]]
    np.testing.assert_allclose(corners, 1.0 - loss, rtol=1e-5)
    assert dark.min() == corners.min()
    np.testing.assert_array_equal(dark, dark[::-1, ::-1])


def test_fall_off_is_the_fourth_power_of_the_cosine() -> None:
    dark = shading((201, 201), 1.0, vignetting=0.5).astype(np.float64)
    corner = np.arctan(np.sqrt(np.sqrt(2.0) - 1.0))  # cos⁴ = 1/2
    radius = np.arange(101) / np.hypot(100.0, 100.0)
    np.testing.assert_allclose(
        dark[100, 100:], np.cos(np.arctan(radius * np.tan(corner))) ** 4, rtol=1e-5
    )


@pytest.mark.parametrize("profile", ["gaussian", "flat_top"])
def test_width_is_the_full_width_at_half_maximum(profile: str) -> None:
    lit = shading((1, 401), 0.5, profile=profile, width_um=100.0)  # type: ignore[arg-type]
    assert lit[0, 200] == 1.0
    np.testing.assert_allclose(lit[0, [100, 300]], 0.5, rtol=1e-5)


def test_flat_top_is_flatter() -> None:
    flat_top = shading((1, 401), 0.5, profile="flat_top", width_um=150.0)
    gaussian = shading((1, 401), 0.5, profile="gaussian", width_um=150.0)
    assert flat_top[0, 250] > 0.99 > gaussian[0, 250]
    assert flat_top[0, 0] < gaussian[0, 0]


def test_width_is_the_diagonal_unless_given() -> None:
    lit = shading((301, 401), 0.5, profile="gaussian")
    assert lit[0, 0] == pytest.approx(0.5, abs=0.01)


def test_off_centre_light_is_brightest_off_the_axis() -> None:
    lit = shading((201, 201), 1.0, profile="gaussian", width_um=200.0, centre_um=(20.0, -30.0))
    assert lit[100, 100] == pytest.approx(1.0)
    assert [int(i) for i in np.unravel_index(lit.argmax(), lit.shape)] == [120, 70]
    assert lit.max() > 1.0


def test_both_multiply() -> None:
    both = shading((31, 31), 1.0, vignetting=0.2, profile="gaussian", width_um=40.0)
    parts = shading((31, 31), 1.0, vignetting=0.2) * shading(
        (31, 31), 1.0, profile="gaussian", width_um=40.0
    )
    np.testing.assert_allclose(both, parts, rtol=1e-6)


def test_one_pixel_is_its_own_axis() -> None:
    assert shading((1, 1), 1.0, vignetting=0.5).item() == 1.0


@pytest.mark.parametrize(
    ("options", "received"),
    [
        ({"vignetting": 1.0}, "vignetting=1"),
        ({"vignetting": -0.1}, "vignetting=-0.1"),
        ({"profile": "lamp"}, "profile='lamp'"),
        ({"profile": "gaussian", "width_um": 0.0}, "width_um=0"),
        ({"width_um": 5.0}, "profile='flat' with width_um=5"),
        ({"centre_um": (1.0, 0.0)}, "centre_um=\\(1.0, 0.0\\)"),
        ({"profile": "gaussian", "width_um": 5.0, "centre_um": (50.0, 0.0)}, "centre_um=\\(50"),
    ],
)
def test_impossible_light(options: dict[str, object], received: str) -> None:
    with pytest.raises(SourceError, match=received):
        shading((9, 9), 1.0, **options)  # type: ignore[arg-type]
