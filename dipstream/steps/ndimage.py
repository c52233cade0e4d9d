"""`scipy.ndimage`, imported when it is first used.

The kernels do without it, and importing it takes 0.3 s of the start of a run.
"""

from importlib import import_module
from typing import Any

__all__: list[str] = []


def __getattr__(name: str) -> Any:
    return getattr(import_module("scipy.ndimage"), name)
