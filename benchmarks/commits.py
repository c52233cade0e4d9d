"""What a commit costs, as `benchmarks.commit` measures it."""

from benchmarks.commit import measure
from benchmarks.effort import Effort
from benchmarks.report import Block

__all__ = ["commits"]


def commits(effort: Effort) -> Block:
    """Time one transaction an image set."""
    rows = measure(quick=effort.quick)
    columns = {key: key.replace("_", " ") for key in rows[0]}
    return Block("Commit of one image set", columns, rows)
