"""The whole calibration: from a source of flat frames to the numbers of its camera."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from dipstream.calibrate.dark import Dark, find_dark
from dipstream.calibrate.flats import FlatSeries, read_flats
from dipstream.calibrate.linearity import Linearity, Unknown, measure_linearity
from dipstream.calibrate.measured import Measured
from dipstream.calibrate.pairs import Pair, choose_pairs, count_levels
from dipstream.calibrate.transfer import (
    QUANTISATION_DN2,
    Line,
    NoiseFloor,
    Saturation,
    fit_line,
    noise_floor,
    require_noise,
    saturation,
)
from dipstream.errors import SourceError
from dipstream.frame import Segment
from dipstream.source import FlatSource, Source, SourceEvent

__all__ = ["Calibration", "calibrate", "calibrate_series"]

ExcessFrom: TypeAlias = Literal["given", "source", "assumed", "none"]

_FEWEST_LEVELS = 10
_REGISTER_EXCESS = 2.0
_DEPTHS = (8, 9, 10, 11, 12, 13, 14, 15, 16)


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """What was measured of one channel's camera.

    Attributes
    ----------
    channel, segment
        Whose it is: shape, type, EM gain of the frames.
    bit_depth
        Bits of the ADC: told by the source, or by where the values end; None if neither says.
    offset_dn
        Mean without light, in DN.
    gain_e_per_dn
        e⁻/DN at the output of the sensor, 1/K. With EM gain G the slope of the transfer curve is
        K·G·F²; both are taken out.
    excess_noise, excess_noise_from
        F², and who says so: ``given`` by the caller, ``source``, or ``assumed``: 2 for any
        multiplication, since nobody says. ``none``: no EM gain, F² = 1.
    read_noise_e
        rms over the pixels of the noise in time without light, rounding taken out, in e⁻ at the
        output (before division by an EM gain; with one, of the core without clock-induced charge).
    saturation_e
        EMVA's saturation capacity, from the level of the largest variance; None if not reached.
    full_well_e
        Signal at which every pixel is full, from the levels beyond saturation; without such
        levels `saturation_e`. If the ADC ends before the pixel does, it is the ADC's.
    linearity
        EMVA's linearity error, or why it is not known.
    adc_limited
        The ADC's largest value ends the range, not the pixel.
    problems
        What the source warned of, and the frames that were left out, a sentence each.
    """

    channel: str
    segment: Segment
    bit_depth: int | None
    offset_dn: Measured
    gain_e_per_dn: Measured
    excess_noise: float
    excess_noise_from: ExcessFrom
    read_noise_e: Measured
    saturation_e: Measured | None
    full_well_e: Measured | None
    linearity: Linearity | Unknown
    adc_limited: bool
    pairs: tuple[Pair, ...]
    levels: int
    dark: Dark
    line: Line
    floor: NoiseFloor
    saturation: Saturation
    problems: tuple[str, ...]

    @property
    def linearity_error_percent(self) -> Measured | None:
        """EMVA's linearity error in percent, where it is known."""
        return None if isinstance(self.linearity, Unknown) else self.linearity.error_percent

    @property
    def means_dn(self) -> npt.NDArray[np.float64]:
        """float64 (pairs,): the mean of each pair, in DN."""
        return np.array([pair.stats.mean_dn for pair in self.pairs])

    @property
    def variances_dn2(self) -> npt.NDArray[np.float64]:
        """float64 (pairs,): the variance in time of each pair, in DN²."""
        return np.array([pair.stats.variance_dn2 for pair in self.pairs])


def calibrate(
    source: Source,
    *,
    levels: int = 50,
    channel: str | None = None,
    offset_dn: float | None = None,
    excess_noise: float | None = None,
    frames: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[Calibration]:
    """Calibrate the camera behind a source that is entered; one result a channel.

    Parameters
    ----------
    source
        A source that dims its own light (`dipstream.source.FlatSource`), or any other whose frames
        are flat pairs: the two frames of a pair follow each other, levels come in any order.
    levels
        How many light levels to ask for, where the source dims its own light; at least 10.
    channel
        Only this channel; None calibrates each by itself.
    offset_dn
        The camera's offset in DN, for series without a dark pair.
    excess_noise
        F² of the multiplication. None: what the source says; if it does not and there is an EM
        gain, 2 is assumed, the limit of an EMCCD's register at high gain (Robbins and Hadwen, IEEE
        Trans. Electron Devices 50 (2003) 1227), with a warning; 1 without a multiplication.
    frames
        Stop after this many frames.
    progress
        Called with the number of frames read so far.

    Raises
    ------
    SourceError
        If the frames do not make a calibration; the sentence says why and what to do.
    """
    heard: list[str] = []

    def hear(event: SourceEvent) -> None:
        if event.kind in ("warning", "degraded"):
            heard.append(event.message)

    source.listen(hear)
    told = isinstance(source, FlatSource)
    if isinstance(source, FlatSource):
        if levels < _FEWEST_LEVELS:
            raise SourceError(
                f"received {levels} light levels; a calibration needs at least {_FEWEST_LEVELS}, "
                "from dark to beyond saturation. Leave --levels out for 50"
            )
        stream = source.flats(levels)
    else:
        if frames is None and source.info.live and source.info.frames is None:
            raise SourceError(
                f"{source.info.name} goes on without end; say with --frames after how many frames "
                "the series is complete"
            )
        stream = source.frames()  # type: ignore[assignment]
    series, problems = read_flats(
        stream, channel=channel, told_levels=told, limit=frames, progress=progress
    )
    source.stop()
    shared = [*dict.fromkeys(heard), *problems]
    return [
        calibrate_series(
            one,
            offset_dn=offset_dn,
            excess_noise=excess_noise,
            source_excess_noise=source.info.excess_noise,
            told=told,
            problems=shared,
        )
        for one in series.values()
    ]


def calibrate_series(
    series: FlatSeries,
    *,
    offset_dn: float | None = None,
    excess_noise: float | None = None,
    source_excess_noise: float | None = None,
    told: bool = False,
    problems: Sequence[str] = (),
) -> Calibration:
    """Calibrate one channel from its frames; see `calibrate`."""
    pairs, left_out = choose_pairs(series)
    if 4 * len(pairs) < len(series.frames) or not pairs:
        raise SourceError(_no_pairs(series, len(pairs)))
    require_noise(pairs)
    dark = find_dark(pairs, offset_dn=offset_dn, told=told)
    full = saturation(pairs, dark.offset_dn)
    line = fit_line(pairs, dark, full.mean_dn)
    amplification = series.segment.em_gain or 1.0
    floor = noise_floor(dark, line, amplified=amplification > 1)
    excess, excess_from = _excess(amplification, excess_noise, source_excess_noise)
    slope = line.slope_dn.scaled(1 / (excess * amplification))
    gain = Measured(1 / slope.value, slope.se / slope.value**2)
    offset = Measured(dark.offset_dn, dark.offset_se_dn)
    saturated = _electrons(Measured(full.filled_dn, full.filled_se_dn), offset, gain)
    depth = _bit_depth(series, pairs, full)
    return Calibration(
        channel=series.channel,
        segment=series.segment,
        bit_depth=depth,
        offset_dn=offset,
        gain_e_per_dn=gain,
        excess_noise=excess,
        excess_noise_from=excess_from,
        read_noise_e=_read_noise(floor, gain),
        saturation_e=saturated if full.reached else None,
        full_well_e=_full_well(full, saturated, offset, gain),
        linearity=measure_linearity(pairs, dark.offset_dn, full.mean_dn),
        adc_limited=_ends_at_adc(depth, full),
        pairs=tuple(pairs),
        levels=count_levels(pairs),
        dark=dark,
        line=line,
        floor=floor,
        saturation=full,
        problems=(*problems, *left_out),
    )


def _excess(
    amplification: float, given: float | None, told: float | None
) -> tuple[float, ExcessFrom]:
    if given is not None:
        return given, "given"
    if amplification <= 1:
        return 1.0, "none"
    return (_REGISTER_EXCESS, "assumed") if told is None else (told, "source")


def _no_pairs(series: FlatSeries, pairs: int) -> str:
    count = len(series.frames)
    found = f"{pairs} pairs" if pairs else "no pair"
    channel = f"channel {series.channel!r} has {count} frames and {found}"
    if count < 2:
        return f"{channel}; a calibration needs two frames of each light level, one after the other"
    return (
        f"{channel}: few frames have the brightness of the one after them. The two frames of a "
        "level must follow each other; if the names sort otherwise, say which part is which with "
        "--pattern, for instance 'repeat{z}_level{t}.tif' (frames are taken in order of t, then z)"
    )


def _electrons(mean_dn: Measured, offset_dn: Measured, gain: Measured) -> Measured:
    signal_dn = mean_dn.value - offset_dn.value
    by_signal = np.hypot(mean_dn.se, offset_dn.se) * gain.value
    return Measured(signal_dn * gain.value, float(np.hypot(by_signal, signal_dn * gain.se)))


def _read_noise(floor: NoiseFloor, gain: Measured) -> Measured:
    variance = max(floor.variance_dn2.value - QUANTISATION_DN2, 0.0)
    sigma_dn = float(np.sqrt(variance))
    # Where nothing is left above the rounding, the error says how much may have been there.
    least_dn = float(np.sqrt(floor.variance_dn2.se))
    error_dn = floor.variance_dn2.se / (2 * max(sigma_dn, least_dn)) if least_dn > 0 else 0.0
    noise = sigma_dn * gain.value
    return Measured(noise, float(np.hypot(error_dn * gain.value, sigma_dn * gain.se)))


def _full_well(
    full: Saturation, saturated: Measured, offset_dn: Measured, gain: Measured
) -> Measured | None:
    if full.plateau_dn is not None:
        return _electrons(Measured(full.plateau_dn, full.plateau_se_dn), offset_dn, gain)
    return saturated if full.reached else None


def _bit_depth(series: FlatSeries, pairs: Sequence[Pair], full: Saturation) -> int | None:
    """Return the bits that the source tells, or n where all values end in a plateau at 2ⁿ − 1."""
    if series.segment.bit_depth is not None:
        return series.segment.bit_depth
    largest = max(pair.stats.largest_dn for pair in pairs)
    if full.plateau_dn is not None and abs(largest - full.plateau_dn) < 0.5:
        return next((bits for bits in _DEPTHS if largest == 2**bits - 1), None)
    return None


def _ends_at_adc(depth: int | None, full: Saturation) -> bool:
    ended = full.plateau_dn if full.plateau_dn is not None else full.filled_dn
    return depth is not None and full.reached and ended >= 0.99 * (2**depth - 1)
