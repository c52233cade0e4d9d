"""Colour pictures: three planes R, G and B, or one grey plane told three times.

Microscope software often saves a grey camera's picture as RGB(A). Whether it is grey is seen
in the pixels only. Each source decides it once, on its first readable file, so that the
channels of a run do not change in its middle.
"""

from collections.abc import Sequence

import numpy as np

from dipstream.errors import ReadError
from dipstream.frame import Pixels
from dipstream.reader import ImageFile, Plane

__all__ = ["RGB", "colour_planes", "is_colour", "read_grey"]

RGB = ("R", "G", "B")


def colour_planes() -> tuple[Plane, ...]:
    """Return the planes of a single colour picture."""
    return tuple(Plane(c, c=c, channel=name) for c, name in enumerate(RGB))


def is_colour(planes: Sequence[Plane]) -> bool:
    """Whether these planes of a file are R, G and B, each as often as the others."""
    return (
        len(planes) > 0
        and len(planes) % 3 == 0
        and all(plane.channel == RGB[number % 3] for number, plane in enumerate(planes))
    )


def read_grey(image: ImageFile, planes: Sequence[Plane]) -> Pixels | None:
    """Return the one plane that R, G and B have in common; None if they differ."""
    if len(planes) != 3:
        raise ReadError(f"a colour picture has 3 planes; received {len(planes)}")
    red, green, blue = (image.read(plane) for plane in planes)
    return red if np.array_equal(red, green) and np.array_equal(red, blue) else None
