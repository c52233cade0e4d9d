"""Walking folders with `os.scandir`, which tells the truth where events of the system do not."""

import os
from collections.abc import Callable, Iterator

from dipstream_drivers.places import Root

__all__ = ["walk"]


def walk(
    root: Root, failed: Callable[[str, OSError], None]
) -> Iterator[tuple[str, "os.DirEntry[str]"]]:
    """Yield each file below a root with its relative path, which is written with ``/``.

    Links to files are followed, links to folders are not (they may run in circles), and
    folders whose name starts with a dot are passed over. A folder that cannot be listed goes
    to `failed`; the others are listed all the same.
    """
    waiting = [(os.fspath(root.path), "")]
    while waiting:
        folder, prefix = waiting.pop()
        try:
            with os.scandir(folder) as entries:
                listed = list(entries)
        except OSError as error:
            failed(folder, error)
            continue
        for entry in listed:
            try:
                is_folder = entry.is_dir(follow_symlinks=False)
                if not is_folder and entry.is_file():
                    yield prefix + entry.name, entry
            except OSError:
                continue  # gone between listing and asking: the next scan will know
            if is_folder and root.recursive and not entry.name.startswith("."):
                waiting.append((entry.path, f"{prefix}{entry.name}/"))
