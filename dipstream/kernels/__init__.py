"""Compiled kernels of the analysis: one stage a module, each tested against its reference.

They work on arrays and runs, know nothing of steps, and run without the interpreter's lock.
"""

from pathlib import Path

from dipstream.compiled import forget_stale_kernels
from dipstream.kernels.linear import Linear
from dipstream.kernels.runs import LabelledRuns, Runs

__all__ = ["LabelledRuns", "Linear", "Runs"]

forget_stale_kernels(Path(__file__).parent, Path(__file__).parent / "__pycache__")
