"""Drift correction: where the sample went, and moving it back."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field
from scipy import ndimage

from dipstream.errors import StepError
from dipstream.steps.correct.drift import Reference, measure_shift
from dipstream.steps.correct.planes import as_float32, require_image
from dipstream.steps.image import Image
from dipstream.steps.step import State, ordered

__all__ = ["align"]

Drift = tuple[float, float]


@ordered()
def align(
    state: State | None,
    images: Mapping[str, Image],
    *,
    to: Literal["first", "previous"] = "first",
    channel: str | None = None,
    max_shift_px: Annotated[float, Field(gt=0)] = 50.0,
    upsample: Annotated[int, Field(ge=1, le=100)] = 10,
) -> tuple[State, dict[str, Image]]:
    """Move every image back by the drift of the sample since the first image set.

    The drift is estimated in one channel and applied to all. Every image gets the estimates
    ``drift_y_px`` and ``drift_x_px``: how far the sample has moved since the first set, positive
    downwards and to the right.

    The shift between two images is where their cross-correlation is largest
    (`skimage.registration.phase_cross_correlation`; Guizar-Sicairos et al., Opt. Lett. 33 (2008)
    156), on the maximum projection of a stack, binned until no side is above 1024 px. It is *not*
    phase-normalised: that weighs every spatial frequency alike, so that the fixed pattern of the
    sensor, which never moves, wins and every drift is zero. Before, images are band-passed
    (1–8 px) and tapered towards their borders, so that neither noise nor illumination steers it.

    A set keeps the last known drift, and never becomes the reference, if its channel is missing
    or constant, if it does not resemble the reference (correlation below 0.1: lamp off), or if
    it would have moved more than `max_shift_px`.

    Parameters
    ----------
    state
        What the last set left, or None for the first.
    images
        The channels of the set, (y, x) or (z, y, x).
    to
        ``first``: compare with the first set; no error accumulates. ``previous``: compare with
        the set before and add up; for samples that change beyond recognition.
    channel
        The channel to compare. None: the first channel of the first set.
    max_shift_px
        Largest shift to believe, in px (``previous``: from set to set).
    upsample
        Shifts are found to 1 / `upsample` px.

    Returns
    -------
    tuple[State, dict[str, Image]]
        The state (unchanged object if nothing changed) and the moved images: float32 (or
        float64, as given), bilinear interpolation. Pixels that lay outside the field repeat the
        nearest border pixel: they continue the image for smoothing and thresholds, but what is
        measured there is not data. With zero drift the pixels are those that were handed in.

    Raises
    ------
    StepError
        If an image is neither a plane nor a stack, or its shape differs from the reference's.
    """
    for image in images.values():
        require_image(image, "align")
    before = state or {}
    reference = Reference.from_state(before)
    name = channel or (reference.channel if reference else next(iter(images), ""))
    drift = _last_drift(before)
    seen = Reference.of(images[name]) if name in images else None
    if seen is not None and reference is None:
        state = {**seen.to_state(), "drift_px": np.array(drift)}
    elif seen is not None and reference is not None:
        _require_same_field(seen, reference)
        step = measure_shift(reference, seen, upsample)
        base = drift if to == "previous" else (0.0, 0.0)
        if step is not None and np.hypot(*step) <= max_shift_px:
            drift = (base[0] + step[0], base[1] + step[1])
            state = _next_state(before, seen if to == "previous" else None, drift)
    if state is None:
        state = {"drift_px": np.array(drift)}
    return state, {key: _move(image, drift) for key, image in images.items()}


def _last_drift(state: State) -> Drift:
    y, x = state.get("drift_px", np.zeros(2))
    return float(y), float(x)


def _next_state(state: State, reference: Reference | None, drift: Drift) -> State:
    if reference is not None:
        return {**reference.to_state(), "drift_px": np.array(drift)}
    return state if drift == _last_drift(state) else {**state, "drift_px": np.array(drift)}


def _require_same_field(seen: Reference, reference: Reference) -> None:
    if seen.field_px != reference.field_px:
        raise StepError(
            f"align: channel {seen.channel!r} has {seen.field_px[0]} × {seen.field_px[1]} px, the "
            f"reference has {reference.field_px[0]} × {reference.field_px[1]}; a camera whose "
            "region or binning changes needs a new run"
        )


def _move(image: Image, drift: Drift) -> Image:
    moved = image.with_estimates(drift_y_px=drift[0], drift_x_px=drift[1])
    if drift == (0.0, 0.0):
        return moved
    pixels: npt.NDArray[Any] = image.pixels
    if pixels.dtype.kind != "f":
        pixels = as_float32(pixels)
    shift = (0.0,) * (pixels.ndim - 2) + (-drift[0], -drift[1])
    return moved.with_pixels(ndimage.shift(pixels, shift, order=1, mode="nearest"))
