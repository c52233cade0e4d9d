"""How bodies get out of each other's way."""

import math

import numpy as np
import numpy.typing as npt
from scipy import spatial

from dipstream_simulator.specimen.atlas import DIRECTIONS, Atlas

__all__ = ["Room"]

_SHARE = 0.4  # of an overlap, that each of the two gives way by at once
_NOTHING_UM = 1e-3
_PASSES_BETWEEN = 8

_Numbers = npt.NDArray[np.float64]


class Room:
    """The room that n bodies take, whatever their places.

    Two bodies are clear of each other if a line across their connection separates them, which
    is known from how far each extends into that direction.

    Parameters
    ----------
    atlas
        The forms' extents.
    form, size
        (n,): which form, and its diameter relative to the form's own.
    clearance_um
        (n,): how far others are kept from the outline, in µm.
    apart
        bool (n,): False for bodies that lie over or under others.
    """

    def __init__(
        self,
        atlas: Atlas,
        form: npt.NDArray[np.int64],
        size: _Numbers,
        clearance_um: _Numbers,
        apart: npt.NDArray[np.bool_],
    ) -> None:
        self._support_um = atlas.support_um
        self._form, self._size = form, size
        self._clearance_um, self._apart = clearance_um, apart
        self._widest_um = atlas.support_um.max(axis=1)[form] * size + clearance_um

    def settle(
        self,
        position_um: _Numbers,
        low_um: _Numbers,
        high_um: _Numbers,
        *,
        passes: int,
        most_um: float,
    ) -> _Numbers:
        """Return the places after the bodies have given way.

        Parameters
        ----------
        position_um
            (n, 2) centroids (y, x), in µm.
        low_um, high_um
            (n, 2) walls for the centroids.
        passes
            How often each one gives way, at most.
        most_um
            How far along y and x each time, in µm.
        """
        if len(position_um) < 2 or most_um <= 0.0:
            return position_um
        # The neighbours are looked up again only when they can have changed.
        between = min(passes, _PASSES_BETWEEN)
        margin_um = min(2.0 * math.sqrt(2.0) * between * most_um, float(self._widest_um.max()))
        for done in range(passes):
            if done % between == 0:
                pairs = self._pairs(position_um, margin_um)
            push_um = self._push(position_um, pairs).clip(-most_um, most_um)
            if not push_um.any():
                break
            position_um = np.clip(position_um + push_um, low_um, high_um)
        return position_um

    def _pairs(self, position_um: _Numbers, margin_um: float) -> npt.NDArray[np.intp]:
        widest_um = self._widest_um
        farthest_um = 2.0 * float(widest_um.max()) + margin_um
        tree = spatial.cKDTree(position_um)
        pairs = tree.query_pairs(farthest_um, output_type="ndarray")
        first, second = pairs[:, 0], pairs[:, 1]
        apart_um = position_um[second] - position_um[first]
        near_um = widest_um[first] + widest_um[second] + margin_um
        near = np.hypot(apart_um[:, 0], apart_um[:, 1]) < near_um
        pairs = pairs[near & self._apart[first] & self._apart[second]]
        return np.asarray(pairs, dtype=np.intp)

    def _push(self, position_um: _Numbers, pairs: npt.NDArray[np.intp]) -> _Numbers:
        """Displacement (n, 2) in µm that takes most of the overlaps away."""
        first, second = pairs[:, 0], pairs[:, 1]
        apart_um = position_um[second] - position_um[first]
        distance_um = np.maximum(np.hypot(apart_um[:, 0], apart_um[:, 1]), 1e-9)
        turn = np.arctan2(apart_um[:, 0], apart_um[:, 1]) * (DIRECTIONS / (2.0 * np.pi))
        direction = np.rint(turn).astype(np.int64) % DIRECTIONS
        opposite = (direction + DIRECTIONS // 2) % DIRECTIONS
        contact_um = self._extent(first, direction) + self._extent(second, opposite)
        overlap_um = np.clip(contact_um - distance_um, 0.0, None)
        each_um = (_SHARE * overlap_um / distance_um)[:, None] * apart_um
        n = len(position_um)
        push_um = np.stack(
            [
                np.bincount(second, each_um[:, axis], n) - np.bincount(first, each_um[:, axis], n)
                for axis in (0, 1)
            ],
            axis=1,
        )
        return np.where(np.abs(push_um) < _NOTHING_UM, 0.0, push_um)

    def _extent(self, which: npt.NDArray[np.intp], direction: npt.NDArray[np.int64]) -> _Numbers:
        support_um = self._support_um[self._form[which], direction]
        return support_um * self._size[which] + self._clearance_um[which]
