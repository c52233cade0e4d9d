"""A mirror in a folder: Parquet files that any engine reads, and a manifest of them."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dipstream.errors import StoreError
from dipstream.mirror.manifest import (
    Manifest,
    Part,
    durable,
    read_manifest,
    read_parts,
    write_manifest,
)
from dipstream.mirror.progress import Batch, Moved, Progress
from dipstream.mirror.tail import arrow_schema, range_key, unique_key
from dipstream.store import RunLock, RunRecord
from dipstream.table import Schema

__all__ = ["ParquetTarget"]

_MERGED = 16
"""So many files of a table in a row, of one level, are merged into one of the next."""

_MERGED_BYTES = 16_000_000


class ParquetTarget:
    """One run in a folder, ``FOLDER/RUN_ID/table=TABLE/part-FIRST-LAST-NUMBER.parquet``.

    The files that `manifest.json` lists hold every row once. Files are never changed: an image set
    that is superseded makes new ones of those that had it, and the manifest exchanges them as one.
    What it no longer lists stays until the slice after next, for those who have read it just
    before; when the mirror is closed, it is gone, and the files that are there are those listed.

    Parameters
    ----------
    folder
        The mirror; the run gets a folder of its own in it.
    """

    def __init__(self, folder: Path) -> None:
        self.name = str(folder)
        self._root = folder
        self._folder = folder
        self._manifest = Manifest("", 0)
        self._lock: RunLock | None = None
        self._unlisted: list[list[Path]] = []

    def open(self, record: RunRecord, *, make: bool = True) -> Progress:
        """Make the folder, take it for this process, and return how far the mirror is."""
        self.close()
        self._folder = self._root / record.run_id
        if make:
            self._take()
        known = read_manifest(self._folder)
        if known is None and not make:
            raise StoreError(
                f"{self._root} has no mirror of the run {record.run_id}; build it with "
                f'`dipstream mirror {record.run_id} "{self._root}"`'
            )
        found = known or Manifest(record.run_id, record.created_ns)
        if (found.run_id, found.created_ns) != (record.run_id, record.created_ns):
            raise StoreError(
                f"{self._folder} holds another run of the same name; mirror into another folder"
            )
        self._manifest = found
        if make:
            with self._errors():
                self._remove_unlisted()
        return found.progress

    def _take(self) -> None:
        with self._errors():
            self._folder.mkdir(parents=True, exist_ok=True)
        lock = RunLock(self._folder)
        try:
            lock.__enter__()
        except StoreError as error:
            raise StoreError(
                f"the mirror {self._folder} is being written by another process, or may not be "
                "written; one at a time can ship to it"
            ) from error
        self._lock = lock

    def write(self, batch: Batch) -> None:
        """Write a file for each table and list them; raises `Moved` or `StoreError`."""
        if batch.before != self._manifest.progress:
            raise Moved(self._manifest.progress)
        manifest = self._manifest
        with self._errors():
            for table, rows in {**batch.rows, **batch.whole}.items():
                manifest = self._exchange(manifest, table, rows, batch)
            for table in batch.schemas:
                manifest = self._merge(manifest, table)
            manifest = replace(manifest, progress=batch.after)
            write_manifest(self._folder, manifest)
            listed = {part.path for part in manifest.parts}
            gone = [part.path for part in self._manifest.parts if part.path not in listed]
            self._manifest = manifest
            self._unlisted.append([self._folder / path for path in gone])
            while len(self._unlisted) > 2:
                _remove(self._unlisted.pop(0))

    def rows(self, table: str, columns: Schema, low: int | None, high: int | None) -> pa.Table:
        """Return rows in the order of their key."""
        key = range_key(table)
        parts = self._manifest.of(table)
        if low is not None and high is not None:
            parts = [part for part in parts if part.high >= low and part.low < high]
        target = arrow_schema(columns)
        found = [target.empty_table()]
        with self._errors():
            for rows in read_parts(self._folder, parts):
                one = rows.select(list(columns.names)).cast(target)
                if key and low is not None and high is not None:
                    at = one.column(key)
                    one = one.filter(pc.and_(pc.greater_equal(at, low), pc.less(at, high)))
                found.append(one)
        order = [(name, "ascending") for name in unique_key(table)]
        return pa.concat_tables(found).sort_by(order).combine_chunks()

    def last_key(self, table: str) -> int:
        """Return the greatest range key of a table, or -1."""
        return max((part.high for part in self._manifest.of(table)), default=-1)

    def clear(self) -> None:
        """List no file and begin anew."""
        fresh = replace(self._manifest, progress=Progress(), parts=())
        with self._errors():
            write_manifest(self._folder, fresh)
        self._unlisted.append([self._folder / part.path for part in self._manifest.parts])
        self._manifest = fresh

    def close(self) -> None:
        """Remove what is no longer listed and let go; may be called twice."""
        if self._lock is None:
            return
        with suppress(OSError):
            self._remove_unlisted()
        self._unlisted.clear()
        self._lock.__exit__(None, None, None)
        self._lock = None

    def _exchange(self, manifest: Manifest, table: str, rows: pa.Table, batch: Batch) -> Manifest:
        """Return the manifest with these rows, and without those whose place they take."""
        if table in batch.whole:
            manifest = manifest.exchange(manifest.of(table), [])
        elif table == "frames":
            numbers = {*rows.column("frame_id").to_pylist(), *batch.frame_ids}
            manifest = self._without(manifest, table, "frame_id", numbers)
        elif range_key(table) == "set_id":
            manifest = self._without(manifest, table, "set_id", set(batch.set_ids))
        first, last = batch.before.commit_number + 1, batch.after.commit_number
        return self._add(manifest, table, [rows], (min(first, last), last), 0)

    def _without(self, manifest: Manifest, table: str, key: str, numbers: set[int]) -> Manifest:
        """Return the manifest with files that no longer hold rows of these keys."""
        if not numbers:
            return manifest
        low, high = min(numbers), max(numbers)
        gone = pa.array(sorted(numbers), pa.int64())
        for part in manifest.of(table):
            if part.high < low or part.low > high:
                continue
            rows = pq.read_table(self._folder / part.path, partitioning=None)
            keep = pc.invert(pc.is_in(rows.column(key), gone))
            if pc.all(keep).as_py():
                continue
            commits = (part.first_commit, part.last_commit)
            manifest = manifest.exchange([part], [])
            manifest = self._add(manifest, table, [rows.filter(keep)], commits, part.level)
        return manifest

    def _merge(self, manifest: Manifest, table: str) -> Manifest:
        """Return the manifest with many small files of a table in one larger one."""
        parts = manifest.of(table)
        tail = parts[-_MERGED:]
        level = tail[-1].level if tail else 0
        alike = len(tail) == _MERGED and all(part.level == level for part in tail)
        if not alike or sum(part.nbytes for part in tail) > _MERGED_BYTES:
            return manifest
        rows = list(read_parts(self._folder, tail))
        commits = (tail[0].first_commit, tail[-1].last_commit)
        manifest = self._add(manifest.exchange(tail, []), table, rows, commits, level + 1)
        return self._merge(manifest, table)

    def _add(
        self,
        manifest: Manifest,
        table: str,
        pieces: list[pa.Table],
        commits: tuple[int, int],
        level: int,
    ) -> Manifest:
        """Write a file, if there are rows, and return the manifest with it."""
        rows = pa.concat_tables(pieces)
        if rows.num_rows == 0:
            return manifest
        number = manifest.next_part
        first, last = commits
        path = Path(f"table={table}", f"part-{first:09d}-{last:09d}-{number:07d}.parquet")
        full = self._folder / path
        full.parent.mkdir(exist_ok=True)
        durable(full, lambda fresh: pq.write_table(rows, fresh, compression="zstd"))
        key = range_key(table)
        span = pc.min_max(rows.column(key)).as_py() if key else {"min": -1, "max": -1}
        part = Part(
            table=table,
            path=path.as_posix(),
            first_commit=first,
            last_commit=last,
            rows=rows.num_rows,
            nbytes=full.stat().st_size,
            low=span["min"],
            high=span["max"],
            level=level,
        )
        return replace(manifest.exchange([], [part]), next_part=number + 1)

    def _remove_unlisted(self) -> None:
        """Remove files that the manifest does not list: an earlier process has left them."""
        listed = {self._folder / part.path for part in self._manifest.parts}
        found = {*self._folder.glob("table=*/*.parquet"), *self._folder.glob("table=*/.*.new")}
        _remove(sorted(found - listed))

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise StoreError(
                f"the mirror {self._folder} lacks a file that it lists ({error}); remove the "
                "folder and build it again"
            ) from error
        except (OSError, pa.ArrowException) as error:
            raise StoreError(f"the mirror {self._folder} cannot be written: {error}") from error


def _remove(paths: list[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
