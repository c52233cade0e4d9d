"""`scipy.ndimage`, imported when it is first used.

It takes a seventh of the time in which a run starts, and the kernels do without it.
"""

from importlib import import_module
from typing import Any

__all__: list[str] = []


def __getattr__(name: str) -> Any:
    return getattr(import_module("scipy.ndimage"), name)
