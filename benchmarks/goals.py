"""What dipstream is to reach, and whether it did in this run."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.report import Block

__all__ = ["GOALS", "Goal", "judged"]

Blocks = Mapping[str, Block]


@dataclass(frozen=True, slots=True)
class Goal:
    """One figure with its floor, below which it is not accepted, and its goal.

    Attributes
    ----------
    what
        What is to be reached.
    value
        Finds it in the blocks that were measured; None if it was not.
    floor, goal
        In the unit of the value; a floor of None: the figure is published, whatever it is.
    unit
        Written behind figures.
    smaller
        Whether smaller is better.
    """

    what: str
    value: Callable[[Blocks], float | None]
    floor: float | None
    goal: float
    unit: str
    smaller: bool = False

    def verdict(self, value: float) -> str:
        """Return which of the two a figure reaches."""
        if self._reaches(value, self.goal):
            return "goal"
        if self.floor is None:
            return "goal missed"
        return "floor" if self._reaches(value, self.floor) else "MISSED"

    def _reaches(self, value: float, bound: float) -> bool:
        return value <= bound if self.smaller else value >= bound


def _row(block: str, figure: str, **of: Any) -> Callable[[Blocks], float | None]:
    """Return what finds a figure in the first row of a block that has these values."""

    def find(blocks: Blocks) -> float | None:
        rows = blocks[block].rows if block in blocks else ()
        for row in rows:
            if all(str(row.get(key)).startswith(str(value)) for key, value in of.items()):
                value = row.get(figure)
                return float(value) if isinstance(value, int | float) else None
        return None

    return find


def _worst_linking(blocks: Blocks) -> float | None:
    rows = blocks["linking"].rows if "linking" in blocks else ()
    shares = [float(row["share"]) for row in rows if row["side_px"] == 2048]
    return max(shares, default=None)


GOALS = (
    Goal("2048² / 800, one thread", _row("chain", "ratio", field="2048² / 800"), 40, 80, "×"),
    Goal("2048² / 3000, one thread", _row("chain", "ratio", field="2048² / 3000"), 30, 60, "×"),
    Goal("the real pair, two channels", _row("chain", "ratio", field="pair"), 20, 40, "×"),
    Goal(
        "2048² / 800, line ÷ analysis alone",
        _row("end_to_end", "share", key="line", what="2048² / 800"),
        60,
        85,
        " %",
    ),
    Goal(
        "2048² / 800 at 30 frames/s, delay p99",
        _row("end_to_end", "p99_ms", key="paced", what="2048² / 800"),
        None,
        60,
        " ms",
        smaller=True,
    ),
    Goal(
        "memory, growth per 10,000 frames",
        _row("memory", "growth_mb_per_10000", what="512²"),
        1,
        0.1,
        " MB",
        smaller=True,
    ),
    Goal("linking, share of the frame", _worst_linking, 3, 3, " %", smaller=True),
    Goal("simulator, 2048²", _row("simulator", "frames_per_s", side_px=2048), 15, 25, " frames/s"),
    Goal("simulator, 512²", _row("simulator", "frames_per_s", side_px=512), 150, 300, " frames/s"),
    Goal("watched folder, file → row", _row("folder", "polls"), 2, 1, " polls", smaller=True),
)

_COLUMNS = {"what": "what", "floor": "floor", "goal": "goal", "value": "here", "verdict": "reaches"}


def judged(blocks: Blocks) -> Block:
    """Hold the goals against what was measured; what was not measured is left out."""
    rows = [_judge(goal, blocks) for goal in GOALS]
    measured = [row for row in rows if row is not None]
    notes = ["Ratios are to the user's script in the same run, on the same pixels."]
    return Block("Floors and goals", _COLUMNS, measured, notes)


def _judge(goal: Goal, blocks: Blocks) -> dict[str, Any] | None:
    value = goal.value(blocks)
    if value is None:
        return None
    floor = "published" if goal.floor is None else f"{goal.floor:g}{goal.unit}"
    return {
        "what": goal.what,
        "floor": floor,
        "goal": f"{goal.goal:g}{goal.unit}",
        "value": f"{value:.3g}{goal.unit}" if abs(value) < 100 else f"{value:.0f}{goal.unit}",
        "verdict": goal.verdict(value),
        "figure": value,
    }
