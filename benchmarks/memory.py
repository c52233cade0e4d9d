"""Memory of a long run: its peak, and whether it grows."""

from benchmarks.effort import Effort
from benchmarks.long_line import long_line
from benchmarks.optional import optional
from benchmarks.report import NOT_INSTALLED, Block

__all__ = ["memory"]

_COLUMNS = {
    "what": "frame / nuclei",
    "frames": "frames",
    "peak_mb": "peak MB",
    "resident_mb": "median MB",
    "growth_mb_per_10000": "growth, MB per 10,000 frames",
}
_MB = ("peak_mb", "resident_mb", "growth_mb_per_10000")
_NOTE = (
    "2 workers; the slope is taken after the first tenth. It says the more, the longer the run "
    "is: python -m benchmarks.long_line --side 512 --nuclei 60 --frames 100000"
)


def memory(effort: Effort) -> Block:
    """Watch the memory of a process that analyses the same frames over and over."""
    side, nuclei = effort.small
    what = f"{side}² / {nuclei}"
    if optional("psutil") is None:
        row = {"what": what, **dict.fromkeys(list(_COLUMNS)[1:], NOT_INSTALLED)}
        return Block("Memory", _COLUMNS, [row])
    found = long_line(side, nuclei, effort.memory_frames)
    row = {"what": what, "frames": found["analysed"], **{n: found[n] for n in _MB}}
    notes = [_NOTE]
    return Block("Memory of the whole process", _COLUMNS, [row], notes)
