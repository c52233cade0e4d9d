"""Steps with their parameters, as a plan holds them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dipstream.registry import Step

if TYPE_CHECKING:
    from dipstream.fusion import Call

__all__ = ["BoundStep", "Segmentation"]


@dataclass(frozen=True, slots=True, eq=False)
class BoundStep:
    """A step with its parameters.

    Attributes
    ----------
    key
        Where it stands in the file, for instance ``correct[1]``: names its state.
    parameters
        What the function gets; files are full paths.
    written
        The parameters as the canonical form shows them.
    only
        For corrections: the channels it is applied to; None for all.
    """

    step: Step
    key: str
    parameters: Mapping[str, Any]
    written: Mapping[str, Any]
    only: tuple[str, ...] | None = None

    def __call__(self, *inputs: Any) -> Any:
        """Call the function with its parameters."""
        return self.step.function(*inputs, **self.parameters)

    @property
    def call(self) -> "Call":
        """The function and its parameters."""
        return self.step.function, dict(self.parameters)

    @property
    def ordered(self) -> bool:
        """Whether it carries a state from set to set."""
        return self.step.mark.kind == "ordered"

    def entry(self) -> dict[str, Any]:
        """Return the step as it is written in a pipeline file."""
        return {self.step.name: dict(self.written)}


@dataclass(frozen=True, slots=True, eq=False)
class Segmentation:
    """How one type of object is found; channel None is the first of the run."""

    kind: str
    channel: str | None
    steps: tuple[BoundStep, ...]
