"""A user's image: read as it is stored, in the right colours, at the right size."""

from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile

from dipstream.errors import SourceError
from dipstream_simulator.specimen.model import CHANNELS
from dipstream_simulator.specimen.picture import PictureCanvas, picture

DAPI, GFP, RFP, CY5 = (CHANNELS[name] for name in ("DAPI", "GFP", "RFP", "Cy5"))
EXTENT_UM = (30.0, 40.0)
GREY = np.zeros((6, 8), dtype=np.uint16)
GREY[1, 6] = 4000
GREY[4, 2] = 2000


def canvas_of(image: object, *channels: object, pixel_um: float | None = None) -> PictureCanvas:
    specimen = picture(
        image,  # type: ignore[arg-type]
        extent_um=EXTENT_UM,
        channels=channels or (GFP,),  # type: ignore[arg-type]
        pixel_um=pixel_um,
    )
    assert isinstance(specimen.canvas, PictureCanvas)
    return specimen.canvas


@pytest.mark.parametrize("suffix", [".tif", ".png", ".npy"])
def test_files_are_read_as_they_are_stored(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"cells{suffix}"
    if suffix == ".tif":
        tifffile.imwrite(path, GREY)
    elif suffix == ".npy":
        np.save(path, GREY)
    else:
        path.write_bytes(imagecodecs.png_encode(GREY))
    planes = canvas_of(path).planes
    np.testing.assert_allclose(planes[0], canvas_of(GREY).planes[0])
    assert planes[0].argmax() == GREY.argmax()


def test_brightness_runs_from_nought_to_one() -> None:
    ramp = np.linspace(100.0, 900.0, 10_000).reshape(100, 100)
    plane = canvas_of(ramp).planes[0]
    assert plane.dtype == np.float32
    assert plane.min() == 0.0
    assert plane.max() == 1.0
    assert plane[50, 0] == pytest.approx(0.5, abs=0.01)
    assert (canvas_of(np.full((4, 4), 7)).planes == 1.0).all()
    assert (canvas_of(np.zeros((4, 4))).planes == 0.0).all()


def test_colours_go_to_the_channels_that_emit_them() -> None:
    image = np.zeros((6, 8, 3), dtype=np.uint8)
    image[1, 1], image[2, 2], image[3, 3] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    planes = canvas_of(image, DAPI, GFP, RFP, CY5).planes
    places = [np.unravel_index(plane.argmax(), plane.shape) for plane in planes]
    assert places == [(3, 3), (2, 2), (1, 1), (1, 1)]


def test_planes_go_to_the_channels_in_order_and_grey_to_all() -> None:
    stack = np.stack([GREY, GREY[::-1], GREY])
    planes = canvas_of(stack, DAPI, GFP).planes
    np.testing.assert_array_equal(planes[0], planes[1][::-1])
    planes = canvas_of(GREY, DAPI, GFP).planes
    np.testing.assert_array_equal(planes[0], planes[1])


def test_without_a_pixel_size_the_image_fills_the_field() -> None:
    assert canvas_of(GREY).pixel_um == pytest.approx(5.0)  # 6 rows in 30 µm, 8 columns in 40
    assert canvas_of(GREY, pixel_um=0.25).pixel_um == 0.25


@pytest.mark.parametrize("finer", [0.3, 1.0, 3.0, 4.7])
def test_any_grid_holds_the_same_light_at_the_same_place(finer: float) -> None:
    canvas = canvas_of(GREY, pixel_um=1.0)
    step_um = 1.0 / finer
    count = int(24 * finer)
    axis_um = np.linspace(-0.5, 0.5, count) * (count - 1) * step_um
    drawn = canvas.draw(axis_um, axis_um, 0).astype(float)
    assert drawn.sum() * step_um**2 == pytest.approx(canvas.planes.sum(dtype=float), rel=1e-4)
    expected_y_um = np.average(np.arange(6) - 2.5, weights=canvas.planes[0].sum(axis=1))
    assert drawn.sum(axis=1) @ axis_um / drawn.sum() == pytest.approx(
        expected_y_um, abs=1e-3 if finer >= 1 else step_um / 4
    )


def test_on_its_own_grid_the_image_comes_out_smoothed_only() -> None:
    # Linear interpolation averaged over a pixel: 3/4 of it, and 1/8 of each neighbour.
    canvas = canvas_of(GREY, pixel_um=1.0)
    drawn = canvas.draw(np.linspace(-2.5, 2.5, 6), np.linspace(-3.5, 3.5, 8), 0)
    assert drawn[1, 6] == pytest.approx(0.75**2 * canvas.planes[0, 1, 6], abs=1e-6)
    assert drawn[0, 6] == pytest.approx(0.125 * 0.75 * canvas.planes[0, 1, 6], abs=1e-6)
    far = canvas.draw(np.linspace(100.0, 103.0, 4), np.linspace(100.0, 103.0, 4), 0)
    np.testing.assert_array_equal(far, np.zeros((4, 4)))


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((3, 4, 5, 6)), "of shape"),
        (np.zeros(7), "of shape"),
        (np.zeros((0, 5)), "of shape"),
        (np.array([[1.0, np.nan]] * 2), "finite real numbers"),
        (np.zeros((4, 4), dtype=complex), "complex128"),
        ("missing.tif", "cannot be read"),
        ("cells.czi", "allowed are .tif"),
    ],
)
def test_what_is_no_image_is_refused(image: object, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        canvas_of(image)


def test_more_channels_than_planes_are_refused() -> None:
    with pytest.raises(SourceError, match="for 3 channels"):
        canvas_of(np.zeros((2, 9, 9)), DAPI, GFP, RFP)


def test_a_broken_file_is_refused(tmp_path: Path) -> None:
    for suffix in (".tif", ".png", ".npy"):
        path = tmp_path / f"broken{suffix}"
        path.write_bytes(b"not an image at all")
        with pytest.raises(SourceError, match="cannot be read"):
            canvas_of(path)
