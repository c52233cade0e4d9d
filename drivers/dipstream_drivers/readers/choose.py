"""Which reader opens a path: by its ending, the longest one that fits.

The formats of this package are always there. Other packages join in, or take over an ending,
with an entry point in the group ``dipstream.readers`` that names a `dipstream.reader.Reader`.
"""

import os
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from dipstream.errors import ConfigError
from dipstream.reader import Reader
from dipstream_drivers.readers.jpeg import JpegReader
from dipstream_drivers.readers.png import PngReader
from dipstream_drivers.readers.tiff import TiffReader

__all__ = ["reader_for", "readers"]

GROUP = "dipstream.readers"
OWN = (JpegReader, PngReader, TiffReader)


@cache
def readers() -> tuple[Reader, ...]:
    """Return one reader of each format; those of other packages come last and win."""
    own: list[Reader] = [JpegReader(), PngReader(), TiffReader()]
    taken = {f"{reader.__module__}:{reader.__qualname__}" for reader in OWN}
    others = [entry for entry in entry_points(group=GROUP) if entry.value not in taken]
    return (*own, *map(load, others))


def load(entry: EntryPoint) -> Reader:
    """Import a reader of another package; raises `ConfigError` that names it."""
    where = f"the reader {entry.name!r} ({entry.value})"
    try:
        made: object = entry.load()()
    except (ImportError, AttributeError, TypeError) as error:
        raise ConfigError(
            f"{where} cannot be loaded: {error}. Update or uninstall the package that brings it"
        ) from error
    suffixes = getattr(made, "suffixes", None)
    if not callable(getattr(made, "open", None)) or not isinstance(suffixes, tuple):
        raise ConfigError(
            f"{where} is no dipstream.reader.Reader: it needs `name`, a tuple `suffixes` and "
            "`open(path)`. Update or uninstall the package that brings it"
        )
    return made  # type: ignore[return-value]  # checked just above


@cache
def by_suffix() -> dict[str, Reader]:
    """Map each ending, in lower case, to its reader."""
    return {suffix.lower(): reader for reader in readers() for suffix in reader.suffixes}


def reader_for(path: str | os.PathLike[str]) -> Reader | None:
    """Return the reader of this path's ending, or None if no format has it.

    ``scan.OME.TIF`` is tried as ``.ome.tif`` before ``.tif``.
    """
    name = os.path.basename(os.fspath(path)).lower()  # noqa: PTH119 - a Path costs ten times that
    found = by_suffix()
    dot = name.find(".", 1)
    while dot != -1:
        if (reader := found.get(name[dot:])) is not None:
            return reader
        dot = name.find(".", dot + 1)
    return None
