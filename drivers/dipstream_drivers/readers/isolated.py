"""Files that are read in a child process, so that a hostile or damaged one harms nobody else."""

import itertools
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from dipstream.errors import ReadError
from dipstream.frame import Pixels
from dipstream.reader import ImageFile, Plane
from dipstream.supervise import ChildDiedError, ChildTask, Limits, RemoteError, Report, Supervisor
from dipstream_drivers.readers.guard import reading

__all__ = ["IsolatedFile", "IsolatedReading", "PoisonError"]

TASK = ChildTask(
    "dipstream_drivers.readers.served:ServedFiles",
    Limits(cpu_s=60.0, wall_s=60.0),
    # Decoding takes one thread; the others would only take address space.
    {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"},
)
SLOWEST = 2e6
"""Bytes per second that the slowest disk delivers: large files may take longer."""
MOST_POISON = 10_000
"""Files that are remembered to have killed the process that read them."""

_KEYS = itertools.count()


class PoisonError(ReadError):
    """A file that killed the process which read it, twice: it is not tried again as it is."""


class IsolatedReading:
    """Opens files in a child process under limits.

    Parameters
    ----------
    report
        Told when that process dies again and again, and when that is over.
    """

    def __init__(self, report: Report | None = None) -> None:
        self._supervisor = Supervisor("reading files", TASK, report=report)
        self._poison: dict[tuple[str, int, int, int], str] = {}

    def warm(self) -> None:
        """Start a child that will soon be wanted."""
        self._supervisor.warm()

    def open(self, path: Path) -> ImageFile:
        """Open a file; raises `ReadError` as its reader would, or `PoisonError`."""
        with reading(path):
            found = path.stat()
        state = (str(path), found.st_size, found.st_mtime_ns, found.st_ino)
        if reason := self._poison.get(state):
            raise PoisonError(reason)
        return IsolatedFile(path, found.st_size, self._supervisor, partial(self._note, state))

    def _note(self, state: tuple[str, int, int, int], reason: str) -> None:
        if len(self._poison) < MOST_POISON:
            self._poison[state] = reason


class IsolatedFile:
    """An open file, of which this process knows what the child has told."""

    def __init__(
        self,
        path: Path,
        size: int,
        supervisor: Supervisor,
        poisoned: Callable[[str], None],
    ) -> None:
        self.path = path
        self._poisoned = poisoned
        self._supervisor = supervisor
        self._key = f"{os.getpid()}-{next(_KEYS)}"
        self._poison = ""
        self._wall_s = TASK.limits.wall_s + size / SLOWEST
        about, _ = self._ask("open")
        self._planes = tuple(Plane(*_plane_fields(fields)) for fields in about["planes"])
        self._pixel_um: float | None = about["pixel_um"]
        self._bit_depth: int | None = about["bit_depth"]
        self._warnings = tuple(map(str, about["warnings"]))

    @property
    def planes(self) -> tuple[Plane, ...]:
        """All planes, in the order (position, t, z, c)."""
        return self._planes

    @property
    def pixel_um(self) -> float | None:
        """Side of a pixel in µm; None unless the file truly says so."""
        return self._pixel_um

    @property
    def bit_depth(self) -> int | None:
        """Significant bits, if the file says so."""
        return self._bit_depth

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a person should know about this file."""
        return self._warnings

    def read(self, plane: Plane) -> Pixels:
        """Return the pixels (y, x) of a plane; raises `ReadError` if it cannot be decoded."""
        at = [plane.number, plane.t, plane.c, plane.z, plane.position, plane.channel]
        about, arrays = self._ask("read", plane=at)
        self._warnings = tuple(map(str, about["warnings"]))
        return arrays[0]

    def _ask(self, what: str, **more: Any) -> tuple[Mapping[str, Any], list[Pixels]]:
        if self._poison:
            raise PoisonError(self._poison)
        request = {"do": what, "key": self._key, "path": str(self.path), **more}
        try:
            return self._supervisor.run(lambda child: child.call(request, wall_s=self._wall_s))
        except RemoteError as error:
            raise self._read_error(error) from None
        except ChildDiedError as error:
            self._poison = (
                f"{self.path.name} cannot be read: the process that decodes it was lost each time "
                f"it was tried; {error}. The file is damaged, or made to do harm: export it again"
            )
            self._poisoned(self._poison)
            raise PoisonError(self._poison) from error

    def _read_error(self, error: RemoteError) -> ReadError:
        name = self.path.name
        if error.kind == "ReadError":
            found = ReadError(str(error))
        elif error.kind == "MemoryError":
            found = ReadError(
                f"{name} cannot be decoded: it needs far more memory than the pixels that its "
                "header declares. The file is damaged; copy or export it again"
            )
        else:
            found = ReadError(
                f"{name} cannot be decoded: {error.kind}: {error}. The file is damaged, or its "
                "reader has an error; copy or export it again"
            )
        found.add_note(f"In the process that decodes: {error.trace}")
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not self._poison and self._supervisor.warmed:
            with suppress(ReadError):  # its process may be gone, and with it the open file
                self._ask("close")


def _plane_fields(fields: Any) -> list[Any]:
    """Return the fields of a `Plane` as they came through JSON, where tuples are lists."""
    *others, stage_um = fields
    return [*others, None if stage_um is None else tuple(stage_um)]
