"""The pixels that everything is measured on: generated fields, and a real pair of channels."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from skimage.io import imread

from benchmarks.scene import make_scene

__all__ = ["NO_PAIR", "Field", "generated_field", "moving", "pair_files", "workshop_pair"]

Plane = npt.NDArray[Any]

_PAIR = ("xy040-1.png", "xy040-2.png")
NO_PAIR = "The real pair was skipped: DIPSTREAM_TEST_DATA names no folder that holds it."
_PATH_PX = ((0, 0), (2, 1), (4, 2), (6, 3), (4, 2), (2, 1))


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """One field of view.

    Attributes
    ----------
    name
        Size and number of nuclei.
    planes
        Raw (y, x) of each channel; nuclei are segmented in the first.
    flat
        float32 (y, x), mean 1: the illumination; None where nobody measured it.
    """

    name: str
    planes: Mapping[str, Plane]
    flat: npt.NDArray[np.float32] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        rows, columns = next(iter(self.planes.values())).shape
        return rows, columns


def generated_field(side: int, nuclei: int) -> Field:
    """Return a generated field of `side`² px."""
    scene = make_scene(side, nuclei)
    name = f"{side}² / {nuclei}"
    return Field(name, {"ch0": scene.raw}, (scene.flat / scene.flat.mean()).astype(np.float32))


@cache
def workshop_pair() -> Field | None:
    """Return the real pair of channels, or None if the folder of real images is not there."""
    if not all(file.is_file() for file in pair_files()):
        return None
    nuclei, reporter = (imread(file) for file in pair_files())
    return Field("pair 1392 × 940", {"nuclei": nuclei, "reporter": reporter})


def pair_files() -> tuple[Path, ...]:
    """Return where the two files of the pair should lie."""
    beside = Path(__file__).parent.parent.parent / "shared" / "data"
    folder = Path(os.environ.get("DIPSTREAM_TEST_DATA", beside)) / "workshop"
    return tuple(folder / name for name in _PAIR)


def moving(field: Field) -> Sequence[Field]:
    """Return the field shifted along a short way and back, to be shown over and over.

    No two frames that follow each other are the same, none is in a cache from the time before,
    and every object can be tracked but where the field wraps around.
    """
    return [
        replace(field, planes={name: np.roll(p, by, (0, 1)) for name, p in field.planes.items()})
        for by in _PATH_PX
    ]
