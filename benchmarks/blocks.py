"""The blocks that ``python -m benchmarks`` prints, in their order."""

import os
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module
from importlib.metadata import version
from typing import Any

from benchmarks.effort import Effort
from benchmarks.report import Block

__all__ = ["BLOCKS", "machine", "measured"]

BLOCKS: Mapping[str, tuple[str, str]] = {
    "chain": ("benchmarks.chain", "chain"),
    "stages": ("benchmarks.stages", "kernel_stages"),
    "steps": ("benchmarks.stages", "pipeline_steps"),
    "features": ("benchmarks.features", "features"),
    "linking": ("benchmarks.linking", "linking"),
    "commit": ("benchmarks.commits", "commits"),
    "end_to_end": ("benchmarks.end_to_end", "end_to_end"),
    "folder": ("benchmarks.watched", "watched_folder"),
    "simulator": ("benchmarks.simulated", "simulated_camera"),
    "memory": ("benchmarks.memory", "memory"),
}
"""Name of a block → the module and function that measure it."""

_LIBRARIES = ("dipstream", "numpy", "numba", "scipy", "scikit-image")


def measured(names: Iterable[str], effort: Effort) -> Iterator[tuple[str, Block]]:
    """Measure blocks, one after the other."""
    for name in names:
        module, function = BLOCKS[name]
        measure: Callable[[Effort], Block] = getattr(import_module(module), function)
        yield name, measure(effort)


def machine() -> dict[str, Any]:
    """Return what the figures were measured on."""
    return {
        "processor": _processor(),
        "processors": os.cpu_count(),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        **{name: version(name) for name in _LIBRARIES},
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:  # noqa: PTH123 - no file of ours
            named = [line.split(":", 1)[1].strip() for line in lines if "model name" in line]
    except OSError:
        named = []
    return named[0] if named else platform.processor() or platform.machine()
