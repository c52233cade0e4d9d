"""Wall time of each step inside a pipeline, without the pipeline knowing."""

import cProfile
import pstats
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import PurePath
from typing import Any, TypeAlias

from dipstream.frame import ImageSet
from dipstream.pipeline import Pipeline

__all__ = ["step_times"]

Place: TypeAlias = tuple[str, int, str]
"""File, line and name of a function."""

_OWN = {"_content_hash": "content hash", "key_values": "centroids"}
_REST = "the rest"


def step_times(pipeline: Pipeline, sets: Sequence[ImageSet], frames: int) -> dict[str, float]:
    """Return ms a frame of each step, longest first.

    A step is what the pipeline calls of `dipstream.steps`; its time includes all that it calls, and
    only there: what a part of the pipeline with a line of its own calls is in that line.
    """
    pipeline.analyse(sets[0])
    profile = cProfile.Profile(builtins=False)
    for one in islice(cycle(sets), frames):
        profile.runcall(pipeline.analyse, one)
    stats: dict[Place, Any] = getattr(pstats.Stats(profile), "stats")  # noqa: B009 - untyped
    times: dict[str, float] = {}
    whole_ms = 0.0
    for place, (_, _, _, taken_s, callers) in stats.items():
        if place[2] == "analyse":
            whole_ms = taken_s * 1e3 / frames
        name = _name(place)
        called = [
            spent for caller, spent in callers.items() if _is_pipeline(caller) and not _name(caller)
        ]
        if name and called:
            spent_s = sum(one[3] for one in called)
            times[name] = times.get(name, 0.0) + spent_s * 1e3 / frames
    times = dict(sorted(times.items(), key=lambda item: -item[1]))
    return {**times, _REST: whole_ms - sum(times.values())}


def _name(place: Place) -> str:
    """Return what a function is called in the table; empty if it is no step."""
    file, _, function = place
    if function in _OWN and _is_pipeline(place):
        return _OWN[function]
    parts = PurePath(file).parts
    if "steps" not in parts or parts[-2] == "pipeline" or function.startswith("<"):
        return ""
    return f"{parts[-2]}/{parts[-1].removesuffix('.py')}: {function}"


def _is_pipeline(place: Place) -> bool:
    return PurePath(place[0]).parts[-3:-1] == ("dipstream", "pipeline")
