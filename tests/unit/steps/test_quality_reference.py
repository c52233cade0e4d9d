"""The quality of a frame, judged by kernels and by numpy and scipy alone."""

from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from dipstream.steps import quality as module
from dipstream.steps.quality import frame_quality, reference_quality

RNG = np.random.default_rng(29)


def check(pixels: np.ndarray, bit_depth: int | None) -> None:
    found, wanted = frame_quality(pixels, bit_depth), reference_quality(pixels, bit_depth)
    assert found.flags == wanted.flags
    assert type(found.saturated_fraction) is float
    np.testing.assert_equal(found.saturated_fraction, wanted.saturated_fraction)
    for name in ("focus_score", "background", "snr"):
        assert type(getattr(found, name)) is float
        np.testing.assert_allclose(
            getattr(found, name), getattr(wanted, name), rtol=1e-6, err_msg=name
        )


def frame(shape: tuple[int, int], dtype: str, seed: int = 0) -> np.ndarray:
    """Smooth structures of a few pixels, and noise."""
    rng = np.random.default_rng(seed)
    light = ndimage.gaussian_filter(rng.normal(0, 1, shape), 2)
    light = 60 + 50 * light / np.abs(light).max() + rng.normal(0, 3, shape)
    scale = {"uint8": 1, "int8": 0.5}.get(dtype, 40)
    values = (light * scale).clip(0, 255 * scale)
    return values.astype(dtype) if dtype.startswith("float") else values.round().astype(dtype)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "int16", "uint32", "float64"])
@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 900), (7, 40), (8, 8), (33, 500), (700, 9), (600, 512), (1100, 1300)]
)
def test_any_dtype_and_shape(dtype: str, shape: tuple[int, int]) -> None:
    for bit_depth in (None, 12):
        check(frame(shape, dtype), bit_depth)


@given(st.integers(8, 80), st.integers(8, 80), st.sampled_from(["uint8", "uint16", "float32"]),
       st.integers(0, 99))  # fmt: skip
@settings(max_examples=30, deadline=None)
def test_small_frames(height: int, width: int, dtype: str, seed: int) -> None:
    check(frame((height, width), dtype, seed), 12)


def test_flags_and_saturation_are_the_same() -> None:
    pixels = frame((200, 300), "uint16").clip(0, 4094)
    for bright, flags in ((0, ()), (60, ()), (61, ("saturated",))):
        pixels.ravel()[:bright] = 4095
        check(pixels, 12)
        assert frame_quality(pixels, 12).flags == flags
    for value in (0, 100, 4095):
        check(np.full((50, 60), value, np.uint16), 12)
        check(np.full((50, 60), value, np.float32), None)
    last = np.full((50, 60), 5, np.uint8)
    last[-1, -1] = 6
    check(last, None)
    assert frame_quality(last, None).flags == ()


@pytest.mark.parametrize(
    "name",
    ["nuclei/dsb_520_4e1c889d.png", "nuclei/neubias_mitocheck_t70.tif", "workshop/xy040-1.png"],
)
def test_real_images(data: Path, name: str) -> None:
    path = data / name
    pixels = tifffile.imread(path) if path.suffix == ".tif" else imagecodecs.imread(path)
    pixels = pixels[..., 0] if pixels.ndim == 3 else pixels
    for other in (pixels, pixels[::-1, 3:], np.asfortranarray(pixels), pixels.astype(">f4")):
        check(other, None)


def test_kernels_judge_what_they_are_compiled_for(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []
    monkeypatch.setattr(
        module, "reference_quality", lambda pixels, _: called.append(pixels.dtype.name)
    )
    for dtype in ("uint8", "uint16", "float32", "int16", "float64"):
        frame_quality(frame((20, 20), dtype), None)
    assert called == ["int16", "float64"]
