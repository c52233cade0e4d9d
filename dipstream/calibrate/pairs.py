"""Which neighbouring frames are the two halves of a pair."""

from collections.abc import Iterable
from dataclasses import dataclass

from dipstream.calibrate.difference import Difference
from dipstream.calibrate.flats import FlatFrame, FlatSeries

__all__ = ["Pair", "choose_pairs", "count_levels"]

_LIGHT_TOLERANCE = 0.02
_SIGMAS = 6.0
_OFFSET_TOLERANCE_DN = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """Two frames of one light level."""

    first: FlatFrame
    second: FlatFrame
    stats: Difference

    @property
    def level(self) -> int | None:
        """The number of the light level, where the source tells it."""
        return self.first.level

    @property
    def exposure_ms(self) -> float | None:
        """Exposure time in ms; None unless both frames tell the same."""
        same = self.first.exposure_ms == self.second.exposure_ms
        return self.first.exposure_ms if same else None


def choose_pairs(series: FlatSeries) -> tuple[list[Pair], list[str]]:
    """Return the pairs of a series, in order, and a sentence for each frame without a partner.

    Neighbours can be a pair if their means agree: within 6 standard errors, half a DN, or 2 % of
    the light above the darkest frames. Among those as many pairs are made as possible, and of all
    ways to do that the one with the smallest sum of changes, so that a missing frame costs its own
    pair and does not shift all that follow.
    """
    known = [stats for stats in series.neighbours if stats is not None]
    darkest_dn = min((stats.mean_dn for stats in known), default=0.0)
    starts = _best(
        [
            None if stats is None or not _agree(stats, darkest_dn) else abs(stats.change_dn)
            for stats in series.neighbours
        ]
    )
    pairs = []
    for k in starts:
        stats = series.neighbours[k]
        if stats is not None:
            pairs.append(Pair(series.frames[k], series.frames[k + 1], stats))
    paired = {k for start in starts for k in (start, start + 1)}
    return pairs, list(_left_out(series, paired, darkest_dn))


def _agree(stats: Difference, darkest_dn: float) -> bool:
    light = max(stats.mean_dn - darkest_dn, 0.0)
    allowed = max(_OFFSET_TOLERANCE_DN, _SIGMAS * stats.change_se_dn, _LIGHT_TOLERANCE * light)
    return abs(stats.change_dn) <= allowed


def _best(costs: list[float | None]) -> list[int]:
    """Return the first frames of the best pairs; a cost belongs to a frame and the one after it."""
    # best[k]: (−pairs, sum of costs, how) for the first k frames.
    best: list[tuple[int, float, int | None]] = [(0, 0.0, None), (0, 0.0, None)]
    for k, cost in enumerate(costs, start=2):
        alone = (best[k - 1][0], best[k - 1][1], None)
        if cost is None:
            best.append(alone)
            continue
        together = (best[k - 2][0] - 1, best[k - 2][1] + cost, k - 2)
        best.append(min(alone, together, key=lambda one: one[:2]))
    starts = []
    k = len(best) - 1
    while k > 1:
        start = best[k][2]
        if start is None:
            k -= 1
        else:
            starts.append(start)
            k -= 2
    return starts[::-1]


def _left_out(series: FlatSeries, paired: set[int], darkest_dn: float) -> Iterable[str]:
    k = 0
    while k < len(series.frames):
        frame = series.frames[k]
        if k in paired:
            k += 1
            continue
        stats = series.neighbours[k] if k + 1 < len(series.frames) else None
        if stats is not None and k + 1 not in paired:
            light = max(stats.mean_dn - darkest_dn, 1e-9)
            yield (
                f"frames {frame} and {series.frames[k + 1]} are left out: their means differ by "
                f"{stats.change_dn:+.1f} DN ({abs(stats.change_dn) / light:.1%} of the light), so "
                "the light changed between them, or they are of two levels"
            )
            k += 2
            continue
        yield f"frame {frame} is left out: it has no partner of the same light beside it"
        k += 1


def count_levels(pairs: Iterable[Pair]) -> int:
    """Return how many light levels the pairs are of: told, or by means that differ."""
    chosen = list(pairs)
    told = {pair.level for pair in chosen}
    if None not in told:
        return len(told)
    levels = 0
    before: float | None = None
    darkest_dn = min((pair.stats.mean_dn for pair in chosen), default=0.0)
    for stats in sorted((pair.stats for pair in chosen), key=lambda one: one.mean_dn):
        close = max(
            _OFFSET_TOLERANCE_DN,
            _SIGMAS * stats.change_se_dn,
            _LIGHT_TOLERANCE / 4 * (stats.mean_dn - darkest_dn),
        )
        if before is None or stats.mean_dn - before > close:
            levels += 1
        before = stats.mean_dn
    return levels
