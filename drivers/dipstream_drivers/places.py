"""Where a file belongs: its position, and its time, depth and channel if its name tells."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dipstream_drivers.pattern import Pattern, natural_key
from dipstream_drivers.readers import reader_for

__all__ = ["Place", "Placer", "Root", "sort_key"]


@dataclass(frozen=True, slots=True)
class Root:
    """A folder that is read; `label` tells several of them apart in the names of positions."""

    path: Path
    label: str = ""
    recursive: bool = True

    @staticmethod
    def several(folders: Sequence[Path]) -> tuple["Root", ...]:
        """Label folders by their names if there are several, by their paths if names repeat."""
        if len(folders) == 1:
            return (Root(folders[0]),)
        names = [folder.name for folder in folders]
        return tuple(
            Root(folder, name if name and names.count(name) == 1 else folder.as_posix())
            for folder, name in zip(folders, names, strict=True)
        )


@dataclass(frozen=True, slots=True)
class Place:
    """A file and what its path says of it; None where only the order of files can tell."""

    path: str
    relative: str
    position: str
    t: int | None = None
    z: int | None = None
    channel: str | None = None

    @property
    def folder(self) -> str:
        """The relative folder, with a / at its end unless it is the root."""
        return self.relative[: self.relative.rfind("/") + 1]


class Placer:
    """Judges paths: a `Place`, or none for what is no image, does not match or is no Unicode.

    The position of a file is the pattern's field, else its subfolder, else ``0``. Below a
    subfolder that the pattern does not speak of, and among several roots, the subfolder and the
    root's name come before the field, so that equal names never share a position.
    """

    def __init__(self, pattern: Pattern | None) -> None:
        self.pattern = pattern

    def place_relative(self, root: Root, path: str, relative: str) -> Place | None:
        """Return where the file belongs, its path below the root being known.

        None if it is to be ignored.
        """
        name = relative.rpartition("/")[2]
        if name.startswith(".") or reader_for(name) is None or not _is_text(relative):
            return None  # a leading dot is how programs mark files they still write
        if self.pattern is None:
            return Place(path, relative, self._position(root, relative, None))
        fields = self.pattern.parse(relative)
        if fields is None:
            return None
        return Place(
            path,
            relative,
            self._position(root, relative, fields.get("position")),
            t=_integer(fields, "t"),
            z=_integer(fields, "z"),
            channel=str(fields["channel"]) if "channel" in fields else None,
        )

    def _position(self, root: Root, relative: str, field: int | str | None) -> str:
        whole = self.pattern is not None and self.pattern.whole_path
        folder = "" if whole else relative.rpartition("/")[0]
        parts = [root.label, folder, "" if field is None else str(field)]
        return "/".join(part for part in parts if part) or "0"


def _is_text(name: str) -> bool:
    """Whether a name can be written into a table; some disks hold names that are no Unicode."""
    if name.isascii():
        return True
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _integer(fields: Mapping[str, int | str], name: str) -> int | None:
    return int(fields[name]) if name in fields else None


def sort_key(place: Place, channels: Sequence[str]) -> tuple[object, ...]:
    """Return the key of the pattern's order: t, position, z, channel, then the path."""
    channel = place.channel
    rank = channels.index(channel) if channel in channels else len(channels)
    return (
        place.t or 0,
        natural_key(place.position),
        place.z or 0,
        rank,
        natural_key(place.relative),
    )
