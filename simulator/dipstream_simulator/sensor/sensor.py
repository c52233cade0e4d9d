"""One camera in one readout mode, as numbers."""

from dataclasses import dataclass, replace

import numpy as np

from dipstream.errors import SourceError
from dipstream_simulator.limits import require_between
from dipstream_simulator.sensor.efficiency import (
    COLOURS,
    MOSAICS,
    Curve,
    relative_at,
    require_curve,
)

__all__ = ["BINNINGS", "KINDS", "ROLLINGS", "Sensor", "spanning_gain_e_per_dn"]

KINDS = ("sCMOS", "CMOS", "CCD", "EMCCD", "PMT")
BINNINGS = ("digital", "on-chip")
ROLLINGS = ("", "centre-out", "down")

_LIMITS: tuple[tuple[str, float, float, float], ...] = (
    ("rows", 1, 65_536, 2048),
    ("columns", 1, 65_536, 2048),
    ("pixel_um", 0.1, 1000.0, 6.5),
    ("qe", 0.0, 1.0, 0.8),
    ("qe_nm", 100.0, 2000.0, 550),
    ("read_noise_e", 0.0, 1e6, 1.5),
    ("full_well_e", 1.0, 1e8, 8000),
    ("dark_e_per_s", 0.0, 1e6, 0.1),
    ("dark_reference_c", -273.0, 100.0, 20),
    ("dark_doubling_k", 0.1, 100.0, 7),
    ("temperature_c", -273.0, 100.0, 20),
    ("prnu", 0.0, 0.3, 0.005),
    ("gain_variation", 0.0, 0.3, 0.01),
    ("offset_variation_dn", 0.0, 10_000.0, 1),
    ("dark_variation", 0.0, 10.0, 0.3),
    ("hot_pixel_fraction", 0.0, 1.0, 1e-5),
    ("hot_pixel_e_per_s", 0.0, 1e6, 50),
    ("em_gain", 1.0, 1e8, 300),
    ("register_full_well_e", 1.0, 1e12, 730_000),
    ("cic_e", 0.0, 1000.0, 0.002),
    ("excess_noise", 1.0, 100.0, 1.2),
    ("row_time_us", 0.0, 1e6, 10),
    ("smear_row_us", 0.0, 1e6, 1),
    ("serial", 0, 2**53, 1),
    ("max_fps", 0.0, 1e6, 100),
)


@dataclass(frozen=True, slots=True)
class Sensor:
    """One camera in one readout mode: everything that `Chip` does with light.

    The defaults are a plain CMOS camera without a fixed pattern.

    Attributes
    ----------
    qe
        Quantum efficiency at `qe_nm`, e⁻ per photon, 0 to 1.
    read_noise_e
        Read noise σ_r in e⁻: standard deviation, and root mean square over the pixels. For an
        EMCCD or PMT in e⁻ behind the multiplication.
    gain_e_per_dn
        Conversion in e⁻/DN, the inverse of EMVA's system gain K; behind the multiplication.
    offset_dn
        What the camera adds so that noise around zero is not cut off, in DN.
    bits
        Bits of the ADC, 1 to 16; values end at 2^bits − 1.
    full_well_e
        Electrons at which a pixel is full.
    dark_e_per_s
        Dark current in e⁻ per pixel and second at `dark_reference_c`.
    kind
        One of `KINDS`. Only EMCCD and PMT multiply electrons.
    rows, columns, pixel_um
        The chip's size in px, and the side of its pixels in µm.
    qe_nm, qe_curve
        Wavelength of the quoted `qe`, and the relative curve through it (() = flat).
    read_noise_median_e
        Median of the read noise over the pixels, in e⁻; None = all pixels alike.
    dark_reference_c, dark_doubling_k, temperature_c
        Temperature of the quoted dark current, kelvins that double it, and the chip's own
        temperature in °C.
    prnu, gain_variation, dark_variation
        Standard deviation over the pixels of response, gain and dark current, relative.
    offset_variation_dn
        Standard deviation over the pixels of the offset, in DN.
    hot_pixel_fraction, hot_pixel_e_per_s
        Share of hot pixels, and the dark current they have more, at `dark_reference_c`.
    em_gain, register_full_well_e, cic_e
        Mean gain G of the multiplication (1 = switched off), electrons at which its register is
        full, and clock-induced charge in e⁻ per pixel and frame.
    excess_noise
        Excess noise factor F² of a PMT's multiplication (an EMCCD's follows from its physics).
    row_time_us, rolling
        Time from row to row of a rolling shutter, and its order, one of `ROLLINGS`
        ("" = global shutter).
    smear_row_us
        Time a frame-transfer CCD takes to shift one row under light; 0 = none.
    binning
        Where binning sums, one of `BINNINGS`.
    mosaic, colour_filters
        "" or one of `MOSAICS`, and the filters' transmissions as curves R, G, B.
    serial
        Serial number: the seed of the fixed pattern.
    max_fps
        Frames per second of the whole chip in this mode; 0 = not known.
    name, mode
        The camera's and the mode's name.

    Raises
    ------
    SourceError
        If such a camera cannot exist.
    """

    qe: float = 0.8
    read_noise_e: float = 1.5
    gain_e_per_dn: float = 2.0
    offset_dn: float = 100.0
    bits: int = 12
    full_well_e: float = 8000.0
    dark_e_per_s: float = 0.1
    kind: str = "CMOS"
    rows: int = 2048
    columns: int = 2048
    pixel_um: float = 6.5
    qe_nm: float = 550.0
    qe_curve: Curve = ()
    read_noise_median_e: float | None = None
    dark_reference_c: float = 20.0
    dark_doubling_k: float = 7.0
    temperature_c: float = 20.0
    prnu: float = 0.0
    gain_variation: float = 0.0
    offset_variation_dn: float = 0.0
    dark_variation: float = 0.0
    hot_pixel_fraction: float = 0.0
    hot_pixel_e_per_s: float = 0.0
    em_gain: float = 1.0
    register_full_well_e: float = 1e12
    cic_e: float = 0.0
    excess_noise: float = 1.0
    row_time_us: float = 0.0
    rolling: str = ""
    smear_row_us: float = 0.0
    binning: str = "digital"
    mosaic: str = ""
    colour_filters: tuple[Curve, Curve, Curve] = ((), (), ())
    serial: int = 1
    max_fps: float = 0.0
    name: str = "generic"
    mode: str = "standard"

    def __post_init__(self) -> None:
        _require_range(self.bits, self.offset_dn)
        for name, low, high, example in _LIMITS:
            require_between(name, getattr(self, name), low, high, example=example)
        require_between("gain_e_per_dn", self.gain_e_per_dn, 1e-6, 1e6, example=2)
        _require_one_of("kind", self.kind, KINDS)
        _require_one_of("binning", self.binning, BINNINGS)
        _require_one_of("rolling", self.rolling, ROLLINGS)
        _require_one_of("mosaic", self.mosaic, ("", *MOSAICS))
        require_curve("qe_curve", self.qe_curve)
        for curve in self.colour_filters:
            require_curve("colour_filters", curve)
        self._require_consistent()

    @property
    def max_dn(self) -> int:
        """Largest value of the ADC, 2^bits − 1, in DN."""
        return int(2**self.bits - 1)

    @property
    def dtype(self) -> np.dtype[np.unsignedinteger]:
        """The smallest unsigned container that holds `max_dn`."""
        return np.dtype(np.min_scalar_type(self.max_dn))

    @property
    def multiplies(self) -> bool:
        """Whether electrons are multiplied before they are read: an EMCCD or PMT with gain."""
        return self.kind in {"EMCCD", "PMT"} and self.em_gain > 1.0

    @property
    def noise_factor(self) -> float:
        """Excess noise factor F² of the multiplication; 1 without one.

        An EMCCD's tends to 2 at high gain (Robbins & Hadwen 2003, IEEE Trans. Electron Devices
        50:1227), which is what the gamma law of `Chip` has at every gain.
        """
        if not self.multiplies:
            return 1.0
        return 2.0 if self.kind == "EMCCD" else self.excess_noise

    @property
    def saturation_e(self) -> float:
        """Electrons of a pixel, before multiplication, at which something is full.

        The smallest of the pixel's full well, the register's, and what the ADC can show.
        """
        return min(self.full_well_e, self.readout_e)

    @property
    def readout_e(self) -> float:
        """Electrons, before multiplication, at which the register or the ADC is full."""
        return min(self._register_e, self._adc_e)

    @property
    def saturates(self) -> str:
        """What is full first: "well", "register" or "ADC"."""
        limits = {"well": self.full_well_e, "register": self._register_e, "ADC": self._adc_e}
        return min(limits, key=lambda which: limits[which])

    @property
    def dark_now_e_per_s(self) -> float:
        """Dark current at `temperature_c`: D_ref · 2^((T − T_ref)/T_d), in e⁻ per pixel and s.

        It doubles every few kelvins (Janesick 2001, *Scientific Charge-Coupled Devices*).
        """
        return self.dark_e_per_s * self.dark_factor

    @property
    def dark_factor(self) -> float:
        """Dark current at `temperature_c`, relative to `dark_reference_c`."""
        return float(2.0 ** ((self.temperature_c - self.dark_reference_c) / self.dark_doubling_k))

    def qe_at(self, wavelength_nm: float, colour: str = "") -> float:
        """Return the quantum efficiency at a wavelength, e⁻ per photon.

        Parameters
        ----------
        wavelength_nm
            Of the light, in nm. At `qe_nm` the bare chip has exactly `qe`.
        colour
            "R", "G" or "B": under this filter of the mosaic; "" = the bare chip.

        Raises
        ------
        SourceError
            If the wavelength or the colour is none.
        """
        require_between("wavelength_nm", wavelength_nm, 100.0, 2000.0, example=525)
        _require_one_of("colour", colour, ("", *COLOURS))
        shape = relative_at(self.qe_curve, wavelength_nm) / relative_at(self.qe_curve, self.qe_nm)
        passed = 1.0
        if colour and self.mosaic:
            passed = relative_at(self.colour_filters[COLOURS.index(colour)], wavelength_nm)
        return min(1.0, self.qe * shape * passed)

    def with_bits(self, bits: int) -> "Sensor":
        """Return this camera with another ADC over the same analogue range.

        K, the offset and its variation scale with 2^bits.
        """
        steps = 2.0 ** (bits - self.bits)
        return replace(
            self,
            bits=bits,
            gain_e_per_dn=self.gain_e_per_dn / steps,
            offset_dn=self.offset_dn * steps,
            offset_variation_dn=self.offset_variation_dn * steps,
        )

    @property
    def _adc_e(self) -> float:
        return (self.max_dn - self.offset_dn) * self.gain_e_per_dn / self.em_gain

    @property
    def _register_e(self) -> float:
        return self.register_full_well_e / self.em_gain

    def _require_consistent(self) -> None:
        if self.em_gain > 1.0 and self.kind not in {"EMCCD", "PMT"}:
            raise SourceError(
                f"The simulated camera received em_gain={self.em_gain:g} for a {self.kind}; only "
                "an EMCCD or a PMT multiplies electrons. Write em_gain=1 or choose another camera"
            )
        median_e = self.read_noise_median_e
        if median_e is not None and not 0.0 < median_e <= self.read_noise_e:
            raise SourceError(
                f"The simulated camera received read_noise_median_e={median_e:g} with "
                f"read_noise_e={self.read_noise_e:g}; the median of the pixels' read noise lies "
                "above 0 and at most at its root mean square. Lower read_noise_median_e"
            )
        if self.qe_curve and not relative_at(self.qe_curve, self.qe_nm):
            raise SourceError(
                f"The simulated camera received a qe_curve that is 0 at qe_nm={self.qe_nm:g}, so "
                "it cannot pass through the quoted qe. Move qe_nm to where the chip sees light"
            )


def spanning_gain_e_per_dn(full_well_e: float, bits: int, offset_dn: float) -> float:
    """Return the gain in e⁻/DN at which a full pixel reads the ADC's largest value.

    Raises
    ------
    SourceError
        If such an ADC cannot exist, or the offset alone fills it.
    """
    _require_range(bits, offset_dn)
    return full_well_e / (2.0**bits - 1.0 - offset_dn)


def _require_one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        listed = ", ".join(repr(word) for word in allowed)
        raise SourceError(
            f"The simulated camera received {name}={value!r}; allowed are {listed}. Write one of "
            "them"
        )


def _require_range(bits: int, offset_dn: float) -> None:
    require_between("bits", bits, 1, 16, example=12)
    max_dn = 2**bits - 1
    if not 0 <= offset_dn < max_dn:
        raise SourceError(
            f"The simulated camera received offset_dn={offset_dn:g} with bits={bits}; "
            f"allowed is an offset from 0 to below {max_dn}, the ADC's largest value. "
            "Lower offset_dn or raise bits"
        )
