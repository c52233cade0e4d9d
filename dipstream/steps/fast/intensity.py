"""Intensity of objects in each channel, from their runs."""

from collections.abc import Mapping
from functools import cache

import numpy as np
import numpy.typing as npt

from dipstream.kernels.intensities import Intensities, intensities_of
from dipstream.kernels.linear import suits_kernels
from dipstream.steps.image import Image, Labels
from dipstream.steps.measure.intensity import intensity as reference
from dipstream.steps.measure.intensity import intensity_columns
from dipstream.steps.step import pure

__all__ = ["intensity"]

Values = npt.NDArray[np.float64]


@pure(columns=intensity_columns)
def intensity(
    labels: Labels, images: Mapping[str, Image], *, channels: tuple[str, ...] | None = None
) -> dict[str, Values]:
    """Measure the intensity of every object, as `dipstream.steps.measure.intensity` does.

    Extremes are equal, the rest to 1e-12 of the pixels. Pixels of another type than uint8, uint16
    and float32, or not finite, and images of another shape are left to the reference.
    """
    values: dict[str, Values] = {}
    for channel in images if channels is None else dict.fromkeys(channels):
        if channel in images:
            values |= _measured(labels, images[channel], channel)
    return values


def _measured(labels: Labels, image: Image, channel: str) -> dict[str, Values]:
    pixels = image.linear
    if pixels.raw.shape == labels.shape and suits_kernels(pixels.raw):
        found = intensities_of(labels.moments, pixels)
        if np.isfinite(found.total).all():
            return dict(zip(_names(channel), _columns(found), strict=True))
    return reference(labels, {channel: image})


def _columns(found: Intensities) -> tuple[Values, ...]:
    return (
        found.mean, found.smallest, found.largest, found.deviation, found.total, found.y, found.x,
    )  # fmt: skip


@cache
def _names(channel: str) -> tuple[str, ...]:
    return tuple(column.name for column in intensity_columns((channel,)))
