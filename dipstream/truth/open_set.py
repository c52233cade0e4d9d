"""The rows of one image set until its last frame has come."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from dipstream.source import SourceTruth, TruthPixels
from dipstream.truth.folder import FramePlace
from dipstream.truth.true_set import TrueSet

__all__ = ["OpenSet"]

Floats = npt.NDArray[np.float64]


class OpenSet:
    """Collects what the frames of an image set add to its rows; holds no images.

    Parameters
    ----------
    true
        The objects, as the first frame shows them.
    truth
        The same, with the centroids in µm.
    """

    def __init__(self, true: TrueSet, truth: SourceTruth) -> None:
        self._true = true.without_labels()
        self._y_um, self._x_um = truth.y_um, truth.x_um
        self._sums: dict[str, tuple[Floats, Floats]] = {}
        self._saturated: npt.NDArray[np.int64] | None = None
        self._rows: list[tuple[object, ...]] = []
        self._channels: set[str] = set()

    @property
    def channels(self) -> set[str]:
        """The channels that have come."""
        return self._channels

    def add(self, frame: FramePlace, truth: SourceTruth, pixels: TruthPixels | None) -> None:
        """Take in a frame of the set."""
        self._channels.add(frame.channel)
        photons = electrons = saturated_px = None
        if pixels is not None:
            photons, electrons = float(pixels.photons.sum()), float(pixels.electrons.sum())
            saturated_px = int(np.count_nonzero(pixels.saturated))
            self._sum(frame.channel, truth, pixels)
        z_um, y_um, x_um = truth.drift_um
        self._rows.append(
            (
                *(frame.seq, frame.position, frame.t, frame.z, frame.channel),
                *(_um(z_um), _um(y_um), _um(x_um)),
                *(truth.count, _number(photons), _number(electrons), saturated_px),
            )
        )

    def frame_rows(self) -> list[tuple[object, ...]]:
        """Return the rows of ``frames.csv``."""
        return self._rows

    def object_rows(self, channels: Sequence[str]) -> list[tuple[object, ...]]:
        """Return the rows of ``objects.csv`` for the source's channels."""
        true = self._true
        place = true.place
        sums = [values for channel in channels for values in self._sums.get(channel, (None, None))]
        return [
            (
                *(place.position, place.t, place.z, true.seq, k + 1),
                *(int(true.track_ids[k]), int(true.parent_ids[k])),
                *(_um(self._y_um[k]), _um(self._x_um[k]), _um(true.z_um[k])),
                int(true.area_px[k]),
                *(None if values is None else _number(values[k]) for values in sums),
                None if self._saturated is None else int(self._saturated[k]),
            )
            for k in range(true.count)
        ]

    def _sum(self, channel: str, truth: SourceTruth, pixels: TruthPixels) -> None:
        """Add up the pixels of each object; frames of a set may show it in other places."""
        at = {int(track): row for row, track in enumerate(self._true.track_ids)}
        here = [
            (row, k)
            for k, track in enumerate(truth.track_ids)
            if (row := at.get(int(track))) is not None
        ]
        rows = np.array([row for row, _ in here], np.intp)
        mine = np.array([k for _, k in here], np.intp)
        flat, n = truth.labels.ravel(), truth.count + 1

        def spread(values: npt.NDArray[np.generic]) -> Floats:
            summed = np.bincount(flat, weights=values.ravel(), minlength=n)[1:]
            placed = np.full(self._true.count, np.nan)
            placed[rows] = summed[mine]
            return placed

        self._sums[channel] = spread(pixels.photons), spread(pixels.electrons)
        before = (
            np.zeros(self._true.count, np.int64) if self._saturated is None else self._saturated
        )
        self._saturated = before + np.nan_to_num(spread(pixels.saturated)).astype(np.int64)


def _um(value: float) -> str:
    return f"{value:.4f}"  # a tenth of a nanometre


def _number(value: float | None) -> str:
    return "" if value is None or not np.isfinite(value) else f"{value:.8g}"
