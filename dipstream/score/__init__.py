"""Compares a run with the truth, finished or while both still grow."""

from dipstream.score.belonging import truth_of
from dipstream.score.run_score import RunScore

__all__ = ["RunScore", "truth_of"]
