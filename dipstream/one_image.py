"""One image, no service: the same pipeline on an array."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from dipstream.errors import ConfigError, StepError
from dipstream.frame import Frame, FrameInfo, ImageSet, Pixels, Segment, SetKey
from dipstream.pipeline import Plan, open_plan
from dipstream.steps.quality import check_finite

__all__ = ["analyze"]


def analyze(
    image: Pixels | Mapping[str, Pixels],
    pipeline: str | Path | Plan = "nuclei",
    *,
    pixel_um: float | None = None,
    channels: Sequence[str] | None = None,
    bit_depth: int | None = None,
    kind: str | None = None,
    reference: bool = False,
) -> tuple[npt.NDArray[np.int32], pd.DataFrame]:
    """Segment and measure one image.

    Parameters
    ----------
    image
        (y, x) for one channel; (y, x, 3 or 4) for RGB(A), which is one channel where R, G and B
        are equal; (c, y, x) with `channels`; or a mapping from channel names to (y, x).
    pipeline
        A preset, a pipeline file or a plan.
    pixel_um
        Side of a pixel in µm; without it columns in µm are NaN.
    channels
        Names of the channels, in order.
    bit_depth
        Bits of the ADC, if it is not the container's.
    kind
        Which type of object to return; the first of the pipeline by default.
    reference
        Compute with the references that define each step instead of kernels: slower.

    Returns
    -------
    labels
        int32 (y, x), 0 = background.
    table
        One row an object, in the order of labels.

    Raises
    ------
    ConfigError
        If the pipeline cannot be used, or the image is not of a shape above.
    StepError
        If the image holds NaN or infinite values, or a step cannot work on it.
    """
    if pixel_um is not None and not (np.isfinite(pixel_um) and pixel_um > 0):
        raise ConfigError(f"received pixel_um={pixel_um}; give the side of a pixel in µm, above 0")
    if bit_depth is not None and not 1 <= bit_depth <= 64:
        raise ConfigError(f"received bit_depth={bit_depth}; allowed are 1 to 64 bits")
    plan = pipeline if isinstance(pipeline, Plan) else open_plan(pipeline)
    planes = _planes(image, channels)
    line = plan.compile(list(planes), reference=reference)
    chosen = kind if kind is not None else line.kinds[0]
    if chosen not in line.kinds:
        raise ConfigError(f"there are no objects {kind!r}; this pipeline has {line.kinds}")
    done = line.analyse(_image_set(planes, pixel_um, bit_depth))
    rows = done.tables[chosen]
    table = pd.DataFrame({name: rows.column(name) for name in rows.schema.names})
    return done.labels[chosen].dense.copy(), table


def _planes(
    image: Pixels | Mapping[str, Pixels], channels: Sequence[str] | None
) -> dict[str, Pixels]:
    if isinstance(image, Mapping):
        planes = {str(name): _numbers(np.asarray(plane)) for name, plane in image.items()}
    else:
        planes = _split(_numbers(np.asarray(image)), channels)
    shapes = {plane.shape for plane in planes.values()}
    if len(shapes) != 1 or any(len(shape) != 2 or 0 in shape for shape in shapes):
        raise ConfigError(
            f"received planes of shape {sorted(shapes)}; every channel must be (y, x), of one shape"
        )
    return planes


def _numbers(pixels: Pixels) -> Pixels:
    if pixels.dtype.kind not in "uifb":
        raise ConfigError(
            f"received pixels of type {pixels.dtype}; allowed are integers and floats"
        )
    return pixels.astype(np.uint8) if pixels.dtype == np.bool_ else pixels


def _split(pixels: Pixels, channels: Sequence[str] | None) -> dict[str, Pixels]:
    if pixels.ndim == 2 and (channels is None or len(channels) == 1):
        return {(channels or ["ch0"])[0]: pixels}
    if pixels.ndim == 3 and channels is not None and len(channels) == pixels.shape[0]:
        return dict(zip(channels, pixels, strict=True))
    if pixels.ndim == 3 and channels is None and pixels.shape[2] in {3, 4}:
        red, green, blue = (pixels[..., i] for i in range(3))
        if np.array_equal(red, green) and np.array_equal(green, blue):
            return {"ch0": np.ascontiguousarray(red)}
        return {n: np.ascontiguousarray(p) for n, p in zip("RGB", (red, green, blue), strict=True)}
    raise ConfigError(
        f"received an array of shape {pixels.shape}"
        + (f" and {len(channels)} channels" if channels else "")
        + "; allowed are (y, x), (y, x, 3 or 4) for RGB(A), and (c, y, x) with "
        "channels=[…] naming each"
    )


def _image_set(
    planes: Mapping[str, Pixels], pixel_um: float | None, bit_depth: int | None
) -> ImageSet:
    for name, plane in planes.items():
        try:
            check_finite(plane)
        except StepError as error:
            raise StepError(f"channel {name}: {error}") from error
    first = next(iter(planes.values()))
    segment = Segment(
        shape=(first.shape[0], first.shape[1]),
        dtype=str(first.dtype),
        camera="array",
        pixel_um=pixel_um,
        bit_depth=bit_depth,
    )
    frames: list[Any] = [
        Frame(plane, FrameInfo(segment=segment, channel=name)) for name, plane in planes.items()
    ]
    return ImageSet(
        set_id=0,
        key=SetKey(0, "0", 0, 0),
        frames=tuple(frames),
        frame_ids=tuple(range(len(frames))),
        channels=tuple(planes),
    )
