"""Intensity of objects, in each channel."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from dipstream.errors import ConfigError, StepError
from dipstream.steps.image import Image, Labels
from dipstream.steps.step import pure
from dipstream.table import Column

__all__ = ["intensity", "intensity_columns"]

Values = npt.NDArray[np.float64]

_FEATURES = (
    ("intensity_mean_{}", "DN", "Mean of the object's pixels in channel {}."),
    ("intensity_min_{}", "DN", "Smallest of the object's pixels in channel {}."),
    ("intensity_max_{}", "DN", "Largest of the object's pixels in channel {}."),
    ("intensity_std_{}", "DN", "Standard deviation of the object's pixels in channel {} (over n)."),
    ("intensity_sum_{}", "DN", "Sum of the object's pixels in channel {}."),
    ("centroid_weighted_y_{}", "px", "Row of the centroid weighted by channel {}; empty if 0/0."),
    ("centroid_weighted_x_{}", "px", "Column of that centroid, weighted by {}; empty if 0/0."),
)  # fmt: skip


def intensity_columns(
    run_channels: tuple[str, ...], /, *, channels: tuple[str, ...] | None = None, **_: Any
) -> tuple[Column, ...]:
    """Return the columns of `intensity` for the channels of a run.

    Raises
    ------
    ConfigError
        If a configured channel is not one of the run's.
    """
    chosen = run_channels if channels is None else channels
    unknown = [name for name in chosen if name not in run_channels]
    if unknown:
        raise ConfigError(
            f"intensity: there is no channel {', '.join(map(repr, unknown))}; "
            f"the run has {', '.join(map(repr, run_channels))}"
        )
    return tuple(
        Column(name.format(channel), "float64", unit, definition.format(channel), channel=channel)
        for channel in dict.fromkeys(chosen)
        for name, unit, definition in _FEATURES
    )


@pure(columns=intensity_columns)
def intensity(
    labels: Labels, images: Mapping[str, Image], *, channels: tuple[str, ...] | None = None
) -> dict[str, Values]:
    """Measure the intensity of every object in each channel.

    Means, minima, maxima, standard deviations and weighted centroids are those of
    `skimage.measure.regionprops`, computed in float64; the sum is mean times area. They are
    taken from the corrected pixels as they are: without a background correction the camera's
    offset is part of every value, and a sum grows with the area.

    Parameters
    ----------
    labels
        Objects, int32 (y, x).
    images
        The channels of the image set, (y, x).
    channels
        The channels to measure. None: all.

    Returns
    -------
    dict
        float64, one value for each label that is present, ascending, for every column and
        channel. The columns of a channel that is missing from the image set are left out.

    Raises
    ------
    StepError
        If an image has another shape than the labels.
    """
    counts = np.bincount(labels.dense.ravel(), minlength=1)[1:]
    counts = counts[counts > 0]
    rows, columns = np.nonzero(labels.dense)
    # sorted by object, so that each object is one run of pixels
    order = np.argsort(labels.dense[rows, columns], kind="stable")
    rows, columns = rows[order], columns[order]
    values: dict[str, Values] = {}
    for channel in images if channels is None else dict.fromkeys(channels):
        if channel in images:
            _require_shape(images[channel], labels)
            measured = _measure(images[channel].pixels[rows, columns], rows, columns, counts)
            names = (name.format(channel) for name, _, _ in _FEATURES)
            values.update(zip(names, measured, strict=True))
    return values


def _require_shape(image: Image, labels: Labels) -> None:
    if image.pixels.shape != labels.dense.shape:
        raise StepError(
            f"intensity: channel {image.channel!r} has shape {image.pixels.shape}, the labels "
            f"have {labels.dense.shape}; project stacks first, and give all channels the same "
            "region and binning"
        )


def _measure(
    pixels: npt.NDArray[Any],
    rows: npt.NDArray[np.intp],
    columns: npt.NDArray[np.intp],
    counts: npt.NDArray[np.int64],
) -> tuple[Values, ...]:
    """Return the features in the order of `_FEATURES`; pixels are sorted by object."""
    if counts.size == 0:
        return (np.empty(0),) * len(_FEATURES)
    weights = pixels.astype(np.float64)
    first = np.cumsum(counts) - counts
    total = np.add.reduceat(weights, first)
    mean = total / counts
    # two passes: mean(x²) − mean² would lose the digits of a small spread on a large mean
    spread = np.add.reduceat((weights - np.repeat(mean, counts)) ** 2, first) / counts
    with np.errstate(divide="ignore", invalid="ignore"):
        y = np.add.reduceat(weights * rows, first) / total
        x = np.add.reduceat(weights * columns, first) / total
    empty = total == 0
    return (
        mean,
        np.minimum.reduceat(weights, first),
        np.maximum.reduceat(weights, first),
        np.sqrt(spread),
        total,
        np.where(empty, np.nan, y),
        np.where(empty, np.nan, x),
    )
