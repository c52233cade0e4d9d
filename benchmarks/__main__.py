"""Measure dipstream beside what people use today: ``python -m benchmarks``.

Every block is a table. Ratios are taken in one run, in turns; absolute figures are those of the
machine. ``--quick`` is a form of a minute whose figures are rough.
"""

import argparse
import json
import sys
import warnings
from pathlib import Path
from typing import Any

from benchmarks.blocks import BLOCKS, machine, measured
from benchmarks.effort import FULL, QUICK
from benchmarks.goals import judged
from benchmarks.report import Block, show

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, and write JSON if asked to."""
    given = _parser().parse_args(arguments)
    to_stdout = given.json == "-"
    stream = sys.stderr if to_stdout else sys.stdout
    warnings.simplefilter("ignore")  # what other libraries have to say
    about = machine()
    print("  ".join(f"{key} {value}" for key, value in about.items()), "\n", file=stream)
    blocks: dict[str, Block] = {}
    for name, block in measured(given.only or BLOCKS, QUICK if given.quick else FULL):
        blocks[name] = block
        show(block, stream)
    goals = judged(blocks)
    if goals.rows:
        show(goals, stream)
    if given.json is not None:
        found = {name: block.as_json() for name, block in (*blocks.items(), ("goals", goals))}
        _write({"machine": about, "quick": given.quick, "blocks": found}, given.json)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small and rough, within a minute")
    parser.add_argument(
        "--only",
        action="append",
        choices=list(BLOCKS),
        metavar="BLOCK",
        help=f"measure this block; may be repeated: {', '.join(BLOCKS)}",
    )
    parser.add_argument("--json", metavar="FILE", help="write everything; - for standard output")
    return parser


def _write(found: dict[str, Any], target: str) -> None:
    text = json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False)
    if target == "-":
        print(text)
    else:
        Path(target).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
