"""What steps hand to each other: Image, Mask, Labels.

Each offers its pixels as one dense array today; other views (runs, histograms) are added as
properties, so that steps written against these types stay as they are.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

__all__ = ["Image", "Labels", "Mask"]

_NOTHING: Mapping[str, float] = MappingProxyType({})


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Plane:
    """What Image, Mask and Labels share.

    Attributes
    ----------
    pixel_um
        Side of a pixel in µm, or None if it is not known.
    estimates
        Numbers that steps found out on the way, such as ``threshold``; they are kept with the
        image set.
    """

    pixel_um: float | None = None
    estimates: Mapping[str, float] = field(default_factory=lambda: _NOTHING)

    def with_estimates(self, **estimates: float) -> Self:
        """Return the same with more estimates."""
        return replace(self, estimates=MappingProxyType({**self.estimates, **estimates}))


@dataclass(frozen=True, slots=True, eq=False)
class Image(_Plane):
    """Pixels of one channel: (y, x), or (z, y, x) before `project`; any integer or float dtype.

    Attributes
    ----------
    bit_depth
        Bits of the ADC that made the pixels, or None.
    offset_dn, gain_e_per_dn, em_gain
        Offset (DN), conversion (e⁻/DN) and EM gain of the camera, where the source tells them; None
        once the pixels are photo-electrons.
    camera, binning
        The camera's name, and how many of its pixels a side were summed into one, where the source
        tells them; None for files.
    """

    pixels: npt.NDArray[Any]
    channel: str = "ch0"
    bit_depth: int | None = None
    offset_dn: float | None = None
    gain_e_per_dn: float | None = None
    em_gain: float | None = None
    camera: str | None = None
    binning: int | None = None

    def with_pixels(self, pixels: npt.NDArray[Any]) -> "Image":
        """Return an image of the same channel with other pixels."""
        return replace(self, pixels=pixels)

    def mask(self, dense: npt.NDArray[np.bool_]) -> "Mask":
        """Return a mask of this image."""
        return Mask(dense, pixel_um=self.pixel_um, estimates=self.estimates)


@dataclass(frozen=True, slots=True, eq=False)
class Mask(_Plane):
    """Foreground: bool (y, x)."""

    dense: npt.NDArray[np.bool_]

    def with_dense(self, dense: npt.NDArray[np.bool_]) -> "Mask":
        """Return a mask with other pixels."""
        return replace(self, dense=dense)

    def labels(self, dense: npt.NDArray[np.int32]) -> "Labels":
        """Return labels of this mask."""
        return Labels(dense, pixel_um=self.pixel_um, estimates=self.estimates)


@dataclass(frozen=True, slots=True, eq=False)
class Labels(_Plane):
    """Objects: int32 (y, x), 0 = background.

    A segmentation numbers its objects 1…n without gaps, in raster order of their first pixels;
    rings keep the numbers of what they lie around, so that some may be missing.
    """

    dense: npt.NDArray[np.int32]

    def with_dense(self, dense: npt.NDArray[np.int32]) -> "Labels":
        """Return labels with other pixels."""
        return replace(self, dense=dense)

    @property
    def numbers(self) -> npt.NDArray[np.int64]:
        """The labels that are present, ascending: one row of a table each."""
        present = np.bincount(self.dense.ravel()) > 0
        present[0] = False
        return np.flatnonzero(present).astype(np.int64)

    @property
    def count(self) -> int:
        """Number of objects."""
        return len(self.numbers)
