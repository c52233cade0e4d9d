"""The whole chain, from raw pixels to rows: the user's script, OpenCV and dipstream in turns."""

from collections.abc import Callable, Iterator, Mapping
from statistics import median
from typing import Any

from benchmarks import opencv_script, user_script
from benchmarks.effort import Effort
from benchmarks.fields import NO_PAIR, Field, generated_field, moving, workshop_pair
from benchmarks.pipelines import image_set, in_turn, plan_for, scratch, threads_rate, timed_ms
from benchmarks.report import NOT_INSTALLED, Block
from benchmarks.scene import DARK_DN
from dipstream.frame import ImageSet
from dipstream.pipeline import Pipeline, open_plan

__all__ = ["chain"]

_THREADS = 2
_FRAMES_A_TURN = 4
_SECONDS_OF_THREADS = 0.3
_COLUMNS = {
    "field": "frame / nuclei",
    "script_ms": "user's script",
    "opencv_ms": "OpenCV",
    "dipstream_ms": "dipstream",
    "dipstream_2_ms": f"{_THREADS} threads",
    "preset_ms": "preset nuclei",
    "ratio": "script ÷ dipstream",
    "ratio_2": f"÷ {_THREADS} threads",
    "fps": "frames/s",
    "fps_2": f"{_THREADS} threads",
    "objects": "objects",
    "script_objects": "script's",
}
_NOTE = (
    "ms a frame, medians; correction, Gaussian, Otsu, holes, cleaning, split, shape and "
    "intensity. dipstream also judges each frame's quality and hashes it."
)


def chain(effort: Effort) -> Block:
    """Measure ms a frame of each way, in turns, so that what else the machine does falls on all."""
    notes = [_NOTE]
    if not opencv_script.available():
        notes.append('OpenCV is not installed: pip install "dipstream[bench]"')
    if effort.pair and workshop_pair() is None:
        notes.append(NO_PAIR)
    rows = [_measure(field, effort) for field in _fields(effort)]
    return Block("Whole chain", _COLUMNS, rows, notes)


def _fields(effort: Effort) -> Iterator[Field]:
    for side, nuclei in effort.chain:
        yield generated_field(side, nuclei)
    pair = workshop_pair() if effort.pair else None
    if pair is not None:
        yield pair


def _measure(field: Field, effort: Effort) -> dict[str, Any]:
    shown = moving(field)
    with scratch() as folder:
        line = plan_for(field, folder).compile(tuple(field.planes))
        preset = open_plan("nuclei").compile(tuple(field.planes))
        sets = [image_set(one, number) for number, one in enumerate(shown)]
        ways = {
            "script_ms": (in_turn(shown, _script(user_script.nuclei_of)), 1),
            "dipstream_ms": (in_turn(sets, line.analyse), _FRAMES_A_TURN),
            "preset_ms": (in_turn(sets, preset.analyse), 1),
        }
        if opencv_script.available():
            ways["opencv_ms"] = (in_turn(shown, _script(opencv_script.nuclei_of)), 1)
        found = _in_turns(ways, line, sets, effort.rounds)
        objects = len(line.analyse(sets[0]).tables["nuclei"])
    labels, _ = _script(user_script.nuclei_of)(shown[0])
    return {
        "field": field.name,
        "opencv_ms": NOT_INSTALLED,
        **found,
        "ratio": found["script_ms"] / found["dipstream_ms"],
        "ratio_2": found["script_ms"] / found["dipstream_2_ms"],
        "fps": 1e3 / found["dipstream_ms"],
        "fps_2": 1e3 / found["dipstream_2_ms"],
        "objects": objects,
        "script_objects": int(labels.max()),
    }


def _in_turns(
    ways: Mapping[str, tuple[Callable[[], Any], int]],
    line: Pipeline,
    sets: list[ImageSet],
    rounds: int,
) -> dict[str, float]:
    """Return median ms of each way and of the threads, one after the other, round by round."""
    for work, _ in ways.values():  # compiles, and fills caches
        work()
    times: dict[str, list[float]] = {name: [] for name in (*ways, "dipstream_2_ms")}
    for _ in range(rounds):
        for name, (work, repeats) in ways.items():
            times[name] += [timed_ms(work) for _ in range(repeats)]
        seconds = max(_SECONDS_OF_THREADS, 2 * times["dipstream_ms"][-1] / 1e3)
        times["dipstream_2_ms"].append(1e3 / threads_rate(line, sets, _THREADS, seconds))
    return {name: median(taken) for name, taken in times.items()}


def _script(function: Callable[..., Any]) -> Callable[[Field], Any]:
    return lambda field: function(list(field.planes.values()), DARK_DN, field.flat)
