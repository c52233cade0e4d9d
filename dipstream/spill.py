"""Image sets that wait on the disk: checksummed records in segment files, kept until committed.

A segment file is a row of records, appended and never changed:

    4 bytes "SET1" | length of the JSON, 4 bytes | length of the pixels, 8 bytes
    XXH3-64 of both lengths and the JSON, 8 bytes | XXH3-64 of the pixels, 8 bytes
    JSON: the image set and what is known of its frames | the frames' pixels, one after the other

Numbers are little-endian. A crash can tear only the last record of a file; it is passed over.
"""

import os
import struct
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from io import FileIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import xxhash
from pydantic import TypeAdapter
from pydantic_core import to_json

from dipstream.errors import ReadError
from dipstream.frame import Frame, FrameInfo, ImageSet, Pixels, Segment, SetKey, bytes_held
from dipstream.store.durable import sync_folder

__all__ = ["Spill", "Spilled", "without_pixels"]

_PREFIX = struct.Struct("<4sIQQQ")
_LENGTHS = struct.Struct("<IQ")
_MAGIC = b"SET1"
_SEGMENT_BYTES = 64_000_000
_LONGEST_JSON = 16_000_000
_SYNC_EVERY_S = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class Spilled:
    """An image set whose pixels are on the disk: what the run must know without reading them."""

    set_id: int
    key: SetKey
    frame_ids: tuple[int, ...]
    channels: tuple[str, ...]
    partial: bool
    version: int
    nbytes: int
    file: int
    offset: int

    def blank(self) -> ImageSet:
        """Return the set without its pixels, for the rows that say what became of it."""
        nothing = np.zeros((0, 0), "uint8")
        frame = Frame(nothing, FrameInfo(Segment.unread(), "", position=self.key.position))
        return ImageSet(
            set_id=self.set_id,
            key=self.key,
            frames=(frame,) * len(self.frame_ids),
            frame_ids=self.frame_ids,
            channels=self.channels,
            partial=self.partial,
            version=self.version,
        )


@dataclass(frozen=True, slots=True)
class _Head:
    """The JSON of a record."""

    set_id: int
    key: SetKey
    frame_ids: tuple[int, ...]
    channels: tuple[str, ...]
    partial: bool
    version: int
    infos: tuple[FrameInfo, ...]
    shapes: tuple[tuple[int, int], ...]
    dtypes: tuple[str, ...]


_HEAD = TypeAdapter(_Head)


class Spill:
    """The segment files of one run; safe to use from several threads.

    Sets are written by one thread at a time, in their order. Nothing here raises for a disk that is
    full or broken: `write` returns None from then on, and `problem` says why.

    Parameters
    ----------
    folder
        Where the files lie; made with the first set that is written.
    limit_bytes
        How large all files together may become.
    sync
        Bring what is written to the disk at once; a set is safe from a power cut, and counted by
        `frame_ids`, once that is done. Sets that come within 50 ms share one sync.
    segment_bytes
        A file that is larger gets no more sets. The smallest unit that is deleted.
    failed
        Told once, in words, why nothing more can be spilled.
    """

    def __init__(
        self,
        folder: Path,
        limit_bytes: int,
        *,
        sync: bool,
        segment_bytes: int | None = None,
        failed: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._folder = folder
        self._limit_bytes = limit_bytes
        self._sync = sync
        self._segment_bytes = segment_bytes or min(_SEGMENT_BYTES, max(limit_bytes // 8, 1))
        self._failed = failed
        self._lock = threading.Lock()
        self._sizes = {int(path.stem): path.stat().st_size for path in folder.glob("*.spill")}
        self._waiting = dict.fromkeys(self._sizes, 0)
        self._files: dict[int, int] = {}
        self._current = max(self._sizes, default=-1)
        self._first = self._current + 1
        self._file: FileIO | None = None
        # Files that hold what is not known to be on the disk yet, and the sets it is.
        self._dirty: dict[int, FileIO] = {}
        self._unsynced: set[int] = set()
        self._wake = threading.Event()
        self._ended = False
        self._syncer: threading.Thread | None = None
        self.problem = ""
        self.torn = 0

    @property
    def fill(self) -> float:
        """How much of the limit the files take, 0 to 1."""
        with self._lock:
            return sum(self._sizes.values()) / self._limit_bytes

    @property
    def waiting(self) -> int:
        """How many sets were spilled and are not committed."""
        with self._lock:
            return len(self._files)

    def left_over(self) -> Iterator[tuple[Spilled, tuple[FrameInfo, ...]]]:
        """Yield what an earlier session has left, in order; `torn` counts what broke with it.

        Only the JSON is read and checked here; the pixels are checked when they are read.
        """
        self.torn = 0
        for number in sorted(self._sizes):
            for spilled, head in self._records(number):
                yield spilled, head.infos

    def frame_ids(self) -> set[int]:
        """Return the numbers of the frames that are safe in the files."""
        with self._lock:
            unsynced = set(self._unsynced)
        return {
            frame_id
            for spilled, _ in self.left_over()
            if spilled.set_id not in unsynced
            for frame_id in spilled.frame_ids
        }

    def adopt(self, sets: Iterable[Spilled]) -> None:
        """Take over these sets of an earlier session; files that hold no other are deleted."""
        with self._lock:
            for spilled in sets:
                self._files[spilled.set_id] = spilled.file
                self._waiting[spilled.file] += 1
            files = list(self._sizes)
        for number in files:
            self._delete(number)

    def write(self, image_set: ImageSet) -> Spilled | None:
        """Append a set; None if there is no room for it, or the disk does not take it."""
        if self.problem:
            return None
        try:
            prefix, head, pixels = _encode(image_set)
        except (TypeError, ValueError) as error:
            self._fail(f"the image set cannot be described: {error}")
            return None
        size = len(prefix) + len(head) + sum(one.nbytes for one in pixels)
        try:
            file = self._room_for(image_set.set_id, size)
            if file is None:
                return None
            for part in (memoryview(prefix), memoryview(head), *map(_bytes, pixels)):
                _write_all(file, part)
        except OSError as error:
            self._undo(image_set.set_id)
            self._fail(f"{error.strerror or error}")
            return None
        return self._keep(image_set, size)

    def read(self, spilled: Spilled) -> ImageSet:
        """Return a set with its pixels; raises `ReadError` if they are not what was written."""
        try:
            with self._path(spilled.file).open("rb") as file:
                file.seek(spilled.offset)
                found = _read_head(file)
                if found is None:
                    raise ReadError("its record does not begin where it should")
                head, _, expected = found
                frames, checksum = [], xxhash.xxh3_64()
                for info, shape, dtype in zip(head.infos, head.shapes, head.dtypes, strict=True):
                    data = np.empty(shape, dtype)
                    checksum.update(_bytes(data)[: file.readinto(_bytes(data))])
                    # The clock of an earlier session may have begun anew since.
                    mine = spilled.file >= self._first
                    frames.append(
                        Frame(data, info if mine else replace(info, received_monotonic_ns=0))
                    )
        except MemoryError as error:
            raise ReadError("there was not enough memory to read it") from error
        except (OSError, ValueError, TypeError) as error:
            raise ReadError(f"its file cannot be read: {error}") from error
        if checksum.intdigest() != expected or head.set_id != spilled.set_id:
            raise ReadError("its pixels are not those that were written")
        return replace(spilled.blank(), frames=tuple(frames))

    def settle(self, set_id: int) -> None:
        """Note that a set is committed; a file is deleted when all its sets are."""
        with self._lock:
            number = self._files.pop(set_id, None)
            if number is None:
                return
            self._waiting[number] -= 1
            files = [number] if self._files else list(self._sizes)
        for one in files:
            self._delete(one)

    def close(self) -> None:
        """Bring everything to the disk and let go of the files; may be called twice."""
        self._ended = True
        self._wake.set()
        if self._syncer is not None:
            self._syncer.join()
            self._syncer = None
        with self._lock:
            for file in {self._file, *self._dirty.values()} - {None}:
                file.close()  # type: ignore[union-attr]
            self._file, self._dirty = None, {}
        with suppress(OSError):
            self._folder.rmdir()  # stays while something waits in it

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:08d}.spill"

    def _records(self, number: int) -> Iterator[tuple[Spilled, _Head]]:
        try:
            with self._path(number).open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                offset = 0
                while offset < size:
                    found = _read_head(file)
                    if found is None or found[1] > size - file.tell():
                        self.torn += 1
                        return
                    head, pixel_bytes, _ = found
                    nbytes = bytes_held(pixel_bytes, len(head.frame_ids))
                    yield _spilled(head, nbytes, number, offset), head
                    offset = file.seek(pixel_bytes, os.SEEK_CUR)
        except OSError:
            self.torn += 1

    def _room_for(self, set_id: int, size: int) -> FileIO | None:
        """Return the file that takes so many bytes; from now on it waits for this set."""
        with self._lock:
            if sum(self._sizes.values()) + size > self._limit_bytes:
                return None
            file = self._file
            if file is None or self._sizes[self._current] >= self._segment_bytes:
                file = self._next_file()
            self._files[set_id] = self._current
            self._waiting[self._current] += 1
            return file

    def _next_file(self) -> FileIO:
        if self._file is not None and self._current not in self._dirty:
            self._file.close()
        self._file = None
        self._folder.mkdir(exist_ok=True)
        file = FileIO(self._path(self._current + 1), "x")
        self._current += 1
        self._sizes[self._current] = self._waiting[self._current] = 0
        self._file = file
        if self._sync:
            self._dirty[self._current] = file
            for folder in (self._folder, self._folder.parent):
                sync_folder(folder)
            self._start_syncer()
        return file

    def _keep(self, image_set: ImageSet, size: int) -> Spilled:
        with self._lock:
            number, offset = self._current, self._sizes[self._current]
            self._sizes[number] += size
            if self._sync:
                self._unsynced.add(image_set.set_id)
                if self._file is not None:
                    self._dirty[number] = self._file
        self._wake.set()
        return _spilled(image_set, image_set.nbytes, number, offset)

    def _undo(self, set_id: int) -> None:
        """Cut off what a failed write has left; if that fails too, it is a torn record."""
        with self._lock, suppress(OSError):
            number = self._files.pop(set_id, None)
            if number is not None:
                self._waiting[number] -= 1
            if self._file is not None:
                self._file.truncate(self._sizes[self._current])

    def _fail(self, reason: str) -> None:
        with self._lock:
            told, self.problem = bool(self.problem), self.problem or reason
        if not told:
            self._failed(reason)

    def _delete(self, number: int) -> None:
        """Delete a file if no set in it waits; the newest one only when nothing waits at all."""
        with self._lock:
            if self._waiting.get(number, 0) or (number == self._current and self._files):
                return
            self._sizes.pop(number, None)
            self._waiting.pop(number, None)
            file = self._dirty.pop(number, None)
            if number == self._current and self._file is not None:
                file, self._file = self._file, None
            if file is not None:
                file.close()
        with suppress(OSError):  # what cannot be deleted now is passed over at the next start
            self._path(number).unlink()

    def _start_syncer(self) -> None:
        if self._syncer is None and not self._ended:
            self._syncer = threading.Thread(target=self._keep_synced, name="spill", daemon=True)
            self._syncer.start()

    def _keep_synced(self) -> None:
        pause = threading.Event()
        while not self._ended:
            self._wake.wait()
            self._wake.clear()
            self._sync_now()
            if not self._ended:
                pause.wait(_SYNC_EVERY_S)
        self._sync_now()

    def _sync_now(self) -> None:
        with self._lock:
            sets, self._unsynced = self._unsynced, set()
            dirty, self._dirty = self._dirty, {}
            # A handle of its own: the file may be deleted, and closed, meanwhile.
            handles = [os.dup(file.fileno()) for file in dirty.values()]
            for file in dirty.values():
                if file is not self._file:
                    file.close()
        for handle in handles:
            try:
                if not self.problem:
                    os.fsync(handle)
            except OSError as error:
                with self._lock:
                    self._unsynced |= sets
                self._fail(f"{error.strerror or error}")
            finally:
                os.close(handle)


def without_pixels(image_set: ImageSet) -> ImageSet:
    """Return the set with blank frames, which take no memory: for one that is not analysed.

    It may wait long for its turn to be written, and must not hold memory for so long.
    """
    frames = tuple(
        replace(frame, data=np.broadcast_to(np.zeros((), frame.data.dtype), frame.data.shape))
        for frame in image_set.frames
    )
    return replace(image_set, frames=frames)


def _spilled(one: _Head | ImageSet, nbytes: int, number: int, offset: int) -> Spilled:
    return Spilled(
        one.set_id,
        one.key,
        one.frame_ids,
        one.channels,
        one.partial,
        one.version,
        nbytes=nbytes,
        file=number,
        offset=offset,
    )


def _encode(image_set: ImageSet) -> tuple[bytes, bytes, list[Pixels]]:
    pixels = [np.ascontiguousarray(frame.data) for frame in image_set.frames]
    head = _Head(
        set_id=image_set.set_id,
        key=image_set.key,
        frame_ids=image_set.frame_ids,
        channels=image_set.channels,
        partial=image_set.partial,
        version=image_set.version,
        infos=tuple(frame.info for frame in image_set.frames),
        shapes=tuple((one.shape[0], one.shape[1]) for one in pixels),
        dtypes=tuple(one.dtype.str for one in pixels),
    )
    text = to_json(head, inf_nan_mode="constants", fallback=_plain)
    checksum = xxhash.xxh3_64()
    for one in pixels:
        checksum.update(_bytes(one))
    lengths = (len(text), sum(one.nbytes for one in pixels))
    prefix = _PREFIX.pack(_MAGIC, *lengths, _head_checksum(*lengths, text), checksum.intdigest())
    return prefix, text, pixels


def _bytes(data: Pixels) -> memoryview:
    return data.reshape(-1).view("uint8").data


def _plain(value: Any) -> Any:
    # A driver may number its frames with numpy's integers, and show an index it keeps to itself.
    return dict(value) if isinstance(value, Mapping) else value.item()


def _head_checksum(json_bytes: int, pixel_bytes: int, text: bytes) -> int:
    return xxhash.xxh3_64_intdigest(_LENGTHS.pack(json_bytes, pixel_bytes) + text)


def _read_head(file: BinaryIO) -> tuple[_Head, int, int] | None:
    """Return the JSON at the file's place, the bytes of pixels and their checksum; None if torn."""
    prefix = file.read(_PREFIX.size)
    if len(prefix) < _PREFIX.size:
        return None
    magic, json_bytes, pixel_bytes, of_head, of_pixels = _PREFIX.unpack(prefix)
    if magic != _MAGIC or json_bytes > _LONGEST_JSON:
        return None
    text = file.read(json_bytes)
    if len(text) < json_bytes or _head_checksum(json_bytes, pixel_bytes, text) != of_head:
        return None
    try:
        return _HEAD.validate_json(text), pixel_bytes, of_pixels
    except ValueError:
        return None


def _write_all(file: FileIO, part: memoryview) -> None:
    while part:
        part = part[file.write(part) :]
