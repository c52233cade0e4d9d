"""Ground truth in the layout of the Cell Tracking Challenge: reading it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dipstream.errors import ReadError
from dipstream.truth.overlap import LabelImage

__all__ = ["CtcTruth", "read_ctc_truth"]


@dataclass(frozen=True, slots=True, eq=False)
class CtcTruth:
    """Ground truth of one sequence in the layout of the Cell Tracking Challenge.

    Attributes
    ----------
    frames
        Time → labels, where a label is a track number.
    parents
        Track → the track it came from by division; only tracks with a parent.
    ignore
        Time → pixels (non-zero) where objects do not count; may be empty.
    """

    frames: Mapping[int, LabelImage]
    parents: Mapping[int, int]
    ignore: Mapping[int, LabelImage]


def read_ctc_truth(folder: str | Path) -> CtcTruth:
    """Read a ground-truth folder such as ``01_GT``.

    Reads ``TRA/man_track###.tif`` (label = track), ``TRA/man_track.txt`` (track, first and last
    time, parent or 0) and, where there are any, ``ignore/ignore###.tif``.
    """
    root = Path(folder)
    table = root / "TRA" / "man_track.txt"
    if not table.is_file():
        raise ReadError(f"{root} is no ground truth of the Cell Tracking Challenge: no {table}.")
    rows = [line.split() for line in table.read_text(encoding="utf-8").splitlines() if line.strip()]
    if not all(len(row) == 4 and all(word.isdigit() for word in row) for row in rows):
        raise ReadError(f"{table}: every line needs four numbers: track, begin, end, parent.")
    frames = _read_numbered(root / "TRA", "man_track")
    if not frames:
        raise ReadError(f"{root / 'TRA'} holds no man_track###.tif.")
    parents = {int(track): int(parent) for track, _, _, parent in rows if int(parent)}
    return CtcTruth(frames, parents, _read_numbered(root / "ignore", "ignore"))


def _read_numbered(folder: Path, stem: str) -> dict[int, LabelImage]:
    import tifffile  # noqa: PLC0415 - this module is otherwise numpy and scipy only

    paths = sorted(folder.glob(f"{stem}[0-9]*.tif"))
    return {int(path.stem.removeprefix(stem)): np.asarray(tifffile.imread(path)) for path in paths}
