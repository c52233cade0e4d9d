"""What a person names as a source: a file, a folder, a glob, or several of them."""

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dipstream.errors import SourceError
from dipstream_drivers.pattern import Pattern
from dipstream_drivers.places import Place, Placer, Root
from dipstream_drivers.readers import readers
from dipstream_drivers.scan import walk

__all__ = ["Found", "absolute", "existing_folders", "find", "listed"]

EXAMPLES = 3


@dataclass(slots=True)
class Found:
    """The files of a source, and those that were passed over."""

    places: list[Place] = field(default_factory=list)
    ignored: int = 0
    examples: list[str] = field(default_factory=list)

    def ignore(self, name: str) -> None:
        """Count a file that is passed over."""
        self.ignored += 1
        # The first by name, whatever order the folder is listed in.
        self.examples = sorted([*self.examples, name])[:EXAMPLES]


def listed(target: str | Sequence[str]) -> tuple[str, ...]:
    """Return the targets as text, at least one."""
    targets = (target,) if isinstance(target, str) else tuple(target)
    if not targets or not all(targets):
        raise SourceError("no file or folder was given. Name at least one")
    return tuple(str(Path(each).expanduser()) for each in targets)


def absolute(target: str) -> Path:
    """Return a path without ``..``, so that a file keeps one name whenever a run goes on."""
    return Path(os.path.abspath(target))  # noqa: PTH100 - resolve() would follow links


def missing(target: str) -> SourceError:
    """Return the error for a path that does not exist, with the nearest folder that does."""
    path = absolute(target)
    near = next((parent for parent in path.parents if parent.is_dir()), None)
    hint = f"The nearest folder that exists is {near}" if near else "Not even its drive exists"
    return SourceError(
        f"{target} does not exist. {hint}. Check the spelling, or mount the drive, and try again"
    )


def existing_folders(target: str | Sequence[str]) -> tuple[Root, ...]:
    """Return the folders to be watched; raises `SourceError` for anything else."""
    for each in listed(target):
        if not Path(each).exists():
            raise missing(each)
        if not Path(each).is_dir():
            raise SourceError(
                f"{each} is a file; only folders are watched. Name its folder, "
                f"{absolute(each).parent}, or replay the file"
            )
    folders = dict.fromkeys(absolute(each) for each in listed(target))
    return Root.several(tuple(folders))


def find(target: str | Sequence[str], pattern: Pattern | None) -> Found:
    """List all files of a source that are images and match; raises `SourceError` if none is."""
    targets = listed(target)
    parts = [_files(each) for each in targets]
    roots = Root.several(tuple(dict.fromkeys(root for root, _ in parts)))
    by_path = {root.path: root for root in roots}
    found, placer = Found(), Placer(pattern)
    seen: set[str] = set()
    for folder, files in parts:
        for relative, path in files:
            if path in seen:
                continue
            seen.add(path)
            place = placer.place_relative(by_path[folder], path, relative)
            if place is None:
                found.ignore(relative)
            else:
                found.places.append(place)
    if not found.places:
        raise _nothing(targets, pattern, found)
    return found


def _files(target: str) -> tuple[Path, Iterator[tuple[str, str]]]:
    """Return the root of a target, and its files as (relative, absolute) paths."""
    path = absolute(target)
    if path.is_dir():
        return path, _below(path)
    if path.exists():
        return path.parent, iter([(path.name, str(path))])
    if glob.has_magic(target):
        return _globbed(path)
    raise missing(target)


def _below(folder: Path) -> Iterator[tuple[str, str]]:
    def failed(path: str, error: OSError) -> None:
        raise SourceError(
            f"the folder {path} cannot be listed: {error.strerror}. Check its permissions"
        ) from error

    return ((relative, entry.path) for relative, entry in walk(Root(folder), failed))


def _globbed(path: Path) -> tuple[Path, Iterator[tuple[str, str]]]:
    fixed = next(number for number, part in enumerate(path.parts) if glob.has_magic(part))
    root = Path(*path.parts[:fixed])
    if not root.is_dir():
        raise missing(str(root))
    matches = sorted(root.glob("/".join(path.parts[fixed:])))
    return root, (
        (match.relative_to(root).as_posix(), str(match)) for match in matches if match.is_file()
    )


def _nothing(targets: Sequence[str], pattern: Pattern | None, found: Found) -> SourceError:
    where = ", ".join(targets)
    if not found.ignored:
        return SourceError(
            f"{where} holds no file. Check the path, or watch the folder if the "
            "files are still to come"
        )
    endings = ", ".join(sorted({suffix for reader in readers() for suffix in reader.suffixes}))
    common = ", ".join(found.examples)
    more = f" and {found.ignored - len(found.examples)} more" if found.ignored > EXAMPLES else ""
    asked = f"matches the pattern {pattern.text!r} and " if pattern is not None else ""
    return SourceError(
        f"none of the {found.ignored} files of {where} {asked}is an image; there are {common}"
        f"{more}. "
        f"Endings that are read: {endings}. Give another folder or pattern"
    )
