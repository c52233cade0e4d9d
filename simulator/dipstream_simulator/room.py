"""How large a specimen is: the fields that are imaged, or more if its objects need more room."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from dipstream_simulator.acquisition import Place
from dipstream_simulator.kinds import Kind
from dipstream_simulator.limits import require_between

__all__ = ["crowding", "extent_of"]

_DENSITY = 0.4  # share of the area that objects cover at most, unless the person says more
_CROWDED = 0.55  # share above which nuclei cannot keep apart

Extent = tuple[float, float]


def extent_of(
    kind: Kind, p: Mapping[str, Any], places: Sequence[Place], field_um: Extent
) -> Extent:
    """Return height and width of the specimen, in µm.

    It spans all fields. Where its objects would cover more than the density asked for, it is
    larger, of the same form, and the fields show a part of it.

    Parameters
    ----------
    kind, p
        The kind of specimen, and the parameters of `dipstream_simulator.source.open_sim`.
    places, field_um
        The positions, and height and width of what the whole of the optics may show at each: a
        region of interest is a window on it.

    Raises
    ------
    SourceError
        If the density is outside its limits.
    """
    height_um = field_um[0] + 2 * max(abs(place.y_um) for place in places)
    width_um = field_um[1] + 2 * max(abs(place.x_um) for place in places)
    density = _DENSITY if p["density"] is None else p["density"]
    require_between("density", density, 0.001, 10.0, example=0.4)
    needed_um2 = _covered_um2(kind, p) / density
    larger = max(1.0, math.sqrt(needed_um2 / (height_um * width_um)))
    return height_um * larger, width_um * larger


def crowding(kind: Kind, p: Mapping[str, Any], extent_um: Extent) -> tuple[str, ...]:
    """Return a warning if objects lie so densely that they cannot be told apart, else nothing."""
    coverage = _covered_um2(kind, p) / (extent_um[0] * extent_um[1])
    if coverage <= _CROWDED or kind.count(p) < 2:
        return ()
    warning = (
        f"{kind.count(p)} {kind.name} cover {coverage:.0%} of the specimen, so they overlap and "
        f"cannot be counted fairly; use density={_CROWDED} or less"
    )
    return (warning,)


def _covered_um2(kind: Kind, p: Mapping[str, Any]) -> float:
    return kind.count(p) * math.pi / 4.0 * kind.diameter_um(p) ** 2
