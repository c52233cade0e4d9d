"""Time the sensor's fast kernel beside `Generator.poisson` on the same frame, in the same run.

python benchmarks/sensor_kernel.py [SIDE] [REPEATS]
"""

import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from dipstream_simulator.sensor import Chip, camera_preset, warm_up


def scene(side: int) -> npt.NDArray[np.float32]:
    """Background of 85 photons and, on a fifth of the field, discs of 490."""
    y, x = np.mgrid[:side, :side]
    disc = (y % 100 - 50) ** 2 + (x % 100 - 50) ** 2 < 25**2
    return np.where(disc, np.float32(490), np.float32(85))


def milliseconds(call: Callable[[int], object], repeats: int) -> tuple[float, float, float]:
    """Median and least time of a call, and the least time it kept processors busy."""
    wall, busy = [], []
    for number in range(repeats):
        begun, begun_busy = time.perf_counter(), time.process_time()
        call(number)
        wall.append(1e3 * (time.perf_counter() - begun))
        busy.append(1e3 * (time.process_time() - begun_busy))
    return statistics.median(wall), min(wall), min(busy)


def ways(chip: Chip, light: npt.NDArray[np.float32]) -> dict[str, Callable[[int], object]]:
    """Return what is compared, each a function of the frame's number."""
    lit = [(560.0, light)]
    mean = chip.expected(lit, 10.0)
    rng = np.random.default_rng(1)
    return {
        "fast, 1 thread": lambda n: chip.expose(lit, 10.0, seed=1, number=n),
        "fast, 2 threads": lambda n: chip.expose(lit, 10.0, seed=1, number=n, threads=2),
        "Generator.poisson alone": lambda _: rng.poisson(mean),
        "exact chain": lambda n: chip.expose(lit, 10.0, seed=1, number=n, exact=True),
    }


def main() -> None:
    side = int(sys.argv[1]) if len(sys.argv) > 1 else 2048
    repeats = int(sys.argv[2]) if len(sys.argv) > 2 else 15
    begun = time.perf_counter()
    warm_up()
    print(f"compiled or loaded in {time.perf_counter() - begun:.1f} s")
    chip = Chip(camera_preset("orca-flash4").sensor(rows=side, columns=side))
    bright = scene(side)
    lights = {
        "nuclei": bright,
        "10 photons": np.full_like(bright, 10),
        "1 photon": np.full_like(bright, 1),
        "dark": np.zeros_like(bright),
    }
    print(f"{side} x {side} px, sCMOS maps, ms a frame: median, least, least busy")
    for name, light in lights.items():
        for way, call in ways(chip, light).items():
            median, least, busy = milliseconds(call, repeats if "fast" in way else 3)
            print(f"{name:12} {way:24} {median:8.1f} {least:8.1f} {busy:8.1f}")


if __name__ == "__main__":
    main()
