"""Everything that is compiled, compiled before a frame has to wait for it."""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile

from dipstream.compiled import is_warm, mark_warm
from dipstream.frame import Frame, FrameInfo, ImageSet, Segment, SetKey
from dipstream.kernels import CACHE, ROOM
from dipstream.kernels.parallel import threads_inside_a_frame
from dipstream.pipeline import Pipeline, Plan, open_plan
from dipstream.registry import list_drivers
from dipstream.sources import open_source
from dipstream.steps.image import Labels, Mask
from dipstream.steps.quality import check_finite

__all__ = ["ensure_warm", "warm_up", "was_warmed_up"]

_SIZE = 448  # a nucleus of more than 180 px in radius, and small ones beside it
_DTYPES = ("uint8", "uint16", "float32")
_CHANNELS = ("first", "second")
_FLAT = """dipstream: 1
correct:
  - dark_flat: {dark_dn: 10, flat: flat.tif}
objects:
  nuclei:
    steps:
      - gaussian: {sigma_px: 1.5}
      - threshold: {method: METHOD}
      - fill_holes: {}
      - clean: {min_area_px: 20}
      - split: {}
measure: [{shape: {}}, {intensity: {}}]
track: {nuclei: {lap: {}}}
"""

Say = Callable[[str], None]


def ensure_warm(say: Say) -> None:
    """Compile what was never compiled on this machine, and say so before; else return at once."""
    if was_warmed_up():
        return
    say("compiling the kernels for this machine; this takes about a minute, once")
    if CACHE is None:
        say("but each time, for there is no folder to keep them; set NUMBA_CACHE_DIR to one")
    try:
        say(f"compiled in {warm_up():.0f} s")
    except OSError as error:
        say(f"not everything could be compiled beforehand, the first frames will wait: {error}")


def was_warmed_up() -> bool:
    """Return whether everything was compiled before, and is kept."""
    return is_warm(ROOM, CACHE)


def warm_up(say: Say = lambda _: None) -> float:
    """Compile every kernel, or load it from the cache; return how long it took, in seconds.

    Parameters
    ----------
    say
        Told what comes next.
    """
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        plans = list(_plans(Path(folder)))
        for dtype in _DTYPES:
            say(f"frames of {dtype}")
            for plan in plans:
                _analyse(plan.compile(_CHANNELS), _scene(dtype))
        with threads_inside_a_frame(2):
            _analyse(plans[0].compile(_CHANNELS), _scene("uint16"))
    if any(driver.name == "sim" for driver in list_drivers()):
        say("the simulator")
        _simulate()
    mark_warm(ROOM, CACHE)
    return time.perf_counter() - begin


def _plans(folder: Path) -> Iterator[Plan]:
    tifffile.imwrite(folder / "flat.tif", np.full((_SIZE, _SIZE), 50, np.uint16))
    for method in ("otsu", "triangle", "isodata", "li", "yen", "mean"):
        path = folder / f"{method}.yaml"
        path.write_text(_FLAT.replace("METHOD", method), encoding="utf-8")
        yield open_plan(path)
        plain = _FLAT.replace("METHOD", method).replace(", flat: flat.tif", "")
        path.write_text(plain, encoding="utf-8")
        yield open_plan(path)
    for preset in ("nuclei", "cells", "spots"):
        yield open_plan(preset)


def _analyse(pipeline: Pipeline, scene: npt.NDArray[Any]) -> None:
    """Analyse a frame and the next one, in which everything has moved, and link them."""
    states: dict[str, Any] = {}
    for t, pixels in enumerate((scene, np.roll(scene, 2, axis=1))):
        segment = Segment((_SIZE, _SIZE), str(pixels.dtype), camera="warm-up")
        frames = tuple(Frame(pixels, FrameInfo(segment, name, t=t)) for name in _CHANNELS)
        image_set = ImageSet(t, SetKey(0, "0", t, 0), frames, (2 * t, 2 * t + 1), _CHANNELS)
        check_finite(pixels)
        done = pipeline.analyse(image_set)
        for labels in done.labels.values():
            _see(labels)
        for kind in pipeline.track:
            rows = done.tables[kind]
            states[kind], _ = pipeline.link(kind, states.get(kind), rows, image_set, 1 + 1000 * t)


def _see(labels: Labels) -> None:
    """Look at labels in every form."""
    dense = Labels(labels.dense)
    Mask(Mask(dense.dense > 0).runs).dense  # noqa: B018 - views are made when they are looked at
    Mask(dense.runs.runs).dense  # noqa: B018


def _scene(dtype: str) -> npt.NDArray[Any]:
    """Return discs of all kinds: deep, small, touching, hollow, cut by the border; on noise."""
    y, x = np.mgrid[:_SIZE, :_SIZE]
    light = np.random.default_rng(0).normal(20, 2, (_SIZE, _SIZE))
    discs = [(190, 190, 185), (410, 410, 12), (410, 430, 12), (440, 300, 10), (400, 60, 14)]
    for cy, cx, radius in discs:
        light[(y - cy) ** 2 + (x - cx) ** 2 <= radius**2] += 100
    light[(y - 400) ** 2 + (x - 60) ** 2 <= 9] -= 100
    return np.clip(np.rint(light), 0, 255).astype(dtype)


def _simulate() -> None:
    for noise in ("fast", "exact"):
        with ExitStack() as opened:
            source = open_source(f"sim:?width=64&height=64&n=3&fps=0&noise={noise}")
            opened.enter_context(source)
            list(islice(source.frames(), 4))
