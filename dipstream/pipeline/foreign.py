"""Steps of other packages, which run in a process of their own.

A plug-in may crash, hang, or take all the memory, and must not end the run with it. What it knows
from one image set to the next is the state that it is given, so that a new process goes on where
the old one ended.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import EntryPoint
from typing import Any

from pydantic_core import to_json

from dipstream.errors import StepError
from dipstream.pipeline.parcel import Array, pack, unpack
from dipstream.registry import Step, make_model
from dipstream.supervise import (
    ChildDiedError,
    ChildTask,
    Limits,
    RemoteError,
    Supervisor,
    half_of_memory,
)

__all__ = ["ForeignSteps", "apart"]


def apart(step: Step) -> Step:
    """Return a step as it is to be called: in another process, if it is of another package."""
    return replace(step, function=_apart(step)) if step.distribution else step


@functools.cache
def _apart(step: Step) -> "_ForeignStep":
    return _ForeignStep(step)


@functools.cache
def _supervisor(distribution: str, timeout_s: float) -> Supervisor:
    """Return what looks after the processes of one package."""
    # No limit of address space: libraries of GPUs reserve far more than there is.
    limits = Limits(memory=None, data=half_of_memory(), cpu_s=None, wall_s=timeout_s, files=True)
    task = ChildTask("dipstream.pipeline.foreign:ForeignSteps", limits, {}, distribution)
    return Supervisor(f"the steps of {distribution}", task)


class _ForeignStep:
    """Stands for a step of another package, and is called like it."""

    def __init__(self, step: Step) -> None:
        functools.update_wrapper(self, step.function)
        self._name = f"{step.name!r} of {step.distribution}"
        self._ordered = step.mark.kind == "ordered"
        self._about = {"entry": step.entry, "name": step.name, "group": step.group}
        self._supervisor = _supervisor(step.distribution, step.mark.timeout_s)

    def __call__(self, *inputs: Any, **parameters: Any) -> Any:
        """Call the step; raises `StepError` for whatever it does but return."""
        arrays: list[Array] = []
        request = {
            **self._about,
            "parameters": to_json(parameters).decode(),
            "inputs": [pack(one, arrays) for one in inputs],
        }
        try:
            answer, found = self._supervisor.run(lambda child: child.call(request, arrays))
            result = unpack(answer["result"], found)
        except RemoteError as error:
            raise self._step_error(error) from None
        except ChildDiedError as error:
            raise StepError(
                f"the step {self._name} cannot work on this image set: its process was lost each "
                f"time it was tried; {error}. Update the package, or take the step out"
            ) from error
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise StepError(
                f"the step {self._name} gave an answer that makes no sense ({error!r}); "
                "update the package that brings it"
            ) from error
        return self._same_state(inputs, result, unchanged=bool(answer.get("unchanged")))

    def _same_state(self, inputs: Sequence[Any], result: Any, *, unchanged: bool) -> Any:
        """Give the very state back that was given, if the step did: it is not written again."""
        if not self._ordered:
            return result
        state, answer = result
        return (inputs[0] if unchanged else state), answer

    def _step_error(self, error: RemoteError) -> StepError:
        if error.kind == "StepError":
            found = StepError(str(error))
        elif error.kind == "MemoryError":
            found = StepError(f"the step {self._name} needs more memory than a step may use")
        else:
            found = StepError(f"the step {self._name} failed: {error.kind}: {error}")
        found.add_note(f"In the process of the step: {error.trace}")
        return found


class ForeignSteps:
    """The other side: finds a step and calls it; a `dipstream.supervise.child.Handler`."""

    def __init__(self) -> None:
        self._known: dict[str, Callable[..., Any]] = {}
        self._arguments: dict[tuple[str, str], dict[str, Any]] = {}

    def __call__(
        self, request: Mapping[str, Any], arrays: Sequence[Array]
    ) -> tuple[Mapping[str, Any], Sequence[Array]]:
        """Call the step that is asked for."""
        entry, text = str(request["entry"]), str(request["parameters"])
        if entry not in self._known:
            self._known[entry] = EntryPoint("step", entry, "dipstream").load()
        function = self._known[entry]
        if (entry, text) not in self._arguments:
            model = make_model(function, "parameters").model_validate_json(text, strict=True)
            named = {name: getattr(model, name) for name in type(model).model_fields}
            self._arguments[entry, text] = named
        inputs = [unpack(one, arrays) for one in request["inputs"]]
        result = function(*inputs, **self._arguments[entry, text])
        found: list[Array] = []
        answer: dict[str, Any] = {}
        if isinstance(result, tuple) and inputs and result and result[0] is inputs[0]:
            answer["unchanged"] = True
            result = (None, *result[1:])
        return {**answer, "result": pack(result, found)}, found
