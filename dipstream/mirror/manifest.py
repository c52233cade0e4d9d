"""The list of files of a mirror in a folder: what is in it is there, whole and once."""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dipstream.errors import StoreError
from dipstream.mirror.progress import Progress
from dipstream.store.durable import sync_folder

__all__ = ["Manifest", "Part", "durable", "parts_of", "read_manifest", "write_manifest"]

NAME = "manifest.json"


@dataclass(frozen=True, slots=True)
class Part:
    """One Parquet file.

    Attributes
    ----------
    table, path
        Whose rows they are, and where: relative to the manifest.
    first_commit, last_commit
        The commits it was shipped with.
    rows, nbytes
        How many, and how large the file is.
    low, high
        Least and greatest range key in it; -1 for a table that is read as a whole.
    level
        How often files were merged into it.
    """

    table: str
    path: str
    first_commit: int
    last_commit: int
    rows: int
    nbytes: int
    low: int = -1
    high: int = -1
    level: int = 0


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a mirror in a folder holds.

    Attributes
    ----------
    run_id, created_ns
        Of which run.
    progress
        How far it is.
    next_part
        Number of the next file.
    parts
        The files, in the order of their commits.
    """

    run_id: str
    created_ns: int
    progress: Progress = field(default_factory=Progress)
    next_part: int = 0
    parts: tuple[Part, ...] = field(default=())

    def of(self, table: str) -> list[Part]:
        """Return the files of a table."""
        return [part for part in self.parts if part.table == table]

    def exchange(self, old: list[Part], new: list[Part]) -> "Manifest":
        """Return a manifest with other files in the place of some."""
        gone = {part.path for part in old}
        kept = [part for part in self.parts if part.path not in gone]
        parts = sorted([*kept, *new], key=lambda part: (part.table, part.first_commit, part.path))
        return replace(self, parts=tuple(parts))


def read_manifest(folder: Path) -> Manifest | None:
    """Return the manifest of a folder, or None where there is none; raises `StoreError`."""
    path = folder / NAME
    try:
        raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        raw["progress"] = Progress(**raw["progress"])
        raw["parts"] = tuple(Part(**part) for part in raw["parts"])
        return Manifest(**{name: raw[name] for name in Manifest.__slots__})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"{path} is not what a mirror writes ({error}); mirror into another folder, or remove "
            "this one and build it again"
        ) from error


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Replace the manifest as one, after everything it lists is on the disk."""
    text = json.dumps({"format": "dipstream mirror 1", **asdict(manifest)}, indent=1)

    def write(path: Path) -> None:
        path.write_text(text, encoding="utf-8")

    durable(folder / NAME, write)


def durable(path: Path, write: Any) -> None:
    """Write a file under a name that nobody reads, bring it to the disk, then give it its name."""
    fresh = path.with_name(f".{path.name}.new")
    try:
        write(fresh)
        with fresh.open("rb+") as file:
            os.fsync(file.fileno())
        fresh.replace(path)
        sync_folder(path.parent)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise


def parts_of(folder: str | Path, table: str) -> list[Path]:
    """Return the files that together hold every row of a table once.

    Parameters
    ----------
    folder
        The run's folder in the mirror: it holds ``manifest.json``.
    table
        ``frames``, ``image_sets``, ``objects_nuclei`` …
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    if manifest is None:
        raise StoreError(f"there is no {NAME} in {folder}; is this a run's folder in a mirror?")
    return [folder / part.path for part in manifest.of(table)]


def read_parts(folder: Path, parts: list[Part]) -> Iterator[pa.Table]:
    """Yield the rows of files, each by itself."""
    for part in parts:
        yield pq.read_table(folder / part.path, partitioning=None)
