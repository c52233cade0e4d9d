"""Compiled kernels of the analysis: one stage a module, each tested against its reference.

They work on arrays and runs, know nothing of steps, and run without the interpreter's lock.
"""

from pathlib import Path

from dipstream.compiled import cache_of, compiled, forget_stale_kernels
from dipstream.kernels.linear import Linear
from dipstream.kernels.runs import LabelledRuns, Runs

__all__ = ["CACHE", "ROOM", "LabelledRuns", "Linear", "Runs"]


@compiled
def _any_kernel() -> None:
    """Be where the others are."""


ROOM = Path(__file__).parent
CACHE = cache_of(_any_kernel)
"""Where kernels are kept once they are compiled, or None."""

forget_stale_kernels(ROOM, CACHE)
