"""What makes a function a step.

A step is a typed function. Its keyword-only parameters *are* its configuration, its docstring is
its help. A pure step depends on nothing but its arguments and runs in parallel; an ordered step
takes a state and returns the next one, in acquisition order, one state a position.

Kinds of steps and their signatures, by entry point group:

- ``dipstream.correct`` pure: ``f(image: Image, *, …) -> Image``, called for each channel;
  ordered: ``f(state: State | None, images: Mapping[str, Image], *, …)
  -> tuple[State, dict[str, Image]]``
- ``dipstream.segment`` pure: from ``Image``, ``Mask`` or ``Labels`` to one of them
- ``dipstream.measure`` pure: ``f(labels: Labels, images: Mapping[str, Image], *, …)
  -> dict[str, array]``, one value an object in the order of labels; `columns` says which
- ``dipstream.track`` ordered: ``f(state: State | None, objects: Objects, *, …)
  -> tuple[State, Links]``
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias, TypeVar

import numpy.typing as npt

from dipstream.table import Column

__all__ = ["ColumnsOf", "FileInput", "State", "StepMark", "mark_of", "ordered", "pure"]

State: TypeAlias = dict[str, npt.NDArray[Any]]
"""State of an ordered step: named arrays, numbers as 0-d arrays; saved as npz, never pickled.
Return the very object you were given if nothing changed: it is then not written again."""

F = TypeVar("F", bound=Callable[..., Any])

TIMEOUT_S = 120.0


class ColumnsOf(Protocol):
    """Says, before the first frame, which columns a measure step will deliver.

    Called with the channels of the run and the step's own configuration as keywords.
    """

    def __call__(self, channels: tuple[str, ...], /, **parameters: Any) -> tuple[Column, ...]:
        """Return the columns, in order."""
        ...


class FileInput:
    """Annotation of a `Path` parameter that names a file whose content the step reads.

    ``dark: Annotated[Path, FileInput()]``: the path is relative to the pipeline file, the file
    must exist before a camera opens, and its content is part of the pipeline's hash.
    """


@dataclass(frozen=True, slots=True)
class StepMark:
    """What a decorator knows of a step."""

    kind: Literal["pure", "ordered"]
    version: int = 1
    columns: ColumnsOf | None = None
    unit: str | None = None
    timeout_s: float = TIMEOUT_S


def pure(
    *,
    version: int = 1,
    columns: ColumnsOf | None = None,
    unit: str | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Callable[[F], F]:
    """Mark a function as a step that depends on nothing but its arguments.

    Parameters
    ----------
    version
        Raise it when the same parameters give other results: it is part of the pipeline's hash.
    columns
        For measure steps: the columns they deliver.
    unit
        For corrections: the unit of the pixels afterwards, where it is another one than before.
    timeout_s
        For steps of other packages, which run in a process of their own: it is killed if one image
        set takes longer. The first one includes the import of the package.
    """
    return _marker(StepMark("pure", version, columns, unit, timeout_s))


def ordered(*, version: int = 1, timeout_s: float = TIMEOUT_S) -> Callable[[F], F]:
    """Mark a function as a step that carries a state from image set to image set.

    The state is all that it may remember: where it is part of another package, its process may be
    started anew at any time. `version` and `timeout_s` as for `pure`.
    """
    return _marker(StepMark("ordered", version, timeout_s=timeout_s))


def mark_of(function: Callable[..., Any]) -> StepMark | None:
    """Return the mark of a step, or None for any other function."""
    mark = getattr(function, "__dipstream_step__", None)
    return mark if isinstance(mark, StepMark) else None


def _marker(mark: StepMark) -> Callable[[F], F]:
    def decorate(function: F) -> F:
        function.__dipstream_step__ = mark  # type: ignore[attr-defined]
        return function

    return decorate
