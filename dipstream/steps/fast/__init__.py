"""The steps on kernels: the same names, parameters and results, sooner.

A step is defined by its reference in `steps/correct`, `segment` and `measure`. Here each may have a
twin of the same signature. A twin hands on what it has no kernel for (a stack, an exotic dtype) to
its reference.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from dipstream.steps.correct import background as _background
from dipstream.steps.correct import dark_flat as _dark_flat
from dipstream.steps.correct import electrons as _electrons
from dipstream.steps.correct import smooth as _smooth
from dipstream.steps.fast import (
    background,
    clean,
    dark_flat,
    electrons,
    intensity,
    shape,
    smooth,
    split,
    threshold,
)
from dipstream.steps.measure import intensity as _intensity
from dipstream.steps.measure import shape as _shape
from dipstream.steps.segment import clean as _clean
from dipstream.steps.segment import split as _split
from dipstream.steps.segment import threshold as _threshold

__all__ = ["TWINS", "fast"]

Function = Callable[..., Any]

TWINS: Mapping[Function, Function] = MappingProxyType(
    {
        _dark_flat.dark_flat: dark_flat.dark_flat,
        _electrons.electrons: electrons.electrons,
        _background.background: background.background,
        _smooth.gaussian: smooth.gaussian,
        _smooth.median: smooth.median,
        _threshold.threshold: threshold.threshold,
        _clean.fill_holes: clean.fill_holes,
        _clean.clean: clean.clean,
        _clean.clear_border: clean.clear_border,
        _split.split: split.split,
        _shape.shape: shape.shape,
        _intensity.intensity: intensity.intensity,
    }
)
"""Reference → twin."""


def fast(function: Function) -> Function:
    """Return the twin of a step, or the step itself."""
    return TWINS.get(function, function)
