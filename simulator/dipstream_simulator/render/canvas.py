"""A drawing as sprites: tiles of the world that are blurred once and moved under the camera."""

import math

import numpy as np
import numpy.typing as npt

from dipstream_simulator.render.bank import Bank, Shelf, Sprite
from dipstream_simulator.render.blur import Blur, Fineness, odd_fast_length
from dipstream_simulator.specimen.model import Canvas

__all__ = ["CanvasTiles", "Tiles"]

_TILE_PX = 127  # odd: the middle of a tile is then the middle of a pixel
_MARGIN_PX = 2
_DRAWN = Fineness(rungs=4, per_nyquist=4.0, per_pixel=3, per_disk=16.0)
_MOST_SAMPLES = 5  # within a pixel
_LARGE_PX = 1_500_000  # images beyond this are kept at the least oversampling


class Tiles:
    """What `dipstream_simulator.render.kernels.stamp` takes, for the tiles of one view."""

    __slots__ = ("shelf", "strength", "window", "x_px", "y_px")

    def __init__(
        self,
        shelf: Shelf,
        y_px: npt.NDArray[np.float64],
        x_px: npt.NDArray[np.float64],
        strength: npt.NDArray[np.float32],
        window: npt.NDArray[np.int64],
    ) -> None:
        self.shelf, self.y_px, self.x_px = shelf, y_px, x_px
        self.strength, self.window = strength, window


class CanvasTiles:
    """Cuts a canvas into tiles that stand still in the world; safe to share between threads.

    A tile is drawn finely with a margin, blurred, and kept. Views that are shifted by whole
    pixels therefore agree, and a drifting stage costs no new blur.

    Parameters
    ----------
    canvas, extent_um
        The drawing, and the world's height and width around the origin, in µm.
    shape
        Rows and columns of the images.
    blur, bank
        The optics, and where tiles are kept.
    """

    def __init__(
        self,
        canvas: Canvas,
        extent_um: tuple[float, float],
        shape: tuple[int, int],
        blur: Blur,
        bank: Bank,
    ) -> None:
        self._canvas, self._extent_um, self._shape = canvas, extent_um, shape
        self._blur, self._bank = blur, bank
        large = shape[0] * shape[1] > _LARGE_PX
        self._most_samples = _DRAWN.per_pixel if large else _MOST_SAMPLES

    def tiles(
        self, channel: int, first_px: tuple[float, float], height_um: float, signal: float
    ) -> Tiles:
        """Find the tiles that an image needs.

        Parameters
        ----------
        channel
            Index of the channel.
        first_px
            Row and column of the image's first pixel in the world, in px from the origin.
        height_um
            Of the canvas above the plane in focus, in µm.
        signal
            Photons for each unit of the drawing's light.
        """
        rung, weight, next_weight = self._blur.rungs(np.array([height_um]), channel, _DRAWN.rungs)
        planes = [(int(rung[0]), weight[0]), (int(rung[0]) + 1, next_weight[0])]
        keys, places, windows, strengths = [], [], [], []
        for plane, share in planes:
            if share <= 0.0:
                continue
            reach_um = self._reach_um(channel, plane)
            for row, top, bottom in self._cuts(0, first_px[0], reach_um):
                for column, left, right in self._cuts(1, first_px[1], reach_um):
                    keys.append((row, column, channel, plane))
                    places.append((row + 0.5, column + 0.5))
                    windows.append((top, bottom, left, right))
                    strengths.append(share * signal)
        shelf = self._bank.shelf([("tile", *key) for key in keys], lambda i: self._draw(*keys[i]))
        middle_px = np.reshape(places, (-1, 2)) * _TILE_PX - first_px
        return Tiles(
            shelf,
            np.ascontiguousarray(middle_px[:, 0]),
            np.ascontiguousarray(middle_px[:, 1]),
            np.asarray(strengths, dtype=np.float32),
            np.asarray(windows, dtype=np.int64).reshape(-1, 4),
        )

    def _cuts(self, axis: int, first_px: float, reach_um: float) -> list[tuple[int, int, int]]:
        """Tiles along an axis, each with the first pixel and the last + 1 that it fills."""
        lit_px = (0.5 * self._extent_um[axis] + reach_um) / self._blur.pixel_um + 1.0
        last_px = first_px + self._shape[axis] - 1
        start = math.floor(max(first_px, -lit_px) / _TILE_PX)
        stop = math.floor(min(last_px, lit_px) / _TILE_PX)
        cuts = []
        for tile in range(start, stop + 1):
            first = max(0, math.ceil(tile * _TILE_PX - first_px))
            end = min(self._shape[axis], math.ceil((tile + 1) * _TILE_PX - first_px))
            cuts.append((tile, first, end))
        return cuts

    def _oversample(self, channel: int, plane: int) -> int:
        height_um = self._blur.height_um(channel, plane, _DRAWN.rungs)
        wanted = self._blur.oversample(channel, height_um, _DRAWN)
        return min(wanted, self._most_samples)

    def _reach_um(self, channel: int, plane: int) -> float:
        height_um = self._blur.height_um(channel, plane, _DRAWN.rungs)
        return self._blur.reach_um(channel, height_um, self._oversample(channel, plane))

    def _draw(self, row: int, column: int, channel: int, plane: int) -> Sprite:
        oversample = self._oversample(channel, plane)
        pixel_um = self._blur.pixel_um
        step_um = pixel_um / oversample
        margin_px = math.ceil(self._reach_um(channel, plane) / pixel_um + 0.5) + _MARGIN_PX
        size = odd_fast_length(_TILE_PX + 2 * margin_px) * oversample
        axis_um = (np.arange(size, dtype=np.float64) - (size - 1) / 2) * step_um
        y_um, x_um = ((tile + 0.5) * _TILE_PX * pixel_um + axis_um for tile in (row, column))
        drawn = self._canvas.draw(y_um, x_um, channel) * np.float32(step_um**2)
        height_um = self._blur.height_um(channel, plane, _DRAWN.rungs)
        blurred = self._blur.apply(drawn, channel, height_um, oversample)
        kept = (_TILE_PX + 2 * _MARGIN_PX) * oversample
        start = (size - kept) // 2
        inner = blurred[start : start + kept, start : start + kept]
        return Sprite.from_fine(np.ascontiguousarray(inner), oversample)
