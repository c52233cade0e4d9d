"""The steps of a pipeline, and what a step of your own needs."""

from typing import TYPE_CHECKING

from dipstream.on_use import on_use

if TYPE_CHECKING:
    from dipstream.steps.image import Image, Labels, Mask
    from dipstream.steps.objects import Links, Objects, TrackEvent, TrackEvents
    from dipstream.steps.step import FileInput, State, ordered, pure
    from dipstream.table import Column

__all__ = [
    "Column",
    "FileInput",
    "Image",
    "Labels",
    "Links",
    "Mask",
    "Objects",
    "State",
    "TrackEvent",
    "TrackEvents",
    "ordered",
    "pure",
]

# The store and the registry need only what is in single modules, not the kernels.
__getattr__ = on_use(
    __name__,
    {
        "Column": "dipstream.table",
        "FileInput": "dipstream.steps.step",
        "Image": "dipstream.steps.image",
        "Labels": "dipstream.steps.image",
        "Links": "dipstream.steps.objects",
        "Mask": "dipstream.steps.image",
        "Objects": "dipstream.steps.objects",
        "State": "dipstream.steps.step",
        "TrackEvent": "dipstream.steps.objects",
        "TrackEvents": "dipstream.steps.objects",
        "ordered": "dipstream.steps.step",
        "pure": "dipstream.steps.step",
    },
)
