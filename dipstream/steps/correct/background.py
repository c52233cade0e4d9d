"""Background subtraction: what varies more slowly than the objects."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field
from skimage.restoration import rolling_ball

from dipstream.steps import ndimage
from dipstream.steps.correct.planes import as_float32, each_plane, require_image
from dipstream.steps.image import Image
from dipstream.steps.step import pure

__all__ = ["background"]

Plane = npt.NDArray[np.float32]


@pure()
def background(
    image: Image,
    *,
    method: Literal["gaussian", "rolling_ball", "white_tophat", "percentile"] = "rolling_ball",
    radius_px: Annotated[float, Field(ge=1, le=1000)] = 50.0,
    percentile: Annotated[float, Field(ge=0, le=100)] = 5.0,
) -> Image:
    """Subtract the background.

    The result may be negative and is never clipped: cutting off the lower half of the noise
    around zero would raise every mean that is measured afterwards. A stack is corrected plane by
    plane.

    Parameters
    ----------
    image
        Pixels (y, x) or (z, y, x), any dtype; they become float32, never rescaled.
    method
        - ``rolling_ball``: a ball of `radius_px` rolled along the underside of the image, as in
          Sternberg, Computer 16 (1983) 22. As ImageJ does, radii above 10 px work on a smaller
          image (2, 4 or 8 times); it is shrunk by means, not by minima, so that noise pulls the
          background down less: by about half its standard deviation at 50 px.
        - ``white_tophat``: the grey opening with a square of 2 `radius_px` + 1 px, which keeps
          no bright detail smaller than the square. It follows the minima of the noise:
          3 standard deviations too low at 50 px.
        - ``gaussian``: a blur with σ = `radius_px`. Noise does not bias it, but each bright
          object lifts its own background, the more the more densely the objects lie.
        - ``percentile``: one number for each plane, for a background that is flat. The quickest.
    radius_px
        Size of the ball, window or blur in px: at least the radius of the largest object. Not
        used by ``percentile``.
    percentile
        Which percentile of the plane is the background; used by ``percentile`` only.

    Returns
    -------
    Image
        float32, in the units of the input.

    Raises
    ------
    StepError
        If the image is neither a plane nor a stack.
    """
    require_image(image, "background")

    def subtract(plane: npt.NDArray[Any]) -> Plane:
        size = percentile if method == "percentile" else radius_px
        return as_float32(plane - _METHODS[method](plane, size))

    return image.with_pixels(each_plane(as_float32(image.pixels), subtract))


def _gaussian(plane: Plane, sigma_px: float) -> Plane:
    smoothed: Plane = ndimage.gaussian_filter(
        plane, sigma_px, mode="reflect", truncate=4.0, output=np.float32
    )
    return smoothed


def _opening(plane: Plane, radius_px: float) -> Plane:
    side = 2 * round(radius_px) + 1
    return as_float32(ndimage.grey_opening(plane, size=(side, side), mode="reflect"))


def _percentile(plane: Plane, percentile: float) -> Plane:
    return np.full_like(plane, np.percentile(plane, percentile))


def _ball(plane: Plane, radius_px: float) -> Plane:
    shrink = _shrink_factor(radius_px)
    small = _block_mean(plane, shrink)
    # scikit-image gives the height of the ball's top, which lies below any slope; the surface that
    # the ball reaches is the opening, so the ball rolls along the other side too.
    tops = rolling_ball(small, radius=radius_px / shrink)
    under = as_float32(-rolling_ball(-tops, radius=radius_px / shrink))
    if shrink == 1:
        return under
    # Centre of small pixel i is at (i + ½)·shrink − ½ of the large image.
    grid = np.meshgrid(
        *((np.arange(n) + 0.5) / shrink - 0.5 for n in plane.shape), indexing="ij", sparse=False
    )
    return as_float32(ndimage.map_coordinates(under, grid, order=1, mode="nearest"))


def _shrink_factor(radius_px: float) -> int:
    # ImageJ's steps (ij.plugin.filter.BackgroundSubtracter, class RollingBall).
    for limit, factor in ((10, 1), (30, 2), (100, 4)):
        if radius_px <= limit:
            return factor
    return 8


def _block_mean(plane: Plane, size: int) -> Plane:
    rows, columns = (-(-n // size) * size for n in plane.shape)
    filled = np.pad(plane, ((0, rows - plane.shape[0]), (0, columns - plane.shape[1])), mode="edge")
    blocks = filled.reshape(rows // size, size, columns // size, size)
    return as_float32(blocks.mean(axis=(1, 3), dtype=np.float64))


_METHODS: Mapping[str, Callable[[Plane, float], Plane]] = {
    "gaussian": _gaussian,
    "percentile": _percentile,
    "rolling_ball": _ball,
    "white_tophat": _opening,
}
