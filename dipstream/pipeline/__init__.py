"""From a pipeline file to one callable that takes image sets."""

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
