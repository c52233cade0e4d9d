"""The few patterns of steps that run as one pass, so that what lies between them is never kept.

A corrected image (`dark_flat`, `electrons`) is computed where it is read, so that a correction in
front of one of these patterns is part of its pass.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from dipstream.steps.fast.smooth import gaussian
from dipstream.steps.fast.threshold import smoothed_threshold, threshold

__all__ = ["PATTERNS", "Call", "Pattern", "fuse"]

Call = tuple[Callable[..., Any], dict[str, Any]]
"""A step's function and its parameters."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """Steps that follow each other, and what runs instead of them.

    Attributes
    ----------
    steps
        The functions, on kernels.
    fused
        Takes what the first takes and gives what the last gives, with one mapping of parameters
        for each step, by the step's name.
    """

    steps: tuple[Callable[..., Any], ...]
    fused: Callable[..., Any]


PATTERNS = (Pattern((gaussian, threshold), smoothed_threshold),)


def fuse(calls: Sequence[Call]) -> list[Call]:
    """Return the same chain with every pattern that is found in it as one call."""
    fused: list[Call] = []
    rest = list(calls)
    while rest:
        pattern = next((one for one in PATTERNS if _begins_with(rest, one)), None)
        if pattern is None:
            fused.append(rest.pop(0))
            continue
        parts, rest = rest[: len(pattern.steps)], rest[len(pattern.steps) :]
        fused.append((pattern.fused, {step.__name__: given for step, given in parts}))
    return fused


def _begins_with(calls: Sequence[Call], pattern: Pattern) -> bool:
    return tuple(step for step, _ in calls[: len(pattern.steps)]) == pattern.steps
