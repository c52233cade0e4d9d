"""Test targets: bars as on the USAF 1951 chart, a Siemens star, pairs of points."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dipstream.errors import SourceError
from dipstream_simulator.limits import require_between
from dipstream_simulator.specimen.drawn import Drawn
from dipstream_simulator.specimen.flat import require_extent
from dipstream_simulator.specimen.model import Channel
from dipstream_simulator.specimen.points import Point, StillPoints, still_objects

__all__ = ["Bars", "Star", "pair", "siemens", "usaf", "usaf_bar_um"]

_ELEMENTS = 6
_GAP = 2.5  # between elements, in bar widths
_MOST_GROUP = 20
_Grid = npt.NDArray[np.float32]
_Labels = npt.NDArray[np.int32]
_Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Bars:
    """Bright rectangles on a dark ground; bar k is element k of the truth.

    Attributes
    ----------
    edges_um
        float64 (n, 4): top, bottom, left and right of each bar in the world.
    """

    edges_um: _Numbers

    def draw(self, y_um: _Numbers, x_um: _Numbers, channel: int) -> _Grid:  # noqa: ARG002
        """Return how much of each sample's area is bright; exact."""
        drawn = np.zeros((len(y_um), len(x_um)), dtype=np.float32)
        for top, bottom, left, right in self.edges_um.tolist():
            rows, height = _covered(y_um, top, bottom)
            columns, width = _covered(x_um, left, right)
            drawn[rows, columns] += np.outer(height, width).astype(np.float32)
        return drawn

    def labels(self, y_um: _Numbers, x_um: _Numbers) -> _Labels:
        """Return in which bar the middle of each sample lies."""
        labels = np.zeros((len(y_um), len(x_um)), dtype=np.int32)
        for bar, (top, bottom, left, right) in enumerate(self.edges_um.tolist(), start=1):
            rows = slice(*np.searchsorted(y_um, (top, bottom)).tolist())
            columns = slice(*np.searchsorted(x_um, (left, right)).tolist())
            labels[rows, columns] = bar
        return labels


@dataclass(frozen=True, slots=True)
class Star:
    """A Siemens star: bright sectors between dark ones, all equally wide.

    At a distance r from the middle its period is 2π·r / spokes. Spoke k is element k of the truth.

    Attributes
    ----------
    spokes
        Bright sectors.
    radius_um
        Of the star, in µm.
    """

    spokes: int
    radius_um: float

    def draw(self, y_um: _Numbers, x_um: _Numbers, channel: int) -> _Grid:  # noqa: ARG002
        """Return how much of each sample is bright, from the distance of the nearest edge."""
        step_um = float(y_um[1] - y_um[0])
        r_um, turn = self._polar(y_um, x_um)
        # From the middle of a bright sector, in spokes; edges are a quarter of a period away.
        away = np.abs(turn - np.round(turn))
        edge_um = (0.25 - away) * 2.0 * math.pi / self.spokes * r_um
        bright = np.clip(0.5 + edge_um / step_um, 0.0, 1.0)
        within = np.clip(0.5 + (self.radius_um - r_um) / step_um, 0.0, 1.0)
        return np.asarray(bright * within, dtype=np.float32)

    def labels(self, y_um: _Numbers, x_um: _Numbers) -> _Labels:
        """Return in which spoke the middle of each sample lies."""
        r_um, turn = self._polar(y_um, x_um)
        spoke = np.round(turn)
        bright = (np.abs(turn - spoke) < 0.25) & (r_um < self.radius_um)
        return np.where(bright, spoke % self.spokes + 1, 0).astype(np.int32)

    def _polar(self, y_um: _Numbers, x_um: _Numbers) -> tuple[_Numbers, _Numbers]:
        """Distance from the middle in µm, and direction in spokes from +x towards +y."""
        y, x = y_um[:, None], x_um[None, :]
        return np.hypot(y, x), np.arctan2(y, x) * (self.spokes / (2.0 * math.pi))


def usaf_bar_um(group: int, element: int) -> float:
    """Return the width of a bar of the USAF 1951 chart, in µm.

    The chart has 2^(group + (element − 1)/6) line pairs a millimetre, and a line pair is two bars
    (MIL-STD-150A, 1959).

    Parameters
    ----------
    group, element
        As printed beside the bars; elements are 1 to 6.
    """
    return 500.0 * math.pow(2.0, -(group + (element - 1) / _ELEMENTS))


def usaf(
    *,
    extent_um: tuple[float, float],
    channels: tuple[Channel, ...],
    group: int | None = None,
    groups: int = 6,
) -> Drawn:
    """Draw bars as wide as on the USAF 1951 chart, bright on dark.

    An element is three bars across and three bars along, five times as long as wide and as far
    apart as they are wide. Each group is a column of its six elements; groups stand side by side.

    Parameters
    ----------
    extent_um
        Height and width of the field, in µm.
    channels
        The channels it can be seen in.
    group
        The coarsest group, −2 to 20; the first that fits into the field if left out.
    groups
        How many, 1 to 10.

    Raises
    ------
    SourceError
        If a value is outside its limits, or the bars do not fit into the field.
    """
    require_extent(extent_um)
    require_between("groups", groups, 1, 10, example=6)
    # A column is high by its elements and wide by its first; the next column is half as large.
    high = sum((5.0 + _GAP) / 2.0 ** (k / _ELEMENTS) for k in range(_ELEMENTS)) - _GAP / 2.0
    wide = (10.0 + 2.0 * _GAP) * (2.0 - 0.5 ** (groups - 1))
    largest_um = min(extent_um[0] / high, extent_um[1] / wide)
    fitting = math.ceil(math.log2(500.0 / largest_um))
    if group is None:
        group = fitting
    require_between("group", group, -2, _MOST_GROUP, example=max(fitting, -2))
    first_um = usaf_bar_um(group, 1)
    if first_um > largest_um:
        raise SourceError(
            f"The simulated camera received group={group}, whose bars of {first_um:.3g} µm do not "
            f"fit into a field of {extent_um[0]:.4g} × {extent_um[1]:.4g} µm; allowed is "
            f"{fitting} or more. Write group={fitting} or enlarge the field"
        )
    edges_um = []
    left_um = -0.5 * (wide - _GAP) * first_um
    for column in range(group, group + groups):
        top_um = -0.5 * high * first_um
        for element in range(1, _ELEMENTS + 1):
            width_um = usaf_bar_um(column, element)
            edges_um += _element(top_um, left_um, width_um)
            top_um += (5.0 + _GAP) * width_um
        left_um += (10.0 + 2.0 * _GAP) * usaf_bar_um(column, 1)
    return Drawn(channels, extent_um, Bars(np.asarray(edges_um)))


def siemens(
    *,
    extent_um: tuple[float, float],
    channels: tuple[Channel, ...],
    spokes: int = 36,
    radius_um: float | None = None,
) -> Drawn:
    """Draw a Siemens star, bright on dark.

    Parameters
    ----------
    extent_um
        Height and width of the field, in µm.
    channels
        The channels it can be seen in.
    spokes
        Bright sectors, 2 to 1000.
    radius_um
        In µm; 45 % of the smaller side of the field if left out.

    Raises
    ------
    SourceError
        If a value is outside its limits.
    """
    require_extent(extent_um)
    require_between("spokes", spokes, 2, 1000, example=36)
    radius = 0.45 * min(extent_um) if radius_um is None else radius_um
    require_between("radius_um", radius, 0.0, 1e5, example=50, open_low=True)
    return Drawn(channels, extent_um, Star(spokes, radius))


def pair(
    *,
    extent_um: tuple[float, float],
    channels: tuple[Channel, ...],
    distance_um: float,
    angle_deg: float = 0.0,
    spacing_um: float | None = None,
    truth_radius_um: float = 0.2,
) -> StillPoints:
    """Set out pairs of equal points on a grid; one pair in the middle if there is no room.

    Parameters
    ----------
    extent_um
        Height and width of the field, in µm.
    channels
        The channels they can be seen in.
    distance_um
        Between the two points of a pair, in µm, 0 to 1000.
    angle_deg
        Direction from one to the other, from +x (right) towards +y (down), in degrees.
    spacing_um
        From one pair to the next, in µm; twenty radii of the truth more than the distance, and
        never less than 4 µm, if left out.
    truth_radius_um
        Radius of a point's disk in the truth, in µm.

    Raises
    ------
    SourceError
        If a value is outside its limits.
    """
    require_extent(extent_um)
    require_between("distance_um", distance_um, 0.0, 1000.0, example=0.3)
    require_between("angle_deg", angle_deg, -360.0, 360.0, example=30)
    require_between("truth_radius_um", truth_radius_um, 0.0, 50.0, example=0.2, open_low=True)
    spacing = max(4.0, distance_um + 20.0 * truth_radius_um) if spacing_um is None else spacing_um
    require_between("spacing_um", spacing, 0.1, 1e5, example=10)
    counts = [max(1, math.floor(extent / spacing)) for extent in extent_um]
    require_between("pairs", counts[0] * counts[1], 1, 100_000, example=400)
    axes_um = [(np.arange(count) - (count - 1) / 2) * spacing for count in counts]
    y_um, x_um = (grid.ravel() for grid in np.meshgrid(*axes_um, indexing="ij"))
    half_um = 0.5 * distance_um
    shift_y_um = half_um * math.sin(math.radians(angle_deg))
    shift_x_um = half_um * math.cos(math.radians(angle_deg))
    y_um = np.stack([y_um - shift_y_um, y_um + shift_y_um], axis=1).ravel()
    x_um = np.stack([x_um - shift_x_um, x_um + shift_x_um], axis=1).ravel()
    still = still_objects(y_um, x_um, np.zeros(len(y_um)), np.ones((len(y_um), len(channels))))
    return StillPoints(channels, extent_um, (Point(0.0, truth_radius_um, len(channels)),), still)


def _element(top_um: float, left_um: float, width_um: float) -> list[tuple[float, ...]]:
    """Top, bottom, left and right of three bars lying and three standing beside them."""
    right_um = left_um + (5.0 + _GAP) * width_um
    bars: list[tuple[float, ...]] = []
    for bar in (0.0, 2.0, 4.0):
        start_um = top_um + bar * width_um
        bars.append((start_um, start_um + width_um, left_um, left_um + 5.0 * width_um))
    for bar in (0.0, 2.0, 4.0):
        start_um = right_um + bar * width_um
        bars.append((top_um, top_um + 5.0 * width_um, start_um, start_um + width_um))
    return bars


def _covered(axis_um: _Numbers, low_um: float, high_um: float) -> tuple[slice, _Numbers]:
    """Which samples along an axis an interval touches, and what share of each it covers."""
    step_um = float(axis_um[1] - axis_um[0])
    first = max(0, math.floor((low_um - axis_um[0]) / step_um + 0.5))
    stop = max(first, min(len(axis_um), math.ceil((high_um - axis_um[0]) / step_um + 0.5)))
    middle_um = axis_um[first:stop]
    share = np.minimum(middle_um + step_um / 2, high_um) - np.maximum(
        middle_um - step_um / 2, low_um
    )
    return slice(first, stop), np.clip(share / step_um, 0.0, 1.0)
