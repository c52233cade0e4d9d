"""What a run found, image set by image set, as the comparison needs it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import tifffile

from dipstream.errors import ReadError
from dipstream.store import RunFolder, RunReader
from dipstream.truth import FoundSet, SetPlace
from dipstream.truth.edge import labels_cut
from dipstream.truth.numbers import Numbers

__all__ = ["FoundPlace", "FoundSets"]

_SETS_AT_ONCE = 200
_LOOK_BACK = 1000


@dataclass(frozen=True, slots=True)
class FoundPlace:
    """An image set of the run; its objects are read when they are needed."""

    set_id: int
    segment: int
    place: SetPlace


class FoundSets:
    """The analysed image sets of a run that may still grow.

    Parameters
    ----------
    run
        The run.
    """

    def __init__(self, run: RunReader) -> None:
        self._run = run
        self._seen = Numbers()
        self._newest = -1
        self._newest_event = -1
        self._parents: dict[str, dict[int, int]] = {}

    def fresh(self, *, everything: bool = False) -> list[FoundPlace]:
        """Return the image sets that no call has returned yet.

        Parameters
        ----------
        everything
            Look for those that were committed long out of turn as well.
        """
        # A set may be committed after one with a higher number, though not after a thousand.
        first = 0 if everything else max(self._newest - _LOOK_BACK, 0)
        ids = self._run.table("image_sets", where=f"set_id >= {first}", columns=["set_id"])
        unseen = [number for number in ids["set_id"].tolist() if number not in self._seen]
        found: list[FoundPlace] = []
        for start in range(0, len(unseen), _SETS_AT_ONCE):
            found += self._places(unseen[start : start + _SETS_AT_ONCE])
        for number in unseen:
            self._seen.add(number)
            self._newest = max(self._newest, number)
        return found

    def read(self, kind: str, places: Sequence[FoundPlace]) -> Iterator[tuple[FoundPlace, "_Rows"]]:
        """Yield the objects of these sets, each of which `_Rows.found_set` makes comparable."""
        tracked = kind in (self._run.record.pipeline.get("track") or {})
        shapes = self._shapes()
        for start in range(0, len(places), _SETS_AT_ONCE):
            some = places[start : start + _SETS_AT_ONCE]
            rows = self._run.objects(kind, where=_among([one.set_id for one in some]))
            by_set = dict(iter(rows.groupby("set_id")))
            for one in some:
                path = RunFolder(self._run.folder).labels / f"{one.set_id}_{kind}.tif"
                objects = by_set.get(one.set_id, rows.iloc[:0])
                yield one, _Rows(objects, path, shapes.get(one.segment), tracked)

    def parents(self, kind: str) -> Mapping[int, int]:
        """Return found track → the track it divided from, of all that is committed now."""
        newest = self._run.table(
            "track_events",
            where="event_id = (SELECT max(event_id) FROM track_events)",
            columns=["event_id"],
        )
        columns = ["object_type", "track_id", "parent_id"]
        divided = self._run.table(
            "track_events",
            where=f"event_id > {self._newest_event} AND parent_id IS NOT NULL",
            columns=columns,
        )
        for name, track, parent in zip(*(divided[column] for column in columns), strict=True):
            self._parents.setdefault(str(name), {})[int(track)] = int(parent)
        self._newest_event = max([self._newest_event, *newest["event_id"].tolist()])
        return self._parents.get(kind, {})

    def _places(self, ids: Sequence[int]) -> list[FoundPlace]:
        """Return the analysed ones, with the plane that each is compared by."""
        columns = ["set_id", "segment", "position", "t", "z", "state"]
        sets = self._run.table("image_sets", where=_among(ids), columns=columns)
        sets = sets[sets["state"] == "analysed"]
        if sets["z"].isna().any():
            frames = self._run.frames(where=_among(ids), columns=["set_id", "z"])
            middles = frames.groupby("set_id")["z"].agg(_middle)
            sets = sets.assign(z=sets["z"].fillna(sets["set_id"].map(middles)))
        return [
            FoundPlace(int(set_id), int(segment), SetPlace(str(position), int(t), int(z)))
            for set_id, segment, position, t, z in zip(
                *(sets[name] for name in columns[:-1]), strict=True
            )
        ]

    def _shapes(self) -> dict[int, tuple[int, int]]:
        columns = ["segment", "height_px", "width_px"]
        segments = self._run.table("segments", columns=columns)
        return {
            int(segment): (int(rows), int(width))
            for segment, rows, width in zip(*(segments[name] for name in columns), strict=True)
        }


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """The rows of one image set, and where its label image would lie."""

    rows: pd.DataFrame
    labels: Path
    shape: tuple[int, int] | None
    tracked: bool

    def found_set(self) -> FoundSet:
        """Return them as the comparison needs them; raises `ReadError` for a broken image."""
        rows, labels = self.rows, self._labels()
        prefix = "intensity_sum_"
        nothing = pd.Series(np.nan, index=rows.index)
        return FoundSet(
            track_ids=rows["track_id"].fillna(0).to_numpy(np.int64),
            y_px=rows["y_px"].to_numpy(np.float64),
            x_px=rows["x_px"].to_numpy(np.float64),
            area_px=np.asarray(rows.get("area", nothing), np.float64),
            sums={
                name.removeprefix(prefix): rows[name].to_numpy(np.float64)
                for name in rows.columns
                if name.startswith(prefix)
            },
            labels=labels,
            shape=self.shape,
            cut=self._cut(labels),
            tracked=self.tracked,
        )

    def _labels(self) -> npt.NDArray[np.int32] | None:
        if not self.labels.is_file():
            return None
        try:
            return np.asarray(tifffile.imread(self.labels), np.int32)
        except (OSError, ValueError, RuntimeError) as error:
            raise ReadError(f"{self.labels} cannot be read: {error}") from error

    def _cut(self, labels: npt.NDArray[np.int32] | None) -> npt.NDArray[np.bool_] | None:
        """Return which objects touch the edge, by label image or bounding box; None if unknown."""
        if labels is not None:
            numbers = self.rows["label"].to_numpy(np.int64)
            cut = labels_cut(labels, int(numbers.max(initial=0)))
            return np.asarray(cut[numbers - 1], np.bool_)
        if "bbox_y0" not in self.rows or self.shape is None:
            return None
        y0, x0, y1, x1 = (self.rows[f"bbox_{name}"].to_numpy() for name in ("y0", "x0", "y1", "x1"))
        height, width = self.shape
        return np.asarray((y0 <= 0) | (x0 <= 0) | (y1 >= height) | (x1 >= width), np.bool_)


def _among(ids: Sequence[int]) -> str:
    return f"set_id IN ({', '.join(map(str, ids))})"


def _middle(planes: "pd.Series[int]") -> int:
    distinct = sorted(set(planes.tolist()))
    return int(distinct[len(distinct) // 2])
