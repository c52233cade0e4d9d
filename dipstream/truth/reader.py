"""Reads the truth of a run back, finished or still growing."""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import tifffile

from dipstream.errors import ReadError
from dipstream.truth.folder import FRAME_COLUMNS, SetPlace, TruthFolder, object_columns
from dipstream.truth.numbers import Numbers
from dipstream.truth.tail import Tail
from dipstream.truth.true_set import TrueSet

__all__ = ["TruthReader", "find_truth"]


def find_truth(path: str | Path) -> Path:
    """Return the folder of truth that a path names: itself, or its ``truth/``.

    Raises
    ------
    ReadError
        If there is none.
    """
    named = Path(path).expanduser()
    for folder in (named, named / "truth"):
        if TruthFolder(folder).about.is_file():
            return folder
    raise ReadError(
        f"there is no truth in {named}: neither truth.json nor truth/truth.json. Name the folder "
        "that `dipstream simulate` made, or the truth/ of a run"
    )


class TruthReader:
    """Image sets of a folder of truth; each call of `update` sees what has been added.

    Parameters
    ----------
    path
        The folder with ``truth.json``.

    Raises
    ------
    ReadError
        If there is none.
    """

    def __init__(self, path: Path) -> None:
        self.folder = TruthFolder(path)
        self.record = self.folder.read()
        self._frames = Tail(self.folder.frames, FRAME_COLUMNS)
        self._objects = Tail(self.folder.objects, object_columns(self.record.channels))
        # How many objects each set has, by the frame that came first.
        self._written: dict[SetPlace, int] = {}
        self._taken: dict[tuple[str, int], Numbers] = {}
        self._newest: dict[tuple[str, int], int] = {}
        self._rows: dict[SetPlace, pd.DataFrame] = {}
        self._sequences: dict[tuple[str, int], int] = {}

    def update(self) -> None:
        """Read what has been written since the last call; raises `ReadError` if it cannot be."""
        # ORDER MATTERS: a set's objects are written before its frames, so that with the frames
        # read first, every set that counts as written has its objects in what is read next.
        fresh: dict[SetPlace, int] = {}
        for rows in self._frames.read():
            for key, n in zip(_keys(rows), rows["objects"].tolist(), strict=True):
                fresh.setdefault(SetPlace(*key), n)
        for rows in self._objects.read():
            for _, part in rows.groupby(["position", "t", "z"], sort=False):
                place = SetPlace(*next(_keys(part)))
                before = self._rows.get(place)
                self._rows[place] = part if before is None else pd.concat([before, part])
        for place, n in fresh.items():
            if not self._gone(place):
                self._written.setdefault(place, n)
            stack = place.position, place.z
            self._newest[stack] = max(self._newest.get(stack, place.t), place.t)

    def knows(self, place: SetPlace) -> bool:
        """Return whether a set is written, be it that `take` has given it away already."""
        return place in self._written or self._gone(place)

    def newest_t(self, place: SetPlace) -> int | None:
        """Return the latest time that is written of a position and plane; None before the first."""
        return self._newest.get((place.position, place.z))

    def positions(self) -> list[str]:
        """Return the positions that are there."""
        return sorted({position for position, _ in self._newest})

    def take(self, place: SetPlace) -> TrueSet | None:
        """Return the truth of a set once, with its label image; None if not yet, or gone already.

        Raises
        ------
        ReadError
            If its objects, or its label image, cannot be read.
        """
        if place not in self._written:
            return None
        n = self._written.pop(place)
        self._taken.setdefault((place.position, place.z), Numbers()).add(place.t)
        rows = self._rows.pop(place, None)
        if rows is None and n:
            raise ReadError(
                f"{self.folder.objects} lacks the {n} objects of position {place.position}, "
                f"t={place.t}, z={place.z}, which {self.folder.frames.name} counts. Copy the whole "
                "folder of the truth again, or simulate anew"
            )
        return self._empty(place) if rows is None else self._true_set(place, rows)

    def _gone(self, place: SetPlace) -> bool:
        return place.t in self._taken.get((place.position, place.z), ())

    def _true_set(self, place: SetPlace, rows: pd.DataFrame) -> TrueSet:
        rows = rows.sort_values("label")
        pixel_um = self.record.pixel_um
        scale = np.nan if pixel_um is None else 1 / pixel_um
        tracks = rows["track_id"].to_numpy(np.int64)
        # A full well counts no more: such objects would bend every comparison of intensities.
        saturated = rows["saturated_px"].to_numpy(np.float64) > 0
        electrons = {
            channel: np.where(saturated, np.nan, rows[f"electrons_{channel}"].to_numpy(np.float64))
            for channel in self.record.channels
            if rows[f"electrons_{channel}"].notna().any()
        }
        return TrueSet(
            place=place,
            seq=int(rows["seq"].iloc[0]),
            track_ids=tracks,
            parent_ids=rows["parent_id"].to_numpy(np.int64),
            y_px=rows["y_um"].to_numpy(np.float64) * scale,
            x_px=rows["x_um"].to_numpy(np.float64) * scale,
            z_um=rows["z_um"].to_numpy(np.float64),
            area_px=rows["area_px"].to_numpy(np.int64),
            electrons=electrons,
            labels=self._labels(place, tracks),
            shape=self.record.shape,
        )

    def _empty(self, place: SetPlace) -> TrueSet:
        nothing, none = np.empty(0), np.empty(0, np.int64)
        return TrueSet(
            place, -1, none, none, nothing, nothing, nothing, none,
            labels=self._labels(place, none),
            shape=self.record.shape,
        )  # fmt: skip

    def _labels(
        self, place: SetPlace, tracks: "np.ndarray[tuple[int], np.dtype[np.int64]]"
    ) -> "np.ndarray[tuple[int, ...], np.dtype[np.int32]] | None":
        """Read the label image, numbered by the rows instead of the tracks."""
        sequence = self._sequence(place)
        path = None if sequence is None else self.folder.labels(sequence, place.t)
        if path is None or not path.is_file():
            return None
        try:
            image = np.asarray(tifffile.imread(path))
        except (OSError, ValueError, RuntimeError) as error:
            raise ReadError(
                f"{path} cannot be read: {error}. Copy it again, or delete it: the comparison then "
                "goes by centroids"
            ) from error
        row_of = np.zeros(max(int(image.max()), int(tracks.max(initial=0))) + 1, np.int32)
        row_of[tracks] = np.arange(1, len(tracks) + 1)
        numbered: np.ndarray[tuple[int, ...], np.dtype[np.int32]] = row_of[image]
        return numbered

    def _sequence(self, place: SetPlace) -> int | None:
        key = place.position, place.z
        if key not in self._sequences and self.folder.sequences.is_file():
            with self.folder.sequences.open(encoding="utf-8", newline="") as file:
                # Half a line at the end, which is still being written, says nothing yet.
                whole = (line for line in file if line.endswith("\n"))
                self._sequences = {
                    (row["position"], int(row["z"])): int(row["sequence"])
                    for row in csv.DictReader(whole)
                }
        return self._sequences.get(key)


def _keys(rows: pd.DataFrame) -> Iterator[tuple[str, int, int]]:
    for position, t, z in zip(rows["position"], rows["t"], rows["z"], strict=True):
        yield str(position), int(t), int(z)
