"""The simulator's speed, as `benchmarks.simulator` prints it alone."""

from benchmarks import simulator
from benchmarks.effort import Effort
from benchmarks.report import Block

__all__ = ["simulated_camera"]

_COLUMNS = {
    "what": "frame / nuclei",
    "frame_ms": "ms",
    "render_ms": "of it render",
    "frames_per_s": "frames/s",
    "poisson_ms": "Generator.poisson ms",
    "times_faster_than_poisson": "ratio",
}


def simulated_camera(effort: Effort) -> Block:
    """Time rendering with full noise."""
    rows = []
    for side, nuclei in effort.simulated:
        found = simulator.measure(side, nuclei, rounds=5 * effort.rounds)
        rows.append({"what": f"{side}² / {nuclei}", **found})
    title = f"Simulator: {simulator.CAMERA}, render and full noise, one core"
    return Block(title, _COLUMNS, rows)
