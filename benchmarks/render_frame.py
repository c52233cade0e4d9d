"""How long one frame of expected photons and one truth take, on one core.

Run ``python -m benchmarks.render_frame``. Medians; the stage moves between frames, so that every
nucleus stands at another sub-pixel place each time. Filling an array of the same size is printed
beside them: what no renderer can be faster than.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from dipstream_simulator.optics import Microscope, Objective
from dipstream_simulator.render import Renderer, View
from dipstream_simulator.specimen.model import CHANNELS
from dipstream_simulator.specimen.population import nuclei

SIZES = ((2048, 800), (512, 60))
PIXEL_UM = 0.325


def timed_ms(work: Callable[[int], object], rounds: int) -> float:
    """Return the median of how long one call takes, in ms."""
    taken = []
    for number in range(rounds):
        began = time.perf_counter()
        work(number)
        taken.append((time.perf_counter() - began) * 1e3)
    return round(statistics.median(taken), 2)


def measure(side: int, n: int, rounds: int) -> dict[str, Any]:
    """Return medians for one size of frame."""
    channels = (CHANNELS["DAPI"], CHANNELS["GFP"])
    specimen = nuclei(7, n, extent_um=(side * PIXEL_UM, side * PIXEL_UM), channels=channels)
    microscope = Microscope(Objective(20, 0.75))
    renderer = Renderer(specimen, microscope, shape=(side, side), pixel_um=PIXEL_UM)
    out = np.empty((side, side), dtype=np.float32)

    def photons(number: int, focus_um: float = 0.0) -> None:
        view = View(0.1 * number, -0.07 * number, focus_um)
        renderer.photons(0, number % 2, view, signal=400.0, background=30.0, out=out)

    began = time.perf_counter()
    renderer.prepare()
    prepare_ms = (time.perf_counter() - began) * 1e3
    for number in range(2):  # draws the plane out of focus
        photons(number, 0.3)
    return {
        "side_px": side,
        "nuclei": n,
        "prepare_ms": round(prepare_ms),
        "fill_ms": timed_ms(lambda _: out.fill(1.0), rounds),
        "photons_ms": timed_ms(photons, rounds),
        "photons_out_of_focus_ms": timed_ms(lambda number: photons(number, 0.3), rounds),
        "truth_ms": timed_ms(lambda number: renderer.truth(0, View(0.1 * number)), rounds),
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=30, help="frames to take the median of")
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    arguments = parser.parse_args()
    results = [measure(side, n, arguments.rounds) for side, n in SIZES]
    if arguments.json:
        print(json.dumps(results))
        return
    for result in results:
        print(f"{result['side_px']}² with {result['nuclei']} nuclei")
        for name, value in list(result.items())[2:]:
            print(f"  {name:<24} {value:>8}")


if __name__ == "__main__":
    main()
