"""Twins of the corrections: the reference's pixels bit for bit, its checks, its errors."""

import numpy as np
import pytest
import tifffile

from dipstream.calibrate import CameraFile, CameraMode, write_camera
from dipstream.errors import ConfigError, StepError
from dipstream.kernels import Linear
from dipstream.steps.correct.background import background as reference_background
from dipstream.steps.correct.dark_flat import dark_flat as reference_dark_flat
from dipstream.steps.correct.electrons import electrons as reference_electrons
from dipstream.steps.correct.smooth import gaussian as reference_gaussian
from dipstream.steps.correct.smooth import median as reference_median
from dipstream.steps.fast.background import background
from dipstream.steps.fast.dark_flat import dark_flat
from dipstream.steps.fast.electrons import electrons
from dipstream.steps.fast.smooth import gaussian, median
from dipstream.steps.image import Image

SHAPE = (40, 50)
DTYPES = [np.uint8, np.uint16, np.float32, np.int32, np.float64]
KERNEL_DTYPES = ("uint8", "uint16", "float32")


def image(dtype=np.uint16, shape=SHAPE, **facts):
    pixels = np.random.default_rng(0).integers(0, 250, shape).astype(dtype)
    return Image(pixels, channel="GFP", pixel_um=0.3, bit_depth=8, **facts)


@pytest.fixture
def files(tmp_path):
    rng = np.random.default_rng(5)
    dark = rng.integers(80, 120, SHAPE)
    tifffile.imwrite(tmp_path / "dark.tif", dark.astype(np.uint16))
    light = rng.integers(15_000, 20_000, SHAPE)
    tifffile.imwrite(tmp_path / "flat.tif", (dark + light).astype(np.uint16))
    write_camera(
        tmp_path / "camera.toml", CameraFile("test", (CameraMode("GFP", 100, 0.47, bit_depth=8),))
    )
    return tmp_path


def assert_same(found, expected):
    assert found.pixels.dtype == expected.pixels.dtype
    np.testing.assert_array_equal(found.pixels, expected.pixels)
    for name in ("channel", "pixel_um", "bit_depth", "offset_dn", "gain_e_per_dn", "em_gain"):
        assert getattr(found, name) == getattr(expected, name)
    assert found.estimates == expected.estimates


def outcome(function, *inputs, **parameters):
    try:
        return function(*inputs, **parameters)
    except (ConfigError, StepError) as error:
        return type(error), str(error)


DARK_FLAT = [
    {"dark_dn": 100.3},
    {"dark": "dark.tif"},
    {"flat": "flat.tif"},
    {"flat": "flat.tif", "dark_dn": 99.7},
    {"flat": "flat.tif", "dark": "dark.tif"},
]


@pytest.mark.parametrize("parameters", DARK_FLAT)
@pytest.mark.parametrize("dtype", DTYPES)
def test_dark_flat(files, parameters, dtype):
    given = {k: files / v if isinstance(v, str) else v for k, v in parameters.items()}
    raw = image(dtype)
    found = dark_flat(raw, **given)
    assert isinstance(found.data, Linear) == (raw.pixels.dtype.name in KERNEL_DTYPES)
    assert_same(found, reference_dark_flat(raw, **given))
    # What is corrected already, and a stack, are the reference's.
    assert_same(dark_flat(found, **given), reference_dark_flat(found, **given))
    stack = image(dtype, (3, *SHAPE))
    assert_same(dark_flat(stack, **given), reference_dark_flat(stack, **given))


@pytest.mark.parametrize("shape", [(39, 50), (50,), (0, 50)])
@pytest.mark.parametrize(
    "parameters", [{}, {"dark": "dark.tif", "dark_dn": 1.0}, *DARK_FLAT, {"dark": "no.tif"}]
)
def test_dark_flat_refuses_alike(files, shape, parameters):
    given = {k: files / v if isinstance(v, str) else v for k, v in parameters.items()}
    found = outcome(dark_flat, image(shape=shape), **given)
    expected = outcome(reference_dark_flat, image(shape=shape), **given)
    if isinstance(expected, Image):
        assert_same(found, expected)
    else:
        assert found == expected


ELECTRONS = [
    {"camera": "camera.toml"},
    {"offset_dn": 99.3, "gain_e_per_dn": 0.47},
    {"offset_dn": 99.3, "gain_e_per_dn": 0.47, "em_gain": 3.3},
    {},
    {"camera": "camera.toml", "offset_dn": 1.0},
]


@pytest.mark.parametrize("parameters", ELECTRONS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("facts", [{}, {"offset_dn": 100.0, "gain_e_per_dn": 0.47}])
def test_electrons(files, parameters, dtype, facts):
    given = {k: files / v if isinstance(v, str) else v for k, v in parameters.items()}
    raw = image(dtype, em_gain=2.0, **facts)
    found = outcome(electrons, raw, **given)
    expected = outcome(reference_electrons, raw, **given)
    if not isinstance(expected, Image):
        assert found == expected
        return
    assert isinstance(found.data, Linear) == (raw.pixels.dtype.name in KERNEL_DTYPES)
    assert_same(found, expected)
    assert found.em_gain is None


def test_electrons_of_corrected_pixels_are_the_references(files):
    corrected = dark_flat(image(), dark_dn=10.0)
    given = {"offset_dn": 5.0, "gain_e_per_dn": 2.0}
    assert_same(electrons(corrected, **given), reference_electrons(corrected, **given))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [SHAPE, (2, *SHAPE)])
@pytest.mark.parametrize("sigma_px", [0.5, 1.5, 12.0])
def test_gaussian(dtype, shape, sigma_px):
    raw = image(dtype, shape)
    found, expected = gaussian(raw, sigma_px=sigma_px), reference_gaussian(raw, sigma_px=sigma_px)
    assert found.pixels.dtype == np.float32
    np.testing.assert_allclose(found.pixels, expected.pixels, rtol=0, atol=4e-7 * 250)
    assert (found.channel, found.pixel_um) == ("GFP", 0.3)


def test_gaussian_of_corrected_pixels(files):
    corrected = dark_flat(image(), flat=files / "flat.tif", dark_dn=100.0)
    expected = reference_gaussian(corrected, sigma_px=1.5).pixels
    np.testing.assert_allclose(gaussian(corrected, sigma_px=1.5).pixels, expected, atol=1e-4)


@pytest.mark.parametrize("trouble", [np.nan, np.inf])
def test_gaussian_of_what_is_not_finite(trouble):
    raw = image(np.float32)
    raw.pixels[7, 9] = trouble
    np.testing.assert_array_equal(gaussian(raw).pixels, reference_gaussian(raw).pixels)


def test_gaussian_results_are_not_the_workspaces():
    first = gaussian(image())
    kept = first.pixels.copy()
    gaussian(Image(np.zeros(SHAPE, np.uint16)))
    np.testing.assert_array_equal(first.pixels, kept)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [SHAPE, (2, *SHAPE)])
@pytest.mark.parametrize("size_px", [3, 5])
def test_median(dtype, shape, size_px):
    raw = image(dtype, shape)
    assert_same(median(raw, size_px=size_px), reference_median(raw, size_px=size_px))
    assert_same(median(raw), reference_median(raw))


def test_median_of_corrected_pixels_and_of_nan(files):
    corrected = dark_flat(image(), flat=files / "flat.tif", dark_dn=100.0)
    assert_same(median(corrected), reference_median(corrected))
    raw = image(np.float32)
    raw.pixels[7, 9] = np.nan
    assert_same(median(raw), reference_median(raw))
    assert outcome(median, raw, size_px=4) == outcome(reference_median, raw, size_px=4)


BACKGROUNDS = [
    {"method": "gaussian", "radius_px": 3.0},
    {"method": "gaussian"},
    {"method": "percentile"},
    {"method": "percentile", "percentile": 33.0},
    {"method": "rolling_ball", "radius_px": 5.0},
    {"method": "white_tophat", "radius_px": 3.0},
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [SHAPE, (2, *SHAPE)])
@pytest.mark.parametrize("parameters", BACKGROUNDS)
def test_background(dtype, shape, parameters):
    raw = image(dtype, shape)
    found, expected = background(raw, **parameters), reference_background(raw, **parameters)
    if parameters["method"] == "gaussian":
        assert found.pixels.dtype == np.float32
        np.testing.assert_allclose(found.pixels, expected.pixels, rtol=0, atol=4e-7 * 250)
    else:
        assert_same(found, expected)


@pytest.mark.parametrize("parameters", BACKGROUNDS[1:3])
@pytest.mark.parametrize("trouble", [np.nan, np.inf])
def test_background_of_what_is_not_finite(parameters, trouble):
    raw = image(np.float32)
    raw.pixels[7, 9] = trouble
    with np.errstate(invalid="ignore"):
        assert_same(background(raw, **parameters), reference_background(raw, **parameters))


def test_background_of_corrected_pixels(files):
    corrected = dark_flat(image(), flat=files / "flat.tif", dark_dn=100.0)
    for parameters in BACKGROUNDS[1:3]:
        expected = reference_background(corrected, **parameters).pixels
        found = background(corrected, **parameters).pixels
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("dtype", [">u2", ">f4", "u1"])
def test_pixels_in_any_order_in_memory(dtype):
    raw = image(np.uint8)
    expected = [f(raw).pixels for f in (gaussian, median)]
    pixels = np.asfortranarray(raw.pixels.astype(dtype))
    for function, one in zip((gaussian, median), expected, strict=True):
        np.testing.assert_array_equal(function(Image(pixels)).pixels, one)
    found = dark_flat(Image(pixels), dark_dn=3.0)
    np.testing.assert_array_equal(found.pixels, dark_flat(raw, dark_dn=3.0).pixels)
    np.testing.assert_array_equal(
        gaussian(found).pixels, gaussian(dark_flat(raw, dark_dn=3.0)).pixels
    )
