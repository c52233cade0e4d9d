"""What a pipeline calls in the end: kernels and fused passes, or the references of the steps."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

from dipstream.fusion import Call, fuse
from dipstream.steps.fast import fast

__all__ = ["Bound", "chain_of", "function_of"]

Function = Callable[..., Any]


class Bound(Protocol):
    """A step with its parameters."""

    @property
    def call(self) -> Call:
        """The step's reference, and its parameters."""
        ...


def function_of(step: Bound, *, reference: bool) -> Function:
    """Return a step as a function of its input alone."""
    function, parameters = _call_of(step, reference=reference)
    return partial(function, **parameters)


def chain_of(steps: Sequence[Bound], *, reference: bool) -> tuple[Function, ...]:
    """Return steps as functions, each to be called on the result of the one before."""
    calls = [_call_of(step, reference=reference) for step in steps]
    fused = calls if reference else fuse(calls)
    return tuple(partial(function, **parameters) for function, parameters in fused)


def _call_of(step: Bound, *, reference: bool) -> Call:
    function, parameters = step.call
    return function if reference else fast(function), parameters
