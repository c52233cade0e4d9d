"""A stage of the analysis, timed beside what a user would call for the same result."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Stage", "median_ms"]


@dataclass(frozen=True, slots=True)
class Stage:
    """One row of the table of stages.

    Attributes
    ----------
    name
        What is computed.
    kernel, reference
        The kernel, and what defines its result (scikit-image, scipy, numpy).
    """

    name: str
    kernel: Callable[[], Any]
    reference: Callable[[], Any]


def median_ms(function: Callable[[], Any], least_s: float = 0.2, most: int = 50) -> float:
    """Return the median time of a call, in ms, after one that is not counted."""
    function()
    times: list[float] = []
    until = time.perf_counter() + least_s
    while len(times) < 3 or (time.perf_counter() < until and len(times) < most):
        begin = time.perf_counter()
        function()
        times.append(time.perf_counter() - begin)
    return float(np.median(times)) * 1e3
