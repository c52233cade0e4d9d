"""The same recipe as a pipeline of dipstream, and image sets to give to it."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from time import perf_counter
from typing import Any, TypeVar

import numpy as np
import tifffile

from benchmarks.fields import Field
from benchmarks.scene import DARK_DN
from dipstream.frame import Frame, FrameInfo, ImageSet, Segment, SetKey
from dipstream.pipeline import Pipeline, Plan, open_plan

__all__ = ["image_set", "in_turn", "plan_for", "scratch", "threads_rate", "timed_ms"]

Shown = TypeVar("Shown")

_FLAT_DN = 10_000.0

_RECIPE = """\
dipstream: 1
correct:
  - dark_flat: {dark_dn: DARK, FLAT}
objects:
  nuclei:
    steps:
      - gaussian: {sigma_px: 1.5}
      - threshold: {method: otsu}
      - fill_holes: {}
      - clean: {min_area_px: 50}
      - split: {method: distance}
measure:
  - shape: {}
  - intensity: {}
track:
  nuclei: {lap: {max_distance_px: 20}}
"""


@contextmanager
def scratch() -> Iterator[Path]:
    """Yield a folder that is gone afterwards."""
    with TemporaryDirectory(prefix="dipstream-bench-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def plan_for(field: Field, folder: Path) -> Plan:
    """Write the pipeline file of a field, with its flat image, and read it."""
    recipe = _RECIPE.replace("DARK", f"{DARK_DN:g}")
    if field.flat is None:
        recipe = recipe.replace(", FLAT", "")
    else:
        recipe = recipe.replace("FLAT", "flat: flat.tif")
        tifffile.imwrite(folder / "flat.tif", np.float32(DARK_DN + _FLAT_DN * field.flat))
    path = folder / "bench.yaml"
    path.write_text(recipe, encoding="utf-8")
    return open_plan(path)


def image_set(field: Field, number: int = 0) -> ImageSet:
    """Return a field as an image set of its own time point."""
    dtype = str(next(iter(field.planes.values())).dtype)
    segment = Segment(shape=field.shape, dtype=dtype, camera="array")
    frames = tuple(
        Frame(plane, FrameInfo(segment=segment, channel=name, t=number))
        for name, plane in field.planes.items()
    )
    return ImageSet(
        set_id=number,
        key=SetKey(0, "0", number, 0),
        frames=frames,
        frame_ids=tuple(range(len(frames))),
        channels=tuple(field.planes),
    )


def timed_ms(work: Callable[[], Any]) -> float:
    """Return how long one call takes, in ms."""
    begun = perf_counter()
    work()
    return (perf_counter() - begun) * 1e3


def in_turn(shown: Sequence[Shown], function: Callable[[Shown], Any]) -> Callable[[], Any]:
    """Return a function of nothing that takes the next field or image set each time."""
    left = cycle(shown)
    return lambda: function(next(left))


def threads_rate(
    pipeline: Pipeline, sets: Sequence[ImageSet], threads: int, seconds: float
) -> float:
    """Return image sets analysed a second by threads that take one each, for so long."""
    lock, left = Lock(), cycle(sets)
    begun = perf_counter()

    def work() -> list[float]:
        finished: list[float] = []
        while not finished or perf_counter() - begun < seconds:
            with lock:
                taken = next(left)
            pipeline.analyse(taken)
            finished.append(perf_counter())
        return finished

    with ThreadPoolExecutor(threads) as pool:
        parts = [part.result() for part in [pool.submit(work) for _ in range(threads)]]
    finished = [moment for part in parts for moment in part]
    return len(finished) / (max(finished) - begun)
