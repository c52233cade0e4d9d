"""A specimen's shapes as sprites: drawn once, blurred at every height that is asked for."""

import math
import threading
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from dipstream_simulator.render.bank import Bank, Shelf, Sprite
from dipstream_simulator.render.blur import Blur, Fineness, odd_fast_length
from dipstream_simulator.specimen.model import Shape

__all__ = ["ShapeSprites"]

_POINT_RAYLEIGHS = 2.0  # what reaches no farther than this is a point: only the blur shows
_POINT = Fineness(rungs=12, per_nyquist=8.0, per_pixel=1, per_disk=24.0)
_BODY = Fineness(rungs=4, per_nyquist=1.0, per_pixel=3, per_disk=8.0)
_DRAWINGS_BYTES = 128 << 20
_RUNG_SPAN = 4096

_Fine = npt.NDArray[np.float32]
_Ids = npt.NDArray[np.int64]


class ShapeSprites:
    """Makes sprites of shapes when they are asked for; safe to share between threads.

    Parameters
    ----------
    shapes
        What the indices mean.
    channels
        How many channels the shapes shine in.
    blur, bank
        The optics, and where sprites are kept.
    """

    def __init__(self, shapes: Sequence[Shape], channels: int, blur: Blur, bank: Bank) -> None:
        self._shapes, self._channels = shapes, channels
        self._blur, self._bank = blur, bank
        self._reach_um = np.full(len(shapes), np.nan)
        self._blur_reach_um: dict[tuple[int, int, int], float] = {}
        self._lock = threading.RLock()
        self._drawings: OrderedDict[tuple[int, int], tuple[_Fine, ...]] = OrderedDict()

    def reach_um(self, which: _Ids) -> npt.NDArray[np.float64]:
        """Return how far each of these shapes reaches from its centroid, (n,) in µm."""
        reach_um = self._reach_um[which]
        missing = np.isnan(reach_um)
        if missing.any():
            for index in np.unique(which[missing]).tolist():
                self._reach_um[index] = self._shapes[index].reach_um
            reach_um = self._reach_um[which]
        return reach_um

    def rungs_per_depth(self, reach_um: npt.NDArray[np.float64]) -> _Ids:
        """Return how closely the heights of shapes of this reach are spaced, (n,)."""
        point = reach_um <= _POINT_RAYLEIGHS * self._blur.rayleigh_um
        return np.where(point, _POINT.rungs, _BODY.rungs).astype(np.int64)

    def blur_reach_um(self, channel: int, rung: _Ids, per_depth: _Ids) -> npt.NDArray[np.float64]:
        """Return how far light is thrown beyond the shapes at these rungs, (n,) in µm."""
        keys, where = np.unique(rung * 64 + per_depth, return_inverse=True)
        reach_um = [self._reach_at(channel, *divmod(key, 64)) for key in keys.tolist()]
        return np.asarray(reach_um, dtype=np.float64)[where]

    def light(self, which: _Ids, channel: int, rung: _Ids, per_depth: _Ids) -> Shelf:
        """Find the blurred light of n shapes, each at its rung.

        The samples are the light of relative brightness 1 that a pixel receives, in µm² of a
        body's mean brightness, or per point.
        """

        def make(i: int) -> Sprite:
            index, rest = divmod(unique[i], _RUNG_SPAN)
            rung_of = rest - _RUNG_SPAN // 2
            return self._draw_light(index, channel, rung_of, int(per_depth[first[i]]))

        keys, first, where = np.unique(
            which * _RUNG_SPAN + rung + _RUNG_SPAN // 2, return_index=True, return_inverse=True
        )
        unique = keys.tolist()
        return _spread(self._bank.shelf([(channel, key) for key in unique], make), where)

    def depth(self, which: _Ids) -> Shelf:
        """Find how deep each sample of n shapes lies, unblurred."""
        keys, where = np.unique(which, return_inverse=True)
        unique = keys.tolist()
        shelf = self._bank.shelf(
            [(-1, key) for key in unique], lambda i: self._draw_depth(unique[i])
        )
        return _spread(shelf, where)

    def _reach_at(self, channel: int, rung: int, per_depth: int) -> float:
        key = (channel, rung, per_depth)
        if key not in self._blur_reach_um:
            height_um = self._blur.height_um(channel, rung, per_depth)
            oversample = self._oversample(channel, height_um, per_depth)
            self._blur_reach_um[key] = self._blur.reach_um(channel, height_um, oversample)
        return self._blur_reach_um[key]

    def _oversample(self, channel: int, height_um: float, per_depth: int) -> int:
        fineness = _POINT if per_depth == _POINT.rungs else _BODY
        return self._blur.oversample(channel, height_um, fineness)

    def _draw_light(self, index: int, channel: int, rung: int, per_depth: int) -> Sprite:
        height_um = self._blur.height_um(channel, rung, per_depth)
        oversample = self._oversample(channel, height_um, per_depth)
        focused = self._oversample(channel, 0.0, per_depth)
        sharp = self._drawing(index, oversample)[channel]
        if oversample != focused:  # a coarser drawing of the same thing holds the same light
            total = float(self._drawing(index, focused)[channel].sum())
            sharp = sharp * np.float32(total / float(sharp.sum() or 1.0))
        margin_um = self._reach_at(channel, rung, per_depth)
        fine = self._centred(index, sharp, oversample, margin_um)
        return Sprite.from_fine(self._blur.apply(fine, channel, height_um, oversample), oversample)

    def _draw_depth(self, index: int) -> Sprite:
        reach_um = self.reach_um(np.array([index]))
        per_depth = int(self.rungs_per_depth(reach_um)[0])
        oversample = max(
            self._oversample(channel, 0.0, per_depth) for channel in range(self._channels)
        )
        side = self._side(float(reach_um[0]))
        half = (side * oversample - 1) // 2
        depth = self._shapes[index].depth(self._blur.pixel_um / oversample, half)
        return Sprite.from_fine(depth, oversample)

    def _drawing(self, index: int, oversample: int) -> tuple[_Fine, ...]:
        """Light per sample in every channel, without blur; the middle sample is the centroid."""
        key = (index, oversample)
        with self._lock:
            if key not in self._drawings:
                step_um = self._blur.pixel_um / oversample
                half = math.ceil(self._shapes[index].reach_um / step_um) + 1
                light = self._shapes[index].light(step_um, half)
                self._drawings[key] = tuple(part * np.float32(step_um**2) for part in light)
                kept = sum(parts[0].nbytes * len(parts) for parts in self._drawings.values())
                while kept > _DRAWINGS_BYTES and len(self._drawings) > 1:
                    _, parts = self._drawings.popitem(last=False)
                    kept -= parts[0].nbytes * len(parts)
            self._drawings.move_to_end(key)
            return self._drawings[key]

    def _centred(self, index: int, sharp: _Fine, oversample: int, margin_um: float) -> _Fine:
        side = self._side(self._shapes[index].reach_um + margin_um)
        size = side * oversample
        fine = np.zeros((size, size), dtype=np.float32)
        start = (size - len(sharp)) // 2
        fine[start : start + len(sharp), start : start + len(sharp)] = sharp
        return fine

    def _side(self, reach_um: float) -> int:
        """Blocks along an edge: an empty one is left on each side for the neighbour's phase."""
        side = 2 * (math.ceil(reach_um / self._blur.pixel_um + 0.5) + 1) + 1
        return odd_fast_length(side)


def _spread(shelf: Shelf, where: npt.NDArray[np.intp]) -> Shelf:
    """Repeat a shelf of unique sprites for each object."""
    return Shelf(shelf.buffer, shelf.offset[where], shelf.side[where], shelf.oversample[where])
