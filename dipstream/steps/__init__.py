"""The steps of a pipeline, and what a step of your own needs."""

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
