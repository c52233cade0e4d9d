"""What commits cost in a table of millions of rows, beside an empty one.

Run ``python -m benchmarks.scale``: tables of several sizes in one process, in turns, so that what
else the machine does meets them all alike.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.filler import COLUMNS, KIND, PER_SET, Filler
from dipstream.errors import StoreError
from dipstream.frame import Segment
from dipstream.store import RunWriter

__all__ = ["SIZES", "Growth", "measure"]

SIZES = (0, 1_000_000, 10_000_000)


@dataclass(frozen=True, slots=True)
class Growth:
    """What commits cost in a table of one size.

    Attributes
    ----------
    rows, durability
        Objects in the table before the first round, and how safe each commit is.
    rows_per_s, ms_p50, ms_p99
        Objects written a second, one image set after the other, and the time of an image set:
        medians over the rounds.
    of_empty
        The time of an image set (p50) over that in the first table, in the same round: the median
        over the rounds.
    of_empty_p99, rate_of_empty
        The same for the 99th percentile and for the objects written a second.
    """

    rows: int
    durability: str
    rows_per_s: float
    ms_p50: float
    ms_p99: float
    of_empty: float
    of_empty_p99: float
    rate_of_empty: float


def measure(
    sizes: Sequence[int] = SIZES,
    *,
    rounds: int = 15,
    commits: int = 200,
    durabilities: Sequence[str] = ("normal", "full"),
    scratch: Path | None = None,
) -> list[Growth]:
    """Return what commits cost at each size; the first one is what the others are compared with."""
    found = []
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        paths = [Path(folder) / f"{k}.db" for k in range(len(sizes))]
        for path, rows in zip(paths, sizes, strict=True):
            with _opened(path, "normal") as writer:
                Filler(writer).fill(rows)
        t = -(-max(sizes) // PER_SET)
        for durability in durabilities:
            with ExitStack() as opened:
                writers = [opened.enter_context(_opened(path, durability)) for path in paths]
                seconds = _in_turns([Filler(one, first_t=t) for one in writers], rounds, commits)
            found += _summed(sizes, durability, seconds)
            t += (rounds + 1) * commits
    return found


@contextmanager
def _opened(path: Path, durability: str) -> Iterator[RunWriter]:
    problems: list[StoreError] = []
    writer = RunWriter(path, durability)
    try:
        with writer.start_checkpointer(problems.append):
            with writer.transaction():
                writer.add_objects_table(KIND, COLUMNS)
                if not writer.segments():
                    writer.add_segment(0, Segment((64, 64), "uint16"))
            yield writer
    finally:
        writer.close()
    if problems:
        raise problems[0]


def _in_turns(tables: Sequence[Filler], rounds: int, commits: int) -> npt.NDArray[np.float64]:
    """Return the seconds of each commit (table, round, commit); a round before only warms up."""
    seconds = np.zeros((len(tables), rounds + 1, commits))
    for k in range(rounds + 1):
        # Nobody is always the first after a pause, or always behind the largest.
        order = range(len(tables)) if k % 2 else reversed(range(len(tables)))
        for one in order:
            seconds[one, k] = [tables[one].commit() for _ in range(commits)]
    return seconds[:, 1:]


def _summed(
    sizes: Sequence[int], durability: str, seconds: npt.NDArray[np.float64]
) -> list[Growth]:
    p50, p99 = np.percentile(seconds, [50, 99], axis=2)
    rate = PER_SET / seconds.mean(axis=2)
    rows = []
    for i, size in enumerate(sizes):
        figures = {
            "rows_per_s": rate[i],
            "ms_p50": p50[i] * 1e3,
            "ms_p99": p99[i] * 1e3,
            "of_empty": p50[i] / p50[0],
            "of_empty_p99": p99[i] / p99[0],
            "rate_of_empty": rate[i] / rate[0],
        }
        medians = {name: round(float(np.median(v)), 3) for name, v in figures.items()}
        rows.append(Growth(size, durability, **medians))
    return rows


def main() -> None:
    """Print one line a size, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=SIZES)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found = [asdict(one) for one in measure(given.rows, rounds=given.rounds)]
    if given.json:
        print(json.dumps(found))
        return
    print("".join(f"{name:>14}" for name in found[0]))
    for one in found:
        print("".join(f"{value!s:>14}" for value in one.values()))


if __name__ == "__main__":
    main()
