"""Compares results with the simulator's truth, while the run goes on."""

import threading
import time
from collections import OrderedDict
from dataclasses import replace
from typing import Any, Generic, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from dipstream.cli.score_words import f1_words, iou_words, link_words
from dipstream.errors import DipstreamError
from dipstream.run import Result
from dipstream.truth import FoundSet, Score, ScoreTally, SetPlace, TrueSet, compare

__all__ = ["LiveScore"]

_MOST_BYTES = 64_000_000
_MOST_WAITING = 4096


LabelImage: TypeAlias = npt.NDArray[np.int32]
T = TypeVar("T", TrueSet, FoundSet)


class LiveScore:
    """Pairs results with the truth as either comes, and adds up the score.

    Both are taken in without any work, from the threads that have them; the comparing is done in
    `update`, by whoever shows the score. If that falls behind, label images are let go first (then
    fewer image sets count for the F1 at IoU 0.5), and in the end whole image sets are skipped;
    the sentence says of how many it speaks. An image set that cannot be compared, for its shape
    is another, is counted and said as well.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._on = True
        self._true: _Waiting[TrueSet] = _Waiting()
        self._found: _Waiting[FoundSet] = _Waiting()
        self._tally = ScoreTally(None)
        self._results = 0
        self._not_comparable = 0
        self._problem = ""

    def turn_off(self) -> None:
        """Take nothing any more: the source does not know the truth."""
        with self._lock:
            self._on = False
            self._true, self._found = _Waiting(), _Waiting()

    @property
    def on(self) -> bool:
        """Whether there is a truth to compare with."""
        return self._on

    def take(self, result: Result) -> None:
        """Note a result, from the committer's thread."""
        if result.failure or not result.tables or not self._on:
            return
        kind = next(iter(result.tables))
        rows = result.tables[kind]
        tracks, labels = result.track_ids.get(kind), result.label_images.get(kind)
        found = FoundSet(
            track_ids=np.zeros(len(rows), np.int64) if tracks is None else tracks,
            y_px=rows.column("y_px"),
            x_px=rows.column("x_px"),
            area_px=np.full(len(rows), np.nan),
            labels=labels,
            shape=None if labels is None else (labels.shape[0], labels.shape[1]),
            tracked=tracks is not None,
        )
        planes = sorted({frame.info.z for frame in result.image_set.frames})
        place = SetPlace(result.position, result.t, planes[len(planes) // 2])
        with self._lock:
            self._results += 1
            self._found.put(place, found)

    def take_truth(self, true: TrueSet) -> None:
        """Note the truth of an image set, from the recorder's thread."""
        with self._lock:
            if self._on:
                self._true.put(true.place, true)

    def update(self, budget_s: float | None = None) -> None:
        """Compare what has come since the last call, for about so long."""
        end = None if budget_s is None else time.monotonic() + budget_s
        while (pair := self._next()) is not None:
            true, found = pair
            try:
                self._tally.add(compare(true, found, precise=False))
            except DipstreamError as error:
                self._not_comparable += 1
                self._problem = self._problem or str(error)
            if end is not None and time.monotonic() > end:
                break

    def _next(self) -> tuple[TrueSet, FoundSet] | None:
        """Take out the oldest result whose truth is there."""
        with self._lock:
            for place in self._found.places():
                if place in self._true:
                    return self._true.take(place), self._found.take(place)
        return None

    def sentence(self, *, ended: bool = False) -> str:
        """Return the score in words, which are others once nothing more will come."""
        score = self._tally.score()
        if not score.image_sets and self._problem:
            return f"no comparison: {self._problem}"
        if not score.image_sets:
            return (
                "no image set could be compared with the truth"
                if ended
                else "no image set to compare with the truth yet"
            )
        return f"{_in_words(score)}{self._left_out(score)}"

    def plain(self) -> str:
        """Return the score for a line of a log."""
        score = self._tally.score()
        if not score.image_sets:
            return ""
        iou = "" if score.f1_iou50 is None else f" f1_iou50={score.f1_iou50:.3f}"
        recall = score.link_recall
        links = "" if recall is None else f" link_recall={recall:.3f}"
        return (
            f"truth: count_error={score.count_error_percent:.1f}%{iou}{links} "
            f"sets={score.image_sets}"
        )

    def summary(self) -> dict[str, Any]:
        """Return the comparison in numbers, after the last image set."""
        self.update()
        score = self._tally.score().as_dict()
        return {
            "truth_image_sets": score["image_sets"],
            "truth_objects_mean": score["truth_objects_mean"],
            "found_objects_mean": score["found_objects_mean"],
            "count_error_percent": score["count_error_percent"],
            "f1_iou50": score["f1_iou50"],
            "link_recall": score["link_recall"],
        }

    def _left_out(self, score: Score) -> str:
        compared = score.image_sets
        if compared >= self._results:
            return ""
        other = f", {self._not_comparable} not comparable" if self._not_comparable else ""
        return f"; {compared} of {self._results} image sets{other}"


def _in_words(score: Score) -> str:
    if not score.truth_objects_mean and not score.found_objects_mean:
        return f1_words(score)
    count = (
        f"count error {score.count_error_percent:.1f} % "
        f"({score.found_objects_mean:.1f} of {score.truth_objects_mean:.1f})"
    )
    parts = (count, iou_words(score), link_words(score))
    return ", ".join(part for part in parts if part)


class _Waiting(Generic[T]):
    """What waits for its counterpart: the images of the newest few, the numbers of many more."""

    def __init__(self) -> None:
        self._items: OrderedDict[SetPlace, T] = OrderedDict()
        self._images: OrderedDict[SetPlace, LabelImage] = OrderedDict()
        self._bytes = 0

    def __contains__(self, place: SetPlace) -> bool:
        return place in self._items

    def places(self) -> list[SetPlace]:
        """Return what waits, oldest first."""
        return list(self._items)

    def put(self, place: SetPlace, item: T) -> None:
        """Add an item, in the place of an earlier one; the oldest make room."""
        self._drop_image(place)
        self._items[place] = replace(item, labels=None)
        if item.labels is not None:
            self._images[place] = item.labels
            self._bytes += item.labels.nbytes
        while self._bytes > _MOST_BYTES and len(self._images) > 1:
            self._drop_image(next(iter(self._images)))
        while len(self._items) > _MOST_WAITING:
            self.take(next(iter(self._items)))

    def take(self, place: SetPlace) -> T:
        """Remove an item and return it, with its image if that is still there."""
        item, image = self._items.pop(place), self._images.get(place)
        self._drop_image(place)
        return replace(item, labels=image)

    def _drop_image(self, place: SetPlace) -> None:
        image = self._images.pop(place, None)
        self._bytes -= 0 if image is None else image.nbytes
