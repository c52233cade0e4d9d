"""Writes the truth of frames, one after the other, into a folder."""

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import tifffile

from dipstream.source import SourceTruth, TruthPixels
from dipstream.truth.folder import (
    FRAME_COLUMNS,
    FramePlace,
    SetPlace,
    TruthFolder,
    TruthRecord,
    object_columns,
)
from dipstream.truth.growing import GrowingTable
from dipstream.truth.numbers import Numbers
from dipstream.truth.open_set import OpenSet
from dipstream.truth.replacing import replacing
from dipstream.truth.sequences import Sequences
from dipstream.truth.true_set import TrueSet

__all__ = ["TruthBook"]

_MOST_OPEN = 256
_TRACKS_EVERY_S = 2.0


class TruthBook:
    """Rows, label images and masks of the frames it is told of; used by one thread.

    A set's rows are written when the frames of all its channels have come: its objects first, its
    frames last, so that whoever finds a frame finds its objects as well. A folder that is there is
    continued: what was written stays, what was half written is written anew, and what comes again
    is passed over.

    Parameters
    ----------
    path
        The folder, made if it is not there.
    record
        What is written: source, channels, level.
    truth
        Returns the truth of a device number.
    warn
        Told what a person should know.
    clock
        Monotonic seconds, for tests.

    Raises
    ------
    StoreError
        If the folder belongs to another source.
    """

    def __init__(
        self,
        path: Path,
        record: TruthRecord,
        truth: Callable[[int], SourceTruth],
        *,
        warn: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder = TruthFolder(path)
        self._record = record
        self._truth = truth
        self._clock = clock
        self._open: OrderedDict[SetPlace, OpenSet] = OrderedDict()
        self._seen = Numbers()
        self._sets: dict[tuple[str, int], Numbers] = {}
        self._tracks_at = clock()
        path.mkdir(parents=True, exist_ok=True)
        with ExitStack() as opened:
            self._objects = GrowingTable(self.folder.objects, object_columns(record.channels))
            opened.callback(self._objects.close)
            self._frames = GrowingTable(self.folder.frames, FRAME_COLUMNS)
            opened.callback(self._frames.close)
            self._sequences = None if record.level == "objects" else Sequences(self.folder, warn)
            if self._sequences is not None:
                opened.callback(self._sequences.close)
            self._resume()
            self.folder.write(record)
            opened.pop_all()

    def add(self, frame: FramePlace) -> TrueSet | None:
        """Write what is known of a frame; return the truth of its image set if it is the first."""
        if frame.seq in self._seen:
            return None
        self._seen.add(frame.seq)
        truth = self._truth(frame.seq)
        place, first = frame.set_place, None
        written = place.t in self._times(place)
        if place not in self._open:
            true = TrueSet.of(frame, truth, self._record.pixel_um)
            self._open[place] = OpenSet(true, truth)
            if not written:
                first = true
                if self._sequences is not None:
                    self._sequences.add(true)
        self._open[place].add(frame, truth, self._pixels(frame, truth))
        if self._open[place].channels >= set(self._record.channels):
            self._close(place)
        elif len(self._open) > _MOST_OPEN:
            self._close(next(iter(self._open)))
        if self._clock() - self._tracks_at > _TRACKS_EVERY_S:
            self._write_tracks()
        return first

    def close(self) -> None:
        """Write the sets that lack a channel, and the tracks; may be called twice."""
        with ExitStack() as closing:  # closes all of them, even if one cannot be
            closing.callback(self._objects.close)
            closing.callback(self._frames.close)
            if self._sequences is not None:
                closing.callback(self._sequences.close)
            while self._open:
                self._close(next(iter(self._open)))
            self._write_tracks()

    def _close(self, place: SetPlace) -> None:
        closed, times = self._open.pop(place), self._times(place)
        if place.t not in times:
            self._objects.append(closed.object_rows(self._record.channels))
            times.add(place.t)
        self._frames.append(closed.frame_rows())

    def _write_tracks(self) -> None:
        self._tracks_at = self._clock()
        if self._sequences is not None:
            self._sequences.write_tracks()

    def _pixels(self, frame: FramePlace, truth: SourceTruth) -> TruthPixels | None:
        if self._record.level != "full" or truth.pixels is None:
            return None
        pixels = truth.pixels()
        path = self.folder.pixels(frame.seq)
        path.parent.mkdir(exist_ok=True)
        with replacing(path) as fresh, fresh.open("wb") as file:
            np.savez(
                file,
                photons=pixels.photons,
                electrons=pixels.electrons,
                saturated=pixels.saturated,
            )
        if pixels.saturated.any():
            mask = self.folder.saturated(frame.seq)
            mask.parent.mkdir(exist_ok=True)
            image = pixels.saturated.astype(np.uint8) * np.uint8(255)
            with replacing(mask) as fresh:
                tifffile.imwrite(fresh, image, compression="zlib")
        return pixels

    def _times(self, place: SetPlace) -> Numbers:
        return self._sets.setdefault((place.position, place.z), Numbers())

    def _resume(self) -> None:
        for row in self._frames.rows():
            self._seen.add(int(row["seq"]))
            place = _place(row)
            self._times(place).add(place.t)
        # Objects of a set whose frames are not there may be a part of it.
        self._objects.cut(lambda row: (place := _place(row)).t in self._times(place))
        if self._sequences is not None:
            self._sequences.remember(self._objects.rows())


def _place(row: Mapping[str, str]) -> SetPlace:
    return SetPlace(row["position"], int(row["t"]), int(row["z"]))
