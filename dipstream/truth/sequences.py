"""Label images and tracks in the layout of the Cell Tracking Challenge, while they come.

Format: http://celltrackingchallenge.net, "Naming and file content conventions":
``man_trackTTTT.tif`` whose labels are track numbers, and ``man_track.txt`` with a line L B E P for
each track: its number, first and last time, and the track it came from (0 for none).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile

from dipstream.truth.folder import SEQUENCE_COLUMNS, SetPlace, TruthFolder
from dipstream.truth.growing import GrowingTable
from dipstream.truth.replacing import replacing
from dipstream.truth.true_set import TrueSet

__all__ = ["Sequences"]

_LARGEST = np.iinfo(np.uint16).max


@dataclass(slots=True)
class _Life:
    """First and last time of a track, and its parent."""

    first: int
    last: int
    parent: int

    def see(self, t: int) -> None:
        self.first, self.last = min(self.first, t), max(self.last, t)


class Sequences:
    """Numbers the positions and planes, in order of appearance, and writes their tracks.

    Parameters
    ----------
    folder
        Where to write.
    warn
        Told once if track numbers outgrow 16 bits; the images are then uint32.
    """

    def __init__(self, folder: TruthFolder, warn: Callable[[str], None]) -> None:
        self._folder = folder
        self._warn = warn
        self._warned = False
        self._table = GrowingTable(folder.sequences, SEQUENCE_COLUMNS)
        try:
            self._numbers = {
                (row["position"], int(row["z"])): int(row["sequence"]) for row in self._table.rows()
            }
        except BaseException:
            self._table.close()
            raise
        self._lives: dict[int, dict[int, _Life]] = {}
        self._changed: set[int] = set()

    def remember(self, rows: Iterable[Mapping[str, str]]) -> None:
        """Take in the tracks of an earlier session, as the rows of ``objects.csv`` tell them."""
        for row in rows:
            place = SetPlace(row["position"], int(row["t"]), int(row["z"]))
            self._see(place, int(row["track_id"]), int(row["parent_id"]))

    def add(self, true: TrueSet) -> None:
        """Write the label image of a set and note its tracks."""
        sequence = self._number(true.place)
        path = self._folder.labels(sequence, true.place.t)
        if true.labels is not None:
            tracks = np.concatenate([[0], true.track_ids])
            wide = int(tracks.max()) > _LARGEST
            if wide and not self._warned:
                self._warned = True
                self._warn(
                    f"there are more than {_LARGEST} tracks: label images of the truth are uint32 "
                    "from now on, which programs of the Cell Tracking Challenge may not read"
                )
            image = tracks.astype(np.uint32 if wide else np.uint16)[true.labels]
            with replacing(path) as fresh:
                # The fastest level: labels are flat, higher ones save next to nothing.
                tifffile.imwrite(fresh, image, compression="zlib", compressionargs={"level": 1})
        for track, parent in zip(true.track_ids.tolist(), true.parent_ids.tolist(), strict=True):
            self._see(true.place, track, parent)

    def write_tracks(self) -> None:
        """Write ``man_track.txt`` of every sequence that has changed."""
        for sequence in sorted(self._changed):
            lives = self._lives[sequence]
            # A mother outside this sequence is none: a parent has to have a line of its own.
            lines = [
                f"{track} {life.first} {life.last} {life.parent if life.parent in lives else 0}\n"
                for track, life in sorted(lives.items())
            ]
            with replacing(self._folder.tracks(sequence) / "man_track.txt") as fresh:
                fresh.write_text("".join(lines), encoding="ascii")
        self._changed.clear()

    def close(self) -> None:
        """Let go of the table."""
        self._table.close()

    def _see(self, place: SetPlace, track: int, parent: int) -> None:
        sequence = self._number(place)
        self._changed.add(sequence)
        self._lives.setdefault(sequence, {}).setdefault(track, _Life(place.t, place.t, parent)).see(
            place.t
        )

    def _number(self, place: SetPlace) -> int:
        key = place.position, place.z
        if key not in self._numbers:
            sequence = len(self._numbers) + 1
            self._numbers[key] = sequence
            self._table.append([(sequence, *key)])
        sequence = self._numbers[key]
        if sequence not in self._lives:
            self._lives[sequence] = {}
            self._changed.add(sequence)
            _make(self._folder.tracks(sequence))
        return sequence


def _make(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
