"""The steps on kernels: the same names, parameters and results, sooner.

A step is defined by its reference in `steps/correct`, `segment` and `measure`. Here each may have a
twin of the same signature. A twin hands on what it has no kernel for (a stack, an exotic dtype) to
its reference.
"""

from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["TWINS", "fast"]

Function = Callable[..., Any]

TWINS: Mapping[Function, Function] = {}
"""Reference → twin."""


def fast(function: Function) -> Function:
    """Return the twin of a step, or the step itself."""
    return TWINS.get(function, function)
