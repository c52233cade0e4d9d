"""How good a raw frame is: focus, saturation, background, signal to noise.

Not a step: the run judges every raw frame, before anything is corrected.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from dipstream.errors import StepError
from dipstream.kernels.exposure import is_finite, is_uniform
from dipstream.kernels.linear import as_input, suits_kernels
from dipstream.kernels.sample_levels import levels_of
from dipstream.kernels.sharpness import Covariances, column_covariances, row_covariances
from dipstream.steps import ndimage
from dipstream.steps.step import State

__all__ = ["FocusWatch", "Quality", "check_finite", "frame_quality", "reference_quality"]

_SAMPLED_PX = 65_536
_SATURATED_FRACTION = 0.001
_FOCUS_SIGMA_PX = 2.0
_FOCUS_PX = 131_072
_SHORTEST_SIDE_PX = 8

Pixels = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Quality:
    """What the table keeps of a raw frame.

    Attributes
    ----------
    focus_score
        Sharpness without a unit, whatever the brightness: higher is sharper, 0 where there is
        nothing to see. Comparable between frames of one channel and position, not between
        samples.
    saturated_fraction
        Pixels at the ADC's maximum, as a fraction of all; NaN for float pixels.
    background
        Sigma-clipped mean in DN.
    snr
        (99th percentile − background) / sigma-clipped standard deviation; NaN without noise.
    flags
        Any of ``black`` (all pixels equal), ``saturated`` (more than 0.1 % of the pixels) and
        ``out_of_focus`` (added by `FocusWatch`).
    """

    focus_score: float
    saturated_fraction: float
    background: float
    snr: float
    flags: tuple[str, ...] = ()


def check_finite(pixels: Pixels) -> None:
    """Raise `StepError` if a frame holds NaN or infinite pixels."""
    if pixels.dtype.kind not in "fc" or (pixels.dtype.name == "float32" and is_finite(pixels)):
        return
    bad = pixels.size - np.count_nonzero(np.isfinite(pixels))
    if bad:
        nan = np.count_nonzero(np.isnan(pixels))
        raise StepError(
            f"the frame has {nan} NaN and {bad - nan} infinite pixels of {pixels.size}; allowed "
            "are finite numbers only; look at what writes the frames (a division by an empty "
            "flat field?), or save them as integers"
        )


def frame_quality(pixels: Pixels, bit_depth: int | None) -> Quality:
    """Judge one raw frame.

    Saturation is counted over all pixels. Background and signal to noise are taken from a regular
    sample of at least 65,000 pixels, the focus score from evenly spaced pairs of rows and of
    columns with 131,000 pixels each, so that large frames cost hardly more than small ones.

    Parameters
    ----------
    pixels
        Raw frame (y, x), finite, any integer or float dtype.
    bit_depth
        Bits of the ADC; None if unknown: the container's maximum counts as saturated then.
    """
    if not suits_kernels(pixels) or min(pixels.shape) < _SHORTEST_SIDE_PX:
        return reference_quality(pixels, bit_depth)
    pixels = as_input(pixels)
    level = _largest(pixels, bit_depth) if pixels.dtype.kind == "u" else None
    first_row, first_column = _first_of_pairs(*pixels.shape), _first_of_pairs(*pixels.shape[::-1])
    of_columns, bright = column_covariances(pixels, first_column, level)
    of_rows = row_covariances(pixels, first_row)
    return _quality(
        np.nan if level is None else bright / pixels.size,
        is_uniform(pixels),
        levels_of(_sample(pixels)),
        _focus_score(
            (of_rows, first_row.size * pixels.shape[1]),
            (of_columns, first_column.size * pixels.shape[0]),
        ),
    )


def reference_quality(pixels: Pixels, bit_depth: int | None) -> Quality:
    """Judge one raw frame as `frame_quality` does, with numpy and scipy alone."""
    if pixels.size == 0:
        return Quality(0.0, np.nan, np.nan, np.nan)
    saturated = np.nan
    if pixels.dtype.kind in "iu":
        saturated = np.count_nonzero(pixels >= _largest(pixels, bit_depth)) / pixels.size
    uniform = bool((pixels == pixels.flat[0]).all())
    focus_score = 0.0
    if min(pixels.shape) >= _SHORTEST_SIDE_PX:
        focus_score = _focus_score(_covariances(pixels), _covariances(pixels.T))
    return _quality(saturated, uniform, _levels(pixels), focus_score)


def _quality(
    saturated: float, uniform: bool, levels: tuple[float, float, float], focus_score: float
) -> Quality:
    background, noise, bright = levels
    flags = []
    if saturated > _SATURATED_FRACTION:
        flags.append("saturated")
    elif uniform:
        flags.append("black")
    return Quality(
        focus_score=focus_score,
        saturated_fraction=float(saturated),
        background=background,
        snr=(bright - background) / noise if noise > 0 else np.nan,
        flags=tuple(flags),
    )


def _largest(pixels: Pixels, bit_depth: int | None) -> int:
    largest = int(np.iinfo(pixels.dtype).max)
    return largest if bit_depth is None else min(largest, 2**bit_depth - 1)


def _sample(pixels: Pixels) -> Pixels:
    step = max(1, int(np.sqrt(pixels.size / _SAMPLED_PX)))
    return pixels[::step, ::step]


def _levels(pixels: Pixels) -> tuple[float, float, float]:
    """Return background, its noise (both clipped at 3 σ about the median) and 99th percentile."""
    values = np.sort(_sample(pixels), axis=None).astype(np.float64)
    bright = float(np.percentile(values, 99))
    kept = values
    for _ in range(5):
        centre, spread = np.median(kept), kept.std()
        low = np.searchsorted(kept, centre - 3 * spread, side="left")
        high = np.searchsorted(kept, centre + 3 * spread, side="right")
        clipped = kept[low:high]
        if clipped.size == kept.size:
            break
        kept = clipped
    return float(kept.mean()), float(kept.std()), bright


def _focus_score(of_rows: tuple[Covariances, int], of_columns: tuple[Covariances, int]) -> float:
    """Return how much of the image's variance is fine structure, without its noise.

    The variance of the second derivative of a Gaussian (σ = 2 px, scaled by σ²) over the
    variance of the image: the fourth moment of the power spectrum, which any blur lowers. Both
    are covariances of neighbouring lines: what optics draws is the same in both, shot and read
    noise is not and averages out, so that a dim or blurred frame is not mistaken for a sharp one.

    Parameters
    ----------
    of_rows, of_columns
        Covariances along rows and along columns, and of how many pairs of pixels.
    """
    return 0.5 * (_sharpness(*of_rows) + _sharpness(*of_columns))


def _sharpness(covariances: Covariances, n: int) -> float:
    shared, one, other, fine = covariances
    # Noise alone correlates by 1/√n: below 5 times that there is nothing to judge.
    if shared <= 5 / np.sqrt(n) * np.sqrt(one * other):
        return 0.0
    return max(0.0, fine * _FOCUS_SIGMA_PX**4 / shared)


def _first_of_pairs(lines: int, length: int) -> npt.NDArray[np.int64]:
    """Return the first lines of evenly spaced pairs of neighbours."""
    pairs = lines // 2
    sampled = min(pairs, max(1, _FOCUS_PX // length))
    return np.linspace(0, pairs - 1, sampled).astype(np.int64) * 2


def _covariances(pixels: Pixels) -> tuple[Covariances, int]:
    first = _first_of_pairs(*pixels.shape)
    one, other = (_centred(pixels[first + k]) for k in (0, 1))
    curved, other_curved = (
        ndimage.gaussian_filter1d(lines, _FOCUS_SIGMA_PX, axis=1, order=2) for lines in (one, other)
    )
    pairs = ((one, other), (one, one), (other, other), (curved, other_curved))
    shared, square, other_square, fine = (
        float(np.multiply(a, b, dtype=np.float64).sum()) for a, b in pairs
    )
    return (shared, square, other_square, fine), one.size


def _centred(lines: Pixels) -> npt.NDArray[np.float32]:
    values = np.ascontiguousarray(lines, dtype=np.float32)
    centred: npt.NDArray[np.float32] = values - values.mean(dtype=np.float64).astype(np.float32)
    return centred


class FocusWatch:
    """Notices when a position and channel loses focus.

    A frame is out of focus if its score is below 60 % of the median of the last 20 frames of the
    same position and channel that were not, once there are 5 of them. Black frames are neither
    judged nor remembered.
    """

    remembered = 20
    needed = 5
    threshold = 0.6

    def __init__(self, state: State | None = None) -> None:
        self._scores: dict[tuple[str, str], deque[float]] = {}
        if state:
            names = zip(state["position"].tolist(), state["channel"].tolist(), strict=True)
            for key, scores in zip(names, state["scores"], strict=True):
                kept = scores[np.isfinite(scores)].tolist()
                self._scores[key] = deque(kept, maxlen=self.remembered)

    def judge(self, position: str, channel: str, quality: Quality) -> Quality:
        """Return the quality, flagged ``out_of_focus`` if it is; remember it otherwise."""
        if "black" in quality.flags:
            return quality
        scores = self._scores.setdefault((position, channel), deque(maxlen=self.remembered))
        if len(scores) >= self.needed and quality.focus_score < self.threshold * np.median(scores):
            return replace(quality, flags=(*quality.flags, "out_of_focus"))
        scores.append(quality.focus_score)
        return quality

    def recent(self, position: str, channel: str) -> list[float]:
        """Return the scores that the next frame of this position and channel is held against."""
        return list(self._scores.get((position, channel), ()))

    def remember(self, position: str, channel: str, scores: Iterable[float]) -> None:
        """Go on from what `recent` has returned."""
        self._scores[position, channel] = deque(scores, maxlen=self.remembered)

    def state(self) -> State:
        """Return what is remembered as named arrays, from which another watch can go on."""
        table = np.full((len(self._scores), self.remembered), np.nan)
        for row, scores in zip(table, self._scores.values(), strict=True):
            row[: len(scores)] = scores
        return {
            "position": np.array([key[0] for key in self._scores], dtype=np.str_),
            "channel": np.array([key[1] for key in self._scores], dtype=np.str_),
            "scores": table,
        }
