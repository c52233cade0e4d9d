"""How finely to draw, at which heights, and what the optics make of a drawing."""

import math
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt
from scipy import fft

from dipstream_simulator.optics import Objective
from dipstream_simulator.specimen.model import Channel

__all__ = ["Blur", "Fineness", "Optics", "odd_fast_length"]

_FARTHEST_BLUR_UM = 25.0  # radius of the defocused disk beyond which heights make no difference
_KEPT_BYTES = 128 << 20  # of point spread functions, and as much of their transforms

_Fine = npt.NDArray[np.float32]
_Numbers = npt.NDArray[np.float64]
_Bins = npt.NDArray[np.int64]
_Key = TypeVar("_Key")
_Array = TypeVar("_Array", _Fine, npt.NDArray[np.complex64])


class Optics(Protocol):
    """What the renderer asks of a microscope."""

    @property
    def objective(self) -> Objective:
        """The objective."""
        ...

    def psf(
        self, emission_nm: float, excitation_nm: float, pixel_um: float, z_um: float = 0.0
    ) -> npt.NDArray[np.float64]:
        """Return the image of a point `z_um` above the plane in focus, away from the lens.

        (k, k), k odd, centred; each value is the integral over a square of side `pixel_um`, and
        the sum is the share of the light that is kept.
        """
        ...


@dataclass(frozen=True, slots=True)
class Fineness:
    """How finely a kind of thing is drawn.

    Attributes
    ----------
    rungs
        Heights within a depth of field.
    per_nyquist, per_pixel
        Fine samples within a Nyquist distance, and at least within a pixel, near the focus.
    per_disk
        Fine samples along the radius of a defocused disk: what is blurred needs fewer.
    """

    rungs: int
    per_nyquist: float
    per_pixel: int
    per_disk: float


class Blur:
    """The optics' blur at a ladder of heights; safe to share between threads.

    The rungs lie closely around the focus, where the image changes within a fraction of the
    depth of field λn/NA² (Born & Wolf, §8.8), and ever wider apart away from it, where it changes
    with the relative defocus: height = depth · sinh(rung / rungs per depth).

    Parameters
    ----------
    optics
        The microscope.
    channels
        Fluorophores, in the order of the specimen.
    pixel_um
        Side of a pixel in the object, in µm.
    """

    def __init__(self, optics: Optics, channels: tuple[Channel, ...], pixel_um: float) -> None:
        self.pixel_um = pixel_um
        self._optics, self._channels = optics, channels
        objective = optics.objective
        na, index = objective.na, objective.immersion_index
        self._tangent = na / math.sqrt(index**2 - na**2)
        self._depth_um = [channel.emission_nm * 1e-3 * index / na**2 for channel in channels]
        self._nyquist_um = [objective.nyquist_um(channel.emission_nm) for channel in channels]
        self.rayleigh_um = min(objective.rayleigh_um(channel.emission_nm) for channel in channels)
        self._lock = threading.RLock()
        self._kernels: OrderedDict[tuple[float, ...], _Fine] = OrderedDict()
        self._transfers: OrderedDict[tuple[float, ...], npt.NDArray[np.complex64]] = OrderedDict()

    def rungs(
        self, height_um: _Numbers, channel: int, per_depth: int | _Bins
    ) -> tuple[_Bins, _Numbers, _Numbers]:
        """Find the rung below each height, and what the two neighbours weigh.

        Parameters
        ----------
        height_um
            (n,) float64 above the plane in focus, in µm.
        channel
            Index of the channel.
        per_depth
            Rungs within a depth of field, one number or (n,).

        Returns
        -------
        rung, weight, next_weight
            (n,) int64, and (n,) float64 for it and the rung above; a linear interpolation, so
            that light is conserved.
        """
        farthest_um = _FARTHEST_BLUR_UM / self._tangent
        depth = np.clip(height_um, -farthest_um, farthest_um) / self._depth_um[channel]
        rung = np.floor(np.arcsinh(depth) * per_depth)
        low, high = np.sinh(rung / per_depth), np.sinh((rung + 1) / per_depth)
        next_weight = np.clip((depth - low) / (high - low), 0.0, 1.0)
        return rung.astype(np.int64), 1.0 - next_weight, next_weight

    def height_um(self, channel: int, rung: int, per_depth: int) -> float:
        """Height of a rung above the plane in focus, in µm."""
        return self._depth_um[channel] * math.sinh(rung / per_depth)

    def oversample(self, channel: int, height_um: float, fineness: Fineness) -> int:
        """How many fine samples along a pixel resolve what the optics resolve; odd."""
        step_um = self._nyquist_um[channel] / fineness.per_nyquist
        disk_step_um = abs(height_um) * self._tangent / fineness.per_disk
        least = fineness.per_pixel
        if disk_step_um > step_um:
            step_um, least = disk_step_um, 1
        # A whole number of steps a pixel, less a hair: 3.0000001 is 3.
        return max(least, 2 * math.ceil((self.pixel_um / step_um - 1.0) / 2.0 - 1e-6) + 1)

    def reach_um(self, channel: int, height_um: float, oversample: int) -> float:
        """How far the blur throws light, in µm, along an axis."""
        kernel = self._kernel(channel, height_um, oversample)
        return (len(kernel) // 2) * self.pixel_um / oversample

    def apply(self, fine: _Fine, channel: int, height_um: float, oversample: int) -> _Fine:
        """Blur a fine drawing and sum it over one pixel's area around each fine sample.

        Parameters
        ----------
        fine
            float32, square, with a margin of `reach_um` and half a pixel around what shines.
        channel, height_um, oversample
            Which blur; `oversample` is the number of samples along a pixel, odd.

        Returns
        -------
        ndarray
            As `fine`: light that a pixel centred on each sample receives, if `fine` is per sample.
        """
        transfer = self._transfer(channel, height_um, oversample, len(fine))
        blurred = fft.irfft2(fft.rfft2(fine) * transfer, s=fine.shape, overwrite_x=True)
        return np.asarray(np.maximum(blurred, 0.0, out=blurred), dtype=np.float32)

    def _kernel(self, channel: int, height_um: float, oversample: int) -> _Fine:
        key = (channel, height_um, oversample)
        with self._lock:
            if key not in self._kernels:
                made = self._optics.psf(
                    self._channels[channel].emission_nm,
                    self._channels[channel].excitation_nm,
                    self.pixel_um / oversample,
                    height_um,
                )
                _remember(self._kernels, key, made.astype(np.float32))
            self._kernels.move_to_end(key)
            return self._kernels[key]

    def _transfer(
        self, channel: int, height_um: float, oversample: int, size: int
    ) -> npt.NDArray[np.complex64]:
        key = (channel, height_um, oversample, size)
        with self._lock:
            if key not in self._transfers:
                kernel = self._kernel(channel, height_um, oversample)
                half = len(kernel) // 2
                padded = np.zeros((size, size), dtype=np.float32)
                padded[: len(kernel), : len(kernel)] = kernel
                spectrum = fft.rfft2(np.roll(padded, (-half, -half), axis=(0, 1)))
                box_y = _box(fft.fftfreq(size), oversample)[:, None]
                box_x = _box(fft.rfftfreq(size), oversample)
                _remember(self._transfers, key, (spectrum * box_y * box_x).astype(np.complex64))
            self._transfers.move_to_end(key)
            return self._transfers[key]


def odd_fast_length(least: int) -> int:
    """Return the smallest odd number ≥ `least` whose Fourier transform is quick."""
    length = least | 1
    while True:
        rest = length
        for factor in (3, 5, 7, 11, 13):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return length
        length += 2


def _box(frequency: npt.NDArray[np.floating], width: int) -> _Numbers:
    """Transfer function of a sum over `width` (odd) samples, in cycles a sample."""
    steps = np.arange(-(width // 2), width // 2 + 1)
    return np.asarray(np.cos(2.0 * np.pi * np.outer(frequency, steps)).sum(axis=1))


def _remember(kept: OrderedDict[_Key, _Array], key: _Key, value: _Array) -> None:
    kept[key] = value
    total = sum(array.nbytes for array in kept.values())
    while total > _KEPT_BYTES and len(kept) > 1:
        total -= kept.popitem(last=False)[1].nbytes
