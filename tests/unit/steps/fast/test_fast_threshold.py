"""The twin of the threshold, alone and with the smoothing before it, against the reference."""

import warnings
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage as ndi
from skimage import io

from benchmarks.scene import make_scene
from dipstream.errors import ConfigError, StepError
from dipstream.kernels import Linear, Runs
from dipstream.steps.correct.smooth import gaussian as reference_gaussian
from dipstream.steps.fast.smooth import gaussian
from dipstream.steps.fast.threshold import smoothed_threshold, threshold
from dipstream.steps.image import Image
from dipstream.steps.segment import threshold as steps
from dipstream.steps.segment.threshold import threshold as reference

NUCLEI = {
    "method": "local",
    "sigma_px": 10.0,
    "floor": "otsu",
    "floor_fraction": 0.2,
    "min_contrast_sd": 2.0,
    "rim_fraction": 0.4,
}
PARAMETERS = [
    *({"method": method} for method in ("mean", "isodata", "otsu", "triangle", "li", "yen")),
    NUCLEI,
    {"method": "local"},
    {"method": "local", "floor": "li", "offset": 1.5},
    {"method": "manual", "value": 60.5},
    {"method": "manual", "value": 60.5, "min_contrast_sd": 1.0},
    {"method": "otsu", "offset": -2.5, "min_contrast_sd": 1.5, "rim_fraction": 0.5},
    {"method": "triangle", "rim_fraction": 0.6},
]


def quietly(function, *inputs, **parameters):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # yen divides by 0 in the emptiest images
        return function(*inputs, **parameters)


def surface(pixels, parameters):
    """The threshold of every pixel, for ``local``."""
    rules = steps.Rules(
        parameters["method"],
        None,
        parameters.get("offset", 0.0),
        parameters.get("sigma_px"),
        parameters.get("floor"),
        parameters.get("floor_fraction"),
    )
    return quietly(rules.level, pixels)


def assert_like_reference(found, expected, pixels, parameters, exact):
    level = expected.estimates["threshold"]
    span = float(np.ptp(pixels)) or 1.0
    assert found.estimates["threshold"] == pytest.approx(level, rel=1e-6, abs=1e-7 * span)
    assert isinstance(found.data, Runs)
    if exact and parameters["method"] not in ("local", "mean", "li"):
        np.testing.assert_array_equal(found.dense, expected.dense)
        return
    # A pixel at the very level may fall on either side.
    levels = surface(pixels, parameters) if parameters["method"] == "local" else level
    differs = found.dense != expected.dense
    assert differs.mean() < 2e-4
    near = np.abs(pixels - levels) <= 1e-5 * np.abs(pixels).max()
    if "rim_fraction" not in parameters and "min_contrast_sd" not in parameters:
        assert near[differs].all()


def check(image, parameters, sigma_px=1.0):
    smooth = quietly(reference_gaussian, image, sigma_px=sigma_px)
    for one in (image, smooth):
        expected = quietly(reference, one, **parameters)
        found = quietly(threshold, one, **parameters)
        assert_like_reference(found, expected, one.pixels, parameters, True)
    fused = quietly(
        smoothed_threshold, image, gaussian={"sigma_px": sigma_px}, threshold=parameters
    )
    assert_like_reference(fused, expected, smooth.pixels, parameters, False)
    apart = quietly(threshold, gaussian(image, sigma_px=sigma_px), **parameters)
    np.testing.assert_array_equal(fused.dense, apart.dense)
    assert fused.estimates == apart.estimates


@pytest.mark.parametrize("parameters", PARAMETERS, ids=str)
@pytest.mark.parametrize("n", [0, 30])
def test_scenes(parameters, n):
    scene = make_scene(256, n)
    gain = np.asarray(scene.flat.mean() / scene.flat, np.float32)
    for image in (Image(scene.raw), Image(Linear(scene.raw, np.asarray(np.float32(100)), gain))):
        check(image, parameters, 1.5)


@cache
def real_images(folder):
    files = sorted(f for f in folder.iterdir() if f.suffix in (".png", ".tif"))
    return [grey(io.imread(f)) for f in files if not f.stem.endswith(("_labels", "mask2d"))]


def grey(pixels):
    if pixels.ndim == 3:
        pixels = pixels[..., :3].mean(-1).astype(np.uint8)
    return pixels


@pytest.mark.parametrize("parameters", PARAMETERS, ids=str)
def test_real_images(data, parameters):
    images = real_images(data / "nuclei")
    assert len(images) >= 13
    for pixels in images:
        check(Image(pixels), parameters)


@given(
    st.tuples(st.integers(1, 40), st.integers(1, 80)),
    st.sampled_from([np.uint8, np.uint16, np.float32]),
    st.sampled_from(PARAMETERS),
    st.integers(0, 99),
)
@settings(deadline=None, max_examples=80)
def test_small_images(shape, dtype, parameters, seed):
    rng = np.random.default_rng(seed)
    pixels = 60 + 40 * ndi.gaussian_filter(rng.normal(0, 1, shape), (seed % 3) / 2)
    if seed % 4 == 0:
        pixels = np.where(pixels > 60, 90, 20)
    image = Image(np.clip(pixels, 0, 250).astype(dtype))
    try:
        expected = quietly(reference, image, **parameters)
    except (IndexError, ValueError) as error:  # what scikit-image makes of hardly an image
        with pytest.raises(type(error)):
            quietly(threshold, image, **parameters)
        return
    found = quietly(threshold, image, **parameters)
    assert found.estimates["threshold"] == pytest.approx(
        expected.estimates["threshold"], rel=1e-6, abs=1e-4
    )
    if parameters["method"] != "local":
        np.testing.assert_array_equal(found.dense, expected.dense)


@pytest.mark.parametrize("method", ["otsu", "li", "mean", "local", "manual"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_one_grey_level(method, dtype):
    image = Image(np.full((40, 70), 7, dtype), pixel_um=0.3)
    parameters = {"method": method} | ({"value": 3.0} if method == "manual" else {})
    found, expected = threshold(image, **parameters), reference(image, **parameters)
    np.testing.assert_array_equal(found.dense, expected.dense)
    assert found.estimates == expected.estimates
    assert found.pixel_um == 0.3
    assert found.data.row.dtype == np.int32


@pytest.mark.parametrize("trouble", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("method", ["otsu", "local"])
def test_what_is_not_finite(trouble, method):
    pixels = np.random.default_rng(0).random((60, 70)).astype(np.float32)
    pixels[30, 40] = trouble
    with pytest.raises(StepError) as expected:
        reference(Image(pixels), method=method)
    for function in (
        lambda: threshold(Image(pixels), method=method),
        lambda: smoothed_threshold(Image(pixels), gaussian={}, threshold={"method": method}),
    ):
        with pytest.raises(StepError) as found:
            function()
        assert str(found.value) == str(expected.value)


@pytest.mark.parametrize(
    "parameters",
    [
        {"method": "manual"},
        {"method": "otsu", "value": 3.0},
        {"method": "manual", "value": 3.0, "offset": 1.0},
        {"method": "otsu", "sigma_px": 3.0},
        {"method": "otsu", "floor": "li"},
        {"method": "local", "floor_fraction": 0.5},
    ],
)
@pytest.mark.parametrize("pixels", [np.zeros((4, 5), np.uint8), np.zeros((4, 5), np.int64)])
def test_refuses_alike(parameters, pixels):
    with pytest.raises(ConfigError) as expected:
        reference(Image(pixels), **parameters)
    for function in (
        lambda: threshold(Image(pixels), **parameters),
        lambda: smoothed_threshold(Image(pixels), gaussian={}, threshold=parameters),
    ):
        with pytest.raises(ConfigError) as found:
            function()
        assert str(found.value) == str(expected.value)


@pytest.mark.parametrize("dtype", [np.int32, np.float64])
def test_other_dtypes_are_the_references(dtype):
    pixels = make_scene(128, 8).raw.astype(dtype)
    for parameters in (NUCLEI, {}):
        found, expected = (
            threshold(Image(pixels), **parameters),
            reference(Image(pixels), **parameters),
        )
        np.testing.assert_array_equal(found.dense, expected.dense)
        assert found.estimates == expected.estimates
        fused = smoothed_threshold(Image(pixels), gaussian={"sigma_px": 2.0}, threshold=parameters)
        smooth = reference_gaussian(Image(pixels), sigma_px=2.0)
        expected = reference(smooth, **parameters)
        assert (fused.dense != expected.dense).mean() < 1e-3


@pytest.mark.parametrize("parameters", [NUCLEI, {"method": "li"}, {"method": "mean"}])
@pytest.mark.parametrize("dtype", ["u2", "f4"])
def test_pixels_in_any_order_in_memory(parameters, dtype):
    pixels = make_scene(128, 8).raw.astype(dtype)
    expected = threshold(Image(pixels), **parameters)
    blurred = smoothed_threshold(Image(pixels), gaussian={}, threshold=parameters)
    for other in (
        pixels.astype(f">{dtype}"),
        np.asfortranarray(pixels),
        np.repeat(pixels, 2, axis=1)[:, ::2],
    ):
        found = threshold(Image(other), **parameters)
        np.testing.assert_array_equal(found.dense, expected.dense)
        assert found.estimates == expected.estimates
        found = smoothed_threshold(Image(other), gaussian={}, threshold=parameters)
        np.testing.assert_array_equal(found.dense, blurred.dense)


def test_default_smoothing_is_the_steps():
    image = Image(make_scene(128, 8).raw)
    found = smoothed_threshold(image, gaussian={}, threshold={})
    assert (
        found.estimates
        == smoothed_threshold(
            image, gaussian={"sigma_px": 1.0}, threshold={"method": "otsu"}
        ).estimates
    )


def test_estimates_and_masks_outlive_the_workspace():
    image = Image(make_scene(128, 8).raw).with_estimates(drift_y_px=2.0)
    found = smoothed_threshold(image, gaussian={}, threshold=NUCLEI)
    kept = [one.copy() for one in (found.data.row, found.data.start, found.data.stop)]
    smoothed_threshold(Image(make_scene(128, 3).raw), gaussian={}, threshold=NUCLEI)
    for before, after in zip(
        kept, (found.data.row, found.data.start, found.data.stop), strict=True
    ):
        np.testing.assert_array_equal(before, after)
    assert found.estimates["drift_y_px"] == 2.0
