"""Frames per second of the simulated camera, beside `Generator.poisson` on the same frame.

Run ``python -m benchmarks.simulator``. One core; medians over several rounds in which both take
turns, so that what else the machine does falls on both.
"""

import argparse
import json
import statistics
from functools import partial
from typing import Any

import numpy as np

from benchmarks.pipelines import timed_ms
from dipstream_simulator import open_sim
from dipstream_simulator.bench import Bench

SIZES = ((2048, 800), (512, 60))
CAMERA = "orca-flash4"


def measure(side: int, n: int, rounds: int) -> dict[str, Any]:
    """Return medians for one size of frame."""
    source = open_sim(CAMERA, n=n, width=side, height=side, fps=0, seed=7)
    setup, sequence = source.setup, source.sequence
    bench = Bench(setup)
    expected = bench.photons(sequence.shot(0), 0).astype(np.float64) * 0.8
    rng = np.random.default_rng(7)
    for number in range(4):  # compiles, and blurs the specimen
        bench.expose(sequence.shot(number))
    whole, render, poisson = [], [], []
    for number in range(4, 4 + rounds):
        shot = sequence.shot(number)
        whole.append(timed_ms(partial(bench.expose, shot)))
        render.append(timed_ms(partial(bench.photons, shot, shot.channel)))
        poisson.append(timed_ms(lambda: rng.poisson(expected)))
    frame_ms, poisson_ms = statistics.median(whole), statistics.median(poisson)
    return {
        "side_px": side,
        "nuclei": n,
        "frame_ms": round(frame_ms, 2),
        "render_ms": round(statistics.median(render), 2),
        "frames_per_s": round(1e3 / frame_ms, 1),
        "poisson_ms": round(poisson_ms, 2),
        "times_faster_than_poisson": round(poisson_ms / frame_ms, 2),
        "expected_e_median": round(float(np.median(expected)), 1),
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = [measure(side, n, arguments.rounds * (1 if side > 1000 else 8)) for side, n in SIZES]
    if arguments.json:
        print(json.dumps(rows))
        return
    print(f"{CAMERA}: render + full noise with per-pixel maps, one thread (medians)")
    head = ("frame", "nuclei", "ms", "of it render", "frames/s", "Generator.poisson ms", "ratio")
    print("  ".join(f"{name:>12}" for name in head))
    for row in rows:
        cells = (
            f"{row['side_px']}²",
            row["nuclei"],
            row["frame_ms"],
            row["render_ms"],
            row["frames_per_s"],
            row["poisson_ms"],
            row["times_faster_than_poisson"],
        )
        print("  ".join(f"{cell!s:>12}" for cell in cells))


if __name__ == "__main__":
    main()
