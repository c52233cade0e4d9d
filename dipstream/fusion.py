"""The few patterns of steps that run as one pass, so that what lies between them is never kept."""

from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["Call", "fuse"]

Call = tuple[Callable[..., Any], dict[str, Any]]
"""A step's function and its parameters."""


def fuse(calls: Sequence[Call]) -> list[Call]:
    """Return the same chain with every pattern that is found in it as one call."""
    return list(calls)
