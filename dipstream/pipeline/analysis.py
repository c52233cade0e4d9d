"""What the analysis of one image set yields, and where ordered steps find their state."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Protocol

from dipstream.frame import ImageSet
from dipstream.steps.image import Labels
from dipstream.steps.quality import Quality
from dipstream.steps.step import State
from dipstream.table import RowBatch

__all__ = ["Analysis", "Failure", "FreshStates", "Ordered", "StateCell"]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an image set could not be analysed.

    Attributes
    ----------
    reason
        One sentence for the person at the microscope.
    detail
        The traceback.
    """

    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Analysis:
    """One image set, analysed or failed; written to the table in one transaction.

    Attributes
    ----------
    quality, content_hashes
        One per frame of the set, in its order; empty where the analysis did not get that far.
    tables, labels
        Rows and labels of each object type.
    estimates
        What the steps found out, such as ``nuclei_threshold`` or ``drift_y_px``.
    states
        States of ordered corrections that changed, by (step, place).
    """

    image_set: ImageSet
    quality: tuple[Quality, ...] = ()
    content_hashes: tuple[str, ...] = ()
    tables: Mapping[str, RowBatch] = field(default_factory=dict)
    labels: Mapping[str, Labels] = field(default_factory=dict)
    estimates: Mapping[str, float] = field(default_factory=dict)
    states: Mapping[tuple[str, str], State] = field(default_factory=dict)
    segmented_ns: int | None = None
    failure: Failure | None = None


@dataclass(slots=True, eq=False)
class StateCell:
    """The state of one ordered step at one place, to be read and replaced.

    A state is good for one segment only: another camera, shape or binning starts anew.
    """

    state: State | None = None
    segment: int = -1

    def enter(self, segment: int) -> None:
        """Forget the state if it belongs to another segment."""
        if segment != self.segment:
            self.state, self.segment = None, segment


class Ordered(Protocol):
    """Lets an image set have its turn at an ordered step."""

    def turn(self, step: str, image_set: ImageSet) -> AbstractContextManager[StateCell]:
        """Wait until all sets before this one have passed; yield the state they left."""
        ...


class FreshStates:
    """For a single image: every ordered step starts from nothing."""

    def turn(self, step: str, image_set: ImageSet) -> AbstractContextManager[StateCell]:
        """Return an empty state at once."""
        del step, image_set
        return nullcontext(StateCell())
