"""Where the time goes: every kernel beside what defines its result, and the pipeline's steps."""

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any

import benchmarks.kernels
from benchmarks.effort import Effort, Size
from benchmarks.fields import generated_field, moving
from benchmarks.pipelines import image_set, plan_for, scratch
from benchmarks.report import Block
from benchmarks.scene import make_scene
from benchmarks.stage import median_ms
from benchmarks.step_times import step_times

__all__ = ["kernel_stages", "pipeline_steps"]

_KERNELS = {
    "frame": "frame / nuclei",
    "module": "module",
    "stage": "stage",
    "kernel_ms": "kernel ms",
    "reference_ms": "reference ms",
    "ratio": "ratio",
}
_STEPS = {"frame": "frame / nuclei", "step": "step", "ms": "ms", "share": "% of the frame"}
_NOTE = (
    "Means under Python's profiler, which makes Python code slower than it is. Corrections are "
    "computed where their pixels are first needed."
)


def kernel_stages(effort: Effort) -> Block:
    """Time the stages of every module in `benchmarks.kernels`."""
    rows = [row for size in effort.stages for row in _stages(size, 0.05 if effort.quick else 0.3)]
    return Block("Kernels, one thread, beside what a user would call", _KERNELS, rows)


def _stages(size: Size, least_s: float) -> Iterator[dict[str, Any]]:
    scene = make_scene(*size)
    for found in pkgutil.iter_modules(benchmarks.kernels.__path__):
        module = importlib.import_module(f"benchmarks.kernels.{found.name}")
        for stage in module.stages(scene):
            kernel = median_ms(stage.kernel, least_s)
            reference = median_ms(stage.reference, least_s)
            yield {
                "frame": f"{size[0]}² / {size[1]}",
                "module": found.name,
                "stage": stage.name,
                "kernel_ms": kernel,
                "reference_ms": reference,
                "ratio": reference / kernel,
            }


def pipeline_steps(effort: Effort) -> Block:
    """Time the steps inside `Pipeline.analyse`."""
    rows = [row for size in effort.stages for row in _steps(size, 4 * effort.rounds)]
    notes = [_NOTE]
    return Block("Steps of the pipeline, one thread", _STEPS, rows, notes)


def _steps(size: Size, frames: int) -> Iterator[dict[str, Any]]:
    field = generated_field(*size)
    with scratch() as folder:
        line = plan_for(field, folder).compile(tuple(field.planes))
        sets = [image_set(one, number) for number, one in enumerate(moving(field))]
        times = step_times(line, sets, frames)
    whole = sum(times.values())
    for step, ms in times.items():
        yield {"frame": field.name, "step": step, "ms": ms, "share": 100 * ms / whole}
