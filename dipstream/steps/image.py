"""What steps hand to each other: Image, Mask, Labels.

Each is held in the form in which it was made and shows itself in another when it is asked to: a
corrected image computes its pixels where they are needed, a mask and labels are runs of pixels or
dense arrays. Views are made once and kept; none of them is ever changed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np
import numpy.typing as npt

# Numba comes with the kernels, and takes longer to import than most commands run: those that only
# name these types do without. Each view imports what it is made by.
if TYPE_CHECKING:
    from dipstream.kernels import LabelledRuns, Linear, Runs
    from dipstream.kernels.moments import Moments

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
    _views: dict[str, Any] = field(default_factory=dict, init=False, repr=False)

    def with_estimates(self, **estimates: float) -> Self:
        """Return the same with more estimates."""
        return self._keeping(
            replace(self, estimates=MappingProxyType({**self.estimates, **estimates}))
        )

    def _keeping(self, other: Self) -> Self:
        """Let another of the same content share the views."""
        object.__setattr__(other, "_views", self._views)
        return other


@dataclass(frozen=True, slots=True, eq=False)
class Image(_Plane):
    """Pixels of one channel: (y, x), or (z, y, x) before `project`; any integer or float dtype.

    Attributes
    ----------
    data
        The pixels, or how they follow from raw ones (`Linear`).
    bit_depth
        Bits of the ADC that made the pixels, or None.
    offset_dn, gain_e_per_dn, em_gain
        Offset (DN), conversion (e⁻/DN) and EM gain of the camera, where the source tells them; None
        once the pixels are photo-electrons.
    camera, binning
        The camera's name, and how many of its pixels a side were summed into one, where the source
        tells them; None for files.
    """

    data: "npt.NDArray[Any] | Linear"
    channel: str = "ch0"
    bit_depth: int | None = None
    offset_dn: float | None = None
    gain_e_per_dn: float | None = None
    em_gain: float | None = None
    camera: str | None = None
    binning: int | None = None

    @property
    def pixels(self) -> npt.NDArray[Any]:
        """The pixels as an array."""
        if isinstance(self.data, np.ndarray):
            return self.data
        if "pixels" not in self._views:
            self._views["pixels"] = _read_only(self.data.pixels())
        return cast("npt.NDArray[Any]", self._views["pixels"])

    @property
    def linear(self) -> "Linear":
        """The pixels as a function of raw ones."""
        from dipstream.kernels import Linear  # noqa: PLC0415

        return self.data if isinstance(self.data, Linear) else Linear(self.data)

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and columns; planes before them in a stack."""
        return self.data.shape

    def corner(self, side: int) -> "Image":
        """Return the first rows and columns, at most `side` of each."""
        if isinstance(self.data, np.ndarray):
            return self.with_pixels(self.data[..., :side, :side])
        return self.with_pixels(self.data.corner(side))

    def with_pixels(self, pixels: "npt.NDArray[Any] | Linear") -> "Image":
        """Return an image of the same channel with other pixels."""
        return replace(self, data=pixels)

    def mask(self, data: "npt.NDArray[np.bool_] | Runs") -> "Mask":
        """Return a mask of this image."""
        return Mask(data, pixel_um=self.pixel_um, estimates=self.estimates)


@dataclass(frozen=True, slots=True, eq=False)
class Mask(_Plane):
    """Foreground: bool (y, x), or runs."""

    data: "npt.NDArray[np.bool_] | Runs"

    @property
    def dense(self) -> npt.NDArray[np.bool_]:
        """Bool (y, x)."""
        if isinstance(self.data, np.ndarray):
            return self.data
        if "dense" not in self._views:
            from dipstream.kernels.runs import mask_of_runs  # noqa: PLC0415

            self._views["dense"] = _read_only(mask_of_runs(self.data))
        return cast("npt.NDArray[np.bool_]", self._views["dense"])

    @property
    def runs(self) -> "Runs":
        """Runs of foreground."""
        if not isinstance(self.data, np.ndarray):
            return self.data
        if "runs" not in self._views:
            from dipstream.kernels.runs import runs_of_mask  # noqa: PLC0415

            self._views["runs"] = runs_of_mask(self.data)
        return cast("Runs", self._views["runs"])

    def with_data(self, data: "npt.NDArray[np.bool_] | Runs") -> "Mask":
        """Return a mask with other pixels."""
        return replace(self, data=data)

    def labels(self, data: "npt.NDArray[np.int32] | LabelledRuns") -> "Labels":
        """Return labels of this mask."""
        return Labels(data, pixel_um=self.pixel_um, estimates=self.estimates)


@dataclass(frozen=True, slots=True, eq=False)
class Labels(_Plane):
    """Objects: int32 (y, x), 0 = background, or runs with labels.

    A segmentation numbers its objects 1…n without gaps, in raster order of their first pixels;
    rings keep the numbers of what they lie around, so that some may be missing.
    """

    data: "npt.NDArray[np.int32] | LabelledRuns"

    @property
    def dense(self) -> npt.NDArray[np.int32]:
        """int32 (y, x), 0 = background."""
        if isinstance(self.data, np.ndarray):
            return self.data
        if "dense" not in self._views:
            from dipstream.kernels.runs import labels_of_runs  # noqa: PLC0415

            self._views["dense"] = _read_only(labels_of_runs(self.data))
        return cast("npt.NDArray[np.int32]", self._views["dense"])

    @property
    def runs(self) -> "LabelledRuns":
        """Runs of objects."""
        if not isinstance(self.data, np.ndarray):
            return self.data
        if "runs" not in self._views:
            from dipstream.kernels.runs import runs_of_labels  # noqa: PLC0415

            self._views["runs"] = runs_of_labels(self.data)
        return cast("LabelledRuns", self._views["runs"])

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and columns."""
        return self.data.shape if isinstance(self.data, np.ndarray) else self.data.runs.shape

    @property
    def moments(self) -> "Moments":
        """Area, box and sums of coordinates of each object."""
        if "moments" not in self._views:
            from dipstream.kernels.moments import moments_of_runs  # noqa: PLC0415

            self._views["moments"] = moments_of_runs(self.runs)
        return cast("Moments", self._views["moments"])

    def with_data(self, data: "npt.NDArray[np.int32] | LabelledRuns") -> "Labels":
        """Return labels with other pixels."""
        return replace(self, data=data)

    @property
    def numbers(self) -> npt.NDArray[np.int64]:
        """The labels that are present, ascending: one row of a table each."""
        return self.moments.label

    @property
    def count(self) -> int:
        """Number of objects."""
        return len(self.numbers)


def _read_only(view: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Let nobody change a view: what it is a view of would not change with it."""
    view = view.view()
    view.flags.writeable = False
    return view
