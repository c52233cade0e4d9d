"""A camera that is set up: region, binning, fixed pattern, and exposures."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dipstream.errors import SourceError
from dipstream.frame import Pixels
from dipstream_simulator.limits import require_between
from dipstream_simulator.sensor import exact as golden
from dipstream_simulator.sensor import fast
from dipstream_simulator.sensor.efficiency import COLOURS, colour_of_pixels
from dipstream_simulator.sensor.maps import FixedPattern, Map, Roi, fixed_pattern
from dipstream_simulator.sensor.sensor import Sensor

__all__ = ["Chip", "Exposed", "Light"]

Light = Sequence[tuple[float, npt.NDArray[np.float32]]]
"""Pairs (wavelength in nm, photons that reach each pixel in the exposure, (height, width))."""

_MOST_E = 1e12
_EXPOSURE = 3  # purpose of these seeds
_WAVELENGTHS_KEPT = 8


@dataclass(frozen=True, slots=True, eq=False)
class Exposed:
    """One exposure, of the chip's `shape`.

    Attributes
    ----------
    dn
        The frame in DN.
    electrons
        float32 e⁻ in each (binned) pixel after the full well and before multiplication, or None
        if they were not asked for. Dark current and clock-induced charge are among them.
    saturated
        bool: well, register or ADC was full, in one of the pixels that were binned; or None.
    """

    dn: Pixels
    electrons: npt.NDArray[np.float32] | None = None
    saturated: npt.NDArray[np.bool_] | None = None


class Chip:
    """A region of a sensor with its binning and its fixed pattern.

    Exposures are pure functions of light, seed and number: they may be taken in any order and
    from several threads.

    Parameters
    ----------
    sensor
        The camera in its mode.
    roi
        (y, x, height, width) in sensor px; None = the whole chip.
    binning
        b × b pixels become one; rows and columns left over are not read.
    shading
        (height, width) float32, the light's fall-off over the region, 1 = none.

    Raises
    ------
    SourceError
        If the region leaves the chip, or it cannot be binned like this.
    """

    def __init__(
        self,
        sensor: Sensor,
        *,
        roi: Roi | None = None,
        binning: int = 1,
        shading: npt.NDArray[np.float32] | None = None,
    ) -> None:
        self.sensor = sensor
        self.roi = _checked_roi(sensor, roi)
        self.binning = _checked_binning(sensor, self.roi, binning)
        self._pattern = fixed_pattern(sensor, self.roi)
        self._shading = _checked_shading(shading, self.roi)
        self._responses: dict[float, Map] = {}
        system_gain = np.float32(1.0 / sensor.gain_e_per_dn)
        side = binning if self.binned_on_chip else 1
        self._scale = _block_mean(system_gain * self._pattern.gain, side)
        self._offset = _block_mean(self._pattern.offset_dn, side)
        self._read_noise = np.sqrt(_block_mean(self._pattern.read_noise_e**2, side))
        self._readout = fast.Readout(
            self._scale, self._scale * self._read_noise, self._offset, sensor.max_dn
        )

    @property
    def pattern(self) -> FixedPattern:
        """The region's fixed pattern, unbinned."""
        return self._pattern

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the frames."""
        return self.roi[2] // self.binning, self.roi[3] // self.binning

    @property
    def binned_on_chip(self) -> bool:
        """Whether binning sums electrons before they are read, rather than DN afterwards."""
        return self.binning > 1 and self.sensor.binning == "on-chip"

    @property
    def max_dn(self) -> int:
        """Largest value of a frame in DN; digital binning sums b² of them."""
        return self.sensor.max_dn * self._summed

    @property
    def dtype(self) -> np.dtype[np.unsignedinteger]:
        """The smallest unsigned container that holds `max_dn`."""
        return np.dtype(np.min_scalar_type(self.max_dn))

    @property
    def bit_depth(self) -> int:
        """Bits that `max_dn` needs: the ADC's, or more after digital binning."""
        return self.max_dn.bit_length()

    @property
    def offset_dn(self) -> float:
        """Mean offset of a frame in DN: the camera's, b² times after digital binning."""
        return self.sensor.offset_dn * self._summed

    @property
    def gain_e_per_dn(self) -> float:
        """Conversion in e⁻/DN, behind the multiplication."""
        return self.sensor.gain_e_per_dn

    @property
    def em_gain(self) -> float:
        """Mean gain of the multiplication; 1 without one."""
        return self.sensor.em_gain

    @property
    def saturation_e(self) -> float:
        """Electrons of one unbinned pixel at which it, the register or the ADC is full."""
        together = self.binning**2 if self.binned_on_chip else 1
        return min(self.sensor.full_well_e, self.sensor.readout_e / together)

    @property
    def mosaic(self) -> str:
        """The colour mosaic as it starts at the region's corner, for instance RGGB; or ""."""
        if not self.sensor.mosaic:
            return ""
        corner = colour_of_pixels(self.sensor.mosaic, (self.roi[0], self.roi[1], 2, 2))
        return "".join(COLOURS[colour] for colour in corner.ravel())

    def row_times_ms(self) -> npt.NDArray[np.float64]:
        """Return when each row of the region starts its exposure, in ms after the first.

        A rolling shutter goes down the chip, or, in sCMOS chips with two halves, from the centre
        line outwards in both at once.
        """
        rows = np.arange(self.roi[0], self.roi[0] + self.roi[2])
        if self.sensor.rolling == "centre-out":
            half = self.sensor.rows // 2
            steps = np.where(rows < half, half - 1 - rows, rows - half)
        elif self.sensor.rolling == "down":
            steps = rows
        else:
            steps = np.zeros_like(rows)
        times_ms: npt.NDArray[np.float64] = (steps - steps.min()) * (self.sensor.row_time_us * 1e-3)
        return times_ms

    def expected(
        self,
        light: Light,
        exposure_ms: float,
        row_light: npt.NDArray[np.float32] | None = None,
    ) -> npt.NDArray[np.float64]:
        """Return the mean electrons of each pixel: everything that comes before the shot noise.

        Photons · QE(λ) · shading · PRNU, the smear of a frame transfer, dark current and
        clock-induced charge.

        Parameters
        ----------
        light
            Photons that reach each pixel, by wavelength, before shading; several if the camera
            sees several channels at once.
        exposure_ms
            Exposure time in ms, ≥ 0.
        row_light
            (height,), relative light of each row: a rolling shutter under light that flickers.

        Returns
        -------
        ndarray
            (height, width) float64 in e⁻, not binned.

        Raises
        ------
        SourceError
            If an array does not fit the region.
        """
        require_between("exposure_ms", exposure_ms, 0.0, 1e9, example=10)
        mean = self._photo_electrons(light, exposure_ms, row_light)
        mean += self._pattern.dark_e_per_s * (exposure_ms * 1e-3) + self.sensor.cic_e
        return mean

    def response(self, wavelength_nm: float) -> Map:
        """Return e⁻ per photon of each pixel: QE(λ) under its filter · shading · PRNU.

        float32, (height, width), or (1, width) where all rows are alike.
        """
        response = self._responses.get(wavelength_nm)
        if response is None:
            response = self._make_response(wavelength_nm)
            if len(self._responses) >= _WAVELENGTHS_KEPT:
                self._responses.clear()
            self._responses[wavelength_nm] = response
        return response

    def expose(
        self,
        light: Light,
        exposure_ms: float,
        *,
        seed: int,
        number: int,
        row_light: npt.NDArray[np.float32] | None = None,
        exact: bool = False,
        threads: int = 1,
        with_electrons: bool = False,
    ) -> Exposed:
        """Take one exposure.

        Parameters
        ----------
        light, exposure_ms, row_light
            As in `expected`.
        seed, number
            Fix the noise: the same pair gives the bit-identical frame, on any number of threads.
        exact
            Use the golden numpy chain; otherwise the fast kernels, whose noise is another sample
            of the same distributions.
        threads
            How many threads the fast kernels may take.
        with_electrons
            Return electrons and saturation as well.

        Raises
        ------
        SourceError
            If an array does not fit the region.
        """
        if exact:
            mean = self.expected(light, exposure_ms, row_light)
            return self._expose_exact(mean, np.random.default_rng([seed, _EXPOSURE, number]))
        prepared = self._fast_mean(light, exposure_ms, row_light)
        return self._expose_fast(prepared, fast.Stream(seed, number, threads), with_electrons)

    def to_electrons(self, dn: Pixels) -> npt.NDArray[np.float32]:
        """Return (DN − offset)/(K·G): photo-electrons, float32, may be negative."""
        factor = np.float32(self.gain_e_per_dn / self.em_gain)
        return (dn.astype(np.float32) - np.float32(self.offset_dn)) * factor

    def _expose_exact(self, mean: npt.NDArray[np.float64], rng: np.random.Generator) -> Exposed:
        sensor = self.sensor
        # No well holds as many, and numpy's Poisson takes no more than 9.2e18.
        electrons = rng.poisson(np.minimum(mean, _MOST_E)).astype(np.float64)
        full = electrons >= sensor.full_well_e
        electrons = np.minimum(electrons, sensor.full_well_e)
        if self.binned_on_chip:
            electrons = golden.bin_sum(electrons, self.binning, np.float64)
            full = golden.bin_any(full, self.binning)
        read = electrons
        if sensor.multiplies:
            amplified = golden.multiply(electrons, sensor, rng)
            full = full | (amplified >= sensor.register_full_well_e)
            read = np.minimum(amplified, sensor.register_full_well_e)
        noise = self._read_noise * rng.standard_normal(read.shape)
        dn = golden.digitise(read, noise, self._scale, self._offset, sensor)
        return self._summed_up(dn, electrons, full)

    def _expose_fast(self, mean: fast.Mean, stream: fast.Stream, with_electrons: bool) -> Exposed:
        sensor = self.sensor
        if not sensor.multiplies and not self.binned_on_chip:
            electrons = np.empty(self.roi[2:], dtype=np.float32) if with_electrons else None
            dn = fast.expose(stream, mean, sensor.full_well_e, self._readout, electrons)
            full = None if electrons is None else electrons >= sensor.full_well_e
            return self._summed_up(dn, electrons, full)
        electrons = fast.draw_electrons(stream, mean, sensor.full_well_e)
        full = electrons >= sensor.full_well_e
        if self.binned_on_chip:
            electrons = golden.bin_sum(electrons, self.binning, np.float32)
            full = golden.bin_any(full, self.binning)
        read = electrons
        if sensor.multiplies:
            read = fast.multiply(stream, electrons, *golden.gamma_law(sensor))
            full |= read >= sensor.register_full_well_e
            np.minimum(read, np.float32(sensor.register_full_well_e), out=read)
        dn = fast.read_out(stream, read, self._readout)
        return self._summed_up(dn, electrons, full) if with_electrons else self._summed_up(dn)

    def _fast_mean(
        self, light: Light, exposure_ms: float, row_light: npt.NDArray[np.float32] | None
    ) -> fast.Mean:
        """Prepare the mean for the kernels; all but the plain case is worked out here."""
        require_between("exposure_ms", exposure_ms, 0.0, 1e9, example=10)
        ones = np.ones(self.roi[2], dtype=np.float32)
        rows = ones if row_light is None else self._checked_rows(row_light)
        dark, cic_e = self._pattern.dark_e_per_s, self.sensor.cic_e
        if len(self._checked_light(light)) == 1 and self.sensor.smear_row_us == 0.0:
            (wavelength_nm, photons), *_ = light
            photons = np.ascontiguousarray(photons, dtype=np.float32)
            response = self.response(wavelength_nm)
            rows = np.ascontiguousarray(rows, dtype=np.float32)
            return fast.Mean(photons, response, rows, dark, exposure_ms * 1e-3, cic_e)
        electrons = self._photo_electrons(light, exposure_ms, row_light).astype(np.float32)
        unity = np.ones((1, self.roi[3]), dtype=np.float32)
        return fast.Mean(electrons, unity, ones, dark, exposure_ms * 1e-3, cic_e)

    def _summed_up(
        self,
        dn: Pixels,
        electrons: npt.NDArray[np.floating] | None = None,
        full: npt.NDArray[np.bool_] | None = None,
    ) -> Exposed:
        """Bin digitally, if that is to be done, and cast."""
        side = self.binning if self._summed > 1 else 1
        binned = golden.bin_sum(dn, side, self.dtype)
        if electrons is None or full is None:
            return Exposed(binned)
        return Exposed(
            binned,
            golden.bin_sum(electrons, side, np.float32),
            golden.bin_any(full | (dn == self.sensor.max_dn), side),
        )

    @property
    def _summed(self) -> int:
        """How many values of the ADC are summed into one."""
        return 1 if self.binned_on_chip else self.binning**2

    def _make_response(self, wavelength_nm: float) -> Map:
        response = self._pattern.prnu * self._quantum_efficiency(wavelength_nm)
        if self._shading is not None:
            response = response * self._shading
        return np.ascontiguousarray(response, dtype=np.float32)

    def _quantum_efficiency(self, wavelength_nm: float) -> Map:
        if not self.sensor.mosaic:
            qe = np.float32(self.sensor.qe_at(wavelength_nm))
            return np.full((1, self.roi[3]), qe, dtype=np.float32)
        by_colour = np.array([self.sensor.qe_at(wavelength_nm, colour) for colour in COLOURS])
        return by_colour.astype(np.float32)[colour_of_pixels(self.sensor.mosaic, self.roi)]

    def _photo_electrons(
        self, light: Light, exposure_ms: float, row_light: npt.NDArray[np.float32] | None
    ) -> npt.NDArray[np.float64]:
        """Mean electrons that light makes, smear included."""
        mean = np.zeros(self.roi[2:], dtype=np.float64)
        for wavelength_nm, photons in self._checked_light(light):
            mean += photons * self.response(wavelength_nm).astype(np.float64)
        if row_light is not None:
            mean *= self._checked_rows(row_light)[:, None]
        mean += self._smear(mean, exposure_ms)
        return mean

    def _smear(
        self, light_e: npt.NDArray[np.float64], exposure_ms: float
    ) -> npt.NDArray[np.float64]:
        """Electrons from shifting the frame under light: (t_row/t_exposure) · column sum."""
        if self.sensor.smear_row_us == 0.0 or exposure_ms == 0.0:
            return np.zeros(light_e.shape[1])
        smear: npt.NDArray[np.float64] = light_e.sum(axis=0)
        return smear * (self.sensor.smear_row_us * 1e-3 / exposure_ms)

    def _checked_light(self, light: Light) -> Light:
        for wavelength_nm, photons in light:
            if photons.shape != self.roi[2:]:
                raise SourceError(
                    f"The simulated camera received light of shape {photons.shape} at "
                    f"{wavelength_nm:g} nm; allowed is its region, {self.roi[2:]}. Render the "
                    "light for the region, before binning"
                )
        return light

    def _checked_rows(self, row_light: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        if row_light.shape != (self.roi[2],):
            raise SourceError(
                f"The simulated camera received row_light of shape {row_light.shape}; allowed is "
                f"one value a row, ({self.roi[2]},). Take one for each time of row_times_ms()"
            )
        return row_light


def _checked_roi(sensor: Sensor, roi: Roi | None) -> Roi:
    if roi is None:
        return 0, 0, sensor.rows, sensor.columns
    y, x, height, width = roi
    inside = y >= 0 and x >= 0 and height >= 1 and width >= 1
    if inside and y + height <= sensor.rows and x + width <= sensor.columns:
        return y, x, height, width
    raise SourceError(
        f"The simulated camera received the region y={y} x={x} height={height} width={width}; "
        f"allowed is a region inside its {sensor.rows} rows and {sensor.columns} columns. "
        "Make it smaller or move it"
    )


def _checked_binning(sensor: Sensor, roi: Roi, binning: int) -> int:
    require_between("binning", binning, 1, min(16, *roi[2:]), example=2)
    if binning > 1 and sensor.mosaic:
        raise SourceError(
            f"The simulated camera received binning={binning} with a {sensor.mosaic} mosaic; "
            "binning would mix its colours. Write binning=1 or take a camera without colours"
        )
    return binning


def _checked_shading(
    shading: npt.NDArray[np.float32] | None, roi: Roi
) -> npt.NDArray[np.float32] | None:
    if shading is not None and shading.shape != roi[2:]:
        raise SourceError(
            f"The simulated camera received shading of shape {shading.shape}; allowed is its "
            f"region, {roi[2:]}. Make the shading for the region, before binning"
        )
    return shading


def _block_mean(values: Map, side: int) -> Map:
    """Mean over blocks, and contiguous; a single row that stands for all stays one."""
    if side == 1:
        return np.ascontiguousarray(values, dtype=np.float32)
    if values.shape[0] == 1:
        values = np.repeat(values, side, axis=0)
    return (golden.bin_sum(values, side, np.float64) / side**2).astype(np.float32)
