"""From a pipeline file to one callable that takes image sets."""

from typing import TYPE_CHECKING

from dipstream.on_use import on_use

if TYPE_CHECKING:
    from dipstream.pipeline.analysis import Analysis, Failure, FreshStates, Ordered, StateCell
    from dipstream.pipeline.compiled import Pipeline
    from dipstream.pipeline.plan import Plan, file_schema, make_plan, open_plan

__all__ = [
    "Analysis",
    "Failure",
    "FreshStates",
    "Ordered",
    "Pipeline",
    "Plan",
    "StateCell",
    "file_schema",
    "make_plan",
    "open_plan",
]

# A pipeline is read and shown without the kernels that it will run on.
__getattr__ = on_use(
    __name__,
    {
        "Analysis": "dipstream.pipeline.analysis",
        "Failure": "dipstream.pipeline.analysis",
        "FreshStates": "dipstream.pipeline.analysis",
        "Ordered": "dipstream.pipeline.analysis",
        "Pipeline": "dipstream.pipeline.compiled",
        "Plan": "dipstream.pipeline.plan",
        "StateCell": "dipstream.pipeline.analysis",
        "file_schema": "dipstream.pipeline.plan",
        "make_plan": "dipstream.pipeline.plan",
        "open_plan": "dipstream.pipeline.plan",
    },
)
