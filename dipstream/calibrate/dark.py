"""Which pairs were taken without light, and the camera's offset."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np

from dipstream.calibrate.pairs import Pair
from dipstream.errors import SourceError

__all__ = ["Dark", "DarkFrom", "find_dark"]

DarkFrom: TypeAlias = Literal["source", "names", "darkest", "none"]

_NAMED_DARK = re.compile(r"(?<![a-z])(dark|bias|offset)(?![a-z])", re.IGNORECASE)
_SIGMAS = 6.0
_TOLERANCE_DN = 0.5
_KNOWN_TOLERANCE_DN = 2.0
_LEAK = 0.005
_LEAK_SIGMAS = 8.0
_BLOCKS_NEEDED = 16
_ON_THE_LINE = 0.2
_STRAIGHT = 0.7
_TIMES_NEEDED = 4
_STRAY = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class Dark:
    """The camera without light.

    Attributes
    ----------
    pairs
        The pairs without light; none if only the offset is known.
    told_by
        ``source``: the first level of a source that dims its own light; ``names``: files called
        dark, bias or offset; ``darkest``: the darkest level, which is assumed to be without light;
        ``none``: there is no dark pair, the offset was given.
    agrees
        The darkest level has the offset that was given, so that more than darkness speaks for it.
    offset_dn, offset_se_dn
        Mean without light and its standard error, in DN: the camera's offset, and what little
        dark current adds in the exposure time.
    """

    pairs: tuple[Pair, ...]
    told_by: DarkFrom
    offset_dn: float
    offset_se_dn: float
    agrees: bool = False

    @property
    def histogram_pair(self) -> Pair | None:
        """The pair whose histogram is shown."""
        return self.pairs[0] if self.pairs else None


def find_dark(pairs: Sequence[Pair], *, offset_dn: float | None, told: bool) -> Dark:
    """Find the pairs without light.

    Parameters
    ----------
    pairs
        All pairs, at least one.
    offset_dn
        The camera's offset where somebody knows it: a darkest level that lies more than 2 DN above
        it is lit.
    told
        The source dims its own light: its level 0 is dark.

    Raises
    ------
    SourceError
        If the darkest frames are lit, and no offset is given.
    """
    if told:
        chosen = [pair for pair in pairs if pair.level == 0]
        if chosen:
            return _dark(chosen, "source")
    named = [pair for pair in pairs if _is_named_dark(pair)]
    if named:
        return _dark(named, "names")
    darkest = min(pairs, key=lambda pair: pair.stats.mean_dn)
    level = [pair for pair in pairs if _same_level(pair, darkest)]
    if offset_dn is not None:
        found = _dark(level, "darkest")
        if found.offset_dn <= offset_dn + max(_KNOWN_TOLERANCE_DN, _SIGMAS * found.offset_se_dn):
            return replace(found, agrees=True)
        return Dark((), "none", offset_dn, 0.0)
    _require_unlit(level, pairs)
    _require_off_the_line(level, pairs)
    return _dark(level, "darkest")


def _is_named_dark(pair: Pair) -> bool:
    return all(_NAMED_DARK.search(frame.name) for frame in (pair.first, pair.second))


def _same_level(pair: Pair, darkest: Pair) -> bool:
    close = max(_TOLERANCE_DN, _SIGMAS * darkest.stats.change_se_dn)
    return pair.stats.mean_dn - darkest.stats.mean_dn <= close


def _dark(pairs: Sequence[Pair], told_by: DarkFrom) -> Dark:
    means = np.array([pair.stats.mean_dn for pair in pairs])
    error = np.array([pair.stats.mean_se_dn for pair in pairs])
    by_noise = float(np.sqrt(np.square(error).sum())) / len(pairs)
    # An offset that wanders from frame to frame shows in the means only.
    wander = [abs(pair.stats.change_dn) / 2 for pair in pairs]
    by_wander = float(np.sqrt(np.mean(np.square(wander)) / len(pairs)))
    return Dark(tuple(pairs), told_by, float(means.mean()), max(by_noise, by_wander))


def _require_unlit(level: Sequence[Pair], pairs: Sequence[Pair]) -> None:
    """Refuse a darkest level that shows the shading of the bright ones.

    Without light there is no vignette. If f is the darkest level's part of the light of a bright
    one, its pattern is f times that of the bright one, so that f is a slope, whatever the offset.
    An even field has no pattern, and says nothing.
    """
    brightest = max(pair.stats.variance_dn2 for pair in pairs)
    peak = next(pair for pair in pairs if pair.stats.variance_dn2 == brightest)
    lit = [pair for pair in pairs if pair.stats.mean_dn <= 0.9 * peak.stats.mean_dn]
    bright = max(lit, key=lambda pair: pair.stats.mean_dn, default=peak)
    x = bright.stats.pattern_dn.ravel() - bright.stats.pattern_dn.mean()
    if bright in level or x.size < _BLOCKS_NEEDED or not x.any():
        return
    y = np.mean([pair.stats.pattern_dn for pair in level], axis=0).ravel()
    y = y - y.mean()
    spread = float(np.vdot(x, x))
    part = float(np.vdot(x, y)) / spread
    error = float(np.sqrt(np.square(y - part * x).sum() / (x.size - 2) / spread))
    if part > _LEAK and part > _LEAK_SIGMAS * error:
        raise SourceError(
            f"there is no dark pair: the darkest frames ({level[0].first} and {level[0].second}, "
            f"{level[0].stats.mean_dn:.1f} DN) have {part:.1%} of the light of a bright level, "
            "since they show its shading. Take a pair with the shutter closed, or give the "
            "camera's offset with --offset-dn"
        )


def _require_off_the_line(level: Sequence[Pair], pairs: Sequence[Pair]) -> None:
    """Refuse a darkest level that lies where its exposure time puts a lit one.

    The lit levels' means over their exposure times are a line that meets the offset at no exposure.
    A dark pair lies at the offset, whatever its exposure; a lit one lies on the line. Variances
    cannot tell them: light moves a pair along the transfer line, which has no mark for none.
    """
    line = _line_of_light(level, pairs)
    times = [pair.exposure_ms for pair in level]
    if line is None or any(time is None for time in times):
        return
    offset, offset_se, slope = line
    light = slope * float(np.mean([time for time in times if time is not None]))
    found = float(np.mean([pair.stats.mean_dn for pair in level]))
    if light > max(_KNOWN_TOLERANCE_DN, _SIGMAS * offset_se) and (
        abs(found - offset - light) < _ON_THE_LINE * light
    ):
        raise SourceError(
            f"there is no dark pair: the darkest frames ({level[0].first} and {level[0].second}, "
            f"{found:.1f} DN) are as bright as their exposure time makes lit ones, {light:.1f} DN "
            f"above an offset of about {offset:.1f} DN. Take a pair with the shutter closed, or "
            "give the camera's offset with --offset-dn"
        )


def _line_of_light(
    level: Sequence[Pair], pairs: Sequence[Pair]
) -> tuple[float, float, float] | None:
    """Return offset (DN), its standard error and DN/ms of the lit levels; None if no line fits."""
    largest = max(pairs, key=lambda pair: pair.stats.variance_dn2).stats.mean_dn
    darkest = level[0].stats.mean_dn
    lit = [
        (pair.exposure_ms, pair.stats.mean_dn)
        for pair in pairs
        if pair not in level
        and pair.exposure_ms is not None
        and pair.stats.mean_dn < darkest + _STRAIGHT * (largest - darkest)
    ]
    if len({time for time, _ in lit}) < _TIMES_NEEDED:
        return None
    x, y = np.array(lit, dtype=np.float64).T
    # What a lamp and an exposure time are off by grows with the light.
    weights = 1 / np.maximum(y - darkest, _TOLERANCE_DN)
    design = np.stack([np.ones_like(x), x], axis=1) * weights[:, None]
    (offset, slope), *_ = np.linalg.lstsq(design, y * weights, rcond=None)
    left = (y - offset - slope * x) * weights
    if slope <= 0 or float(np.abs(left).max()) > _STRAY:
        return None
    covariance = np.linalg.inv(design.T @ design) * float(np.square(left).sum()) / (x.size - 2)
    return float(offset), float(np.sqrt(covariance[0, 0])), float(slope)
