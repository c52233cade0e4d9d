"""All mirrors of a run: they start with it, are watched over, and get a moment at its end."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from dipstream.errors import StoreError
from dipstream.mirror.address import check_address, is_database, resolved
from dipstream.mirror.status import MirrorStatus
from dipstream.settings import RunSettings
from dipstream.store import RunFolder

# Most runs have no mirror, and should not wait until its libraries are imported.
if TYPE_CHECKING:
    from dipstream.mirror.progress import Target
    from dipstream.mirror.shipper import Shipper

__all__ = ["Mirrors", "check_mirrors", "mirrors_for", "open_target"]

_DATABASE_EVERY_S = 0.5
_LOOK_EVERY_S = 1.0


def open_target(address: str) -> "Target":
    """Return the mirror of an address, not connected yet."""
    if is_database(address):
        from dipstream.mirror.postgres import PostgresTarget  # noqa: PLC0415

        return PostgresTarget(address)
    from dipstream.mirror.lake import ParquetTarget  # noqa: PLC0415

    return ParquetTarget(Path(address))


def check_mirrors(settings: RunSettings) -> None:
    """Raise `ConfigError` if a mirror that the settings name can never be."""
    for address in settings.mirror:
        check_address(address)


def mirrors_for(
    settings: RunSettings,
    folder: RunFolder,
    say: Callable[[str, str], None] = lambda _kind, _message: None,
) -> "Mirrors":
    """Return the mirrors that the settings name; see `Mirrors`."""
    return Mirrors(
        folder,
        settings.mirror,
        every_s=settings.mirror_every_s,
        wait_s=settings.mirror_wait_s,
        say=say,
    )


class Mirrors:
    """Ships a run to any number of mirrors.

    Parameters
    ----------
    folder
        The run's folder.
    addresses
        ``postgresql://…`` or folders.
    every_s
        A folder gets files this often; a database gets rows twice a second.
    wait_s
        How long `finish` waits for all of them together.
    say
        Told ``degraded`` or ``recovered`` and a sentence, from a thread.
    """

    def __init__(
        self,
        folder: RunFolder,
        addresses: Sequence[str],
        *,
        every_s: float = 5.0,
        wait_s: float = 10.0,
        say: Callable[[str, str], None] = lambda _kind, _message: None,
    ) -> None:
        self._folder = folder
        self._addresses = [resolved(address) for address in addresses]
        self._every_s = every_s
        self._wait_s = wait_s
        self._say = say
        self._shippers: list[Shipper] = []
        self._ending = threading.Event()
        self._ended = False
        self._looking = threading.Lock()
        self._watch: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.finish()

    def start(self) -> None:
        """Begin to ship; a mirror that is not there is told of and tried again."""
        if not self._addresses or self._shippers:
            return
        from dipstream.mirror.shipper import Shipper  # noqa: PLC0415
        from dipstream.mirror.tail import RunTail  # noqa: PLC0415

        record = self._folder.read()
        for address in self._addresses:
            shipper = Shipper(
                partial(RunTail, self._folder.table),
                record,
                partial(open_target, address),
                every_s=_DATABASE_EVERY_S if is_database(address) else self._every_s,
                say=self._say,
            )
            self._shippers.append(shipper)
            shipper.start()
        self._watch = threading.Thread(target=self._look_after, name="mirrors", daemon=True)
        self._watch.start()

    def status(self) -> tuple[MirrorStatus, ...]:
        """Return how each of them stands."""
        return tuple(shipper.status for shipper in self._shippers)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep the run's table unread: who closes it last folds its log in."""
        with ExitStack() as stack:
            stack.enter_context(self._looking)
            for shipper in self._shippers:
                stack.enter_context(shipper.hold())
            yield

    def finish(self) -> None:
        """Let each catch up with a run that has ended, for a while; may be called twice."""
        if self._watch is not None and not self._ended:
            self._ended = True
            self._ending.set()
            self._watch.join()
            for shipper in self._shippers:
                shipper.ask_to_finish()
            deadline = time.monotonic() + self._wait_s
            for shipper in self._shippers:
                shipper.finish(max(deadline - time.monotonic(), 0))
            self._note()

    def summary(self) -> list[dict[str, Any]]:
        """Return how each mirror stands, and what to do about one that has not everything."""
        return [
            {
                "target": one.target,
                "complete": one.done,
                "behind": one.behind,
                "error": "" if one.done else one.error,
                "catch_up": (
                    "" if one.done else f'dipstream mirror {self._folder.run_id} "{one.target}"'
                ),
            }
            for one in self.status()
        ]

    def _look_after(self) -> None:
        while not self._ending.wait(_LOOK_EVERY_S):
            self._note()
            for shipper in self._shippers:
                shipper.look_after()

    def _note(self) -> None:
        from dipstream.mirror.tail import RunTail  # noqa: PLC0415

        with suppress(StoreError), self._looking:
            newest = RunTail(self._folder.table).newest()
            for shipper in self._shippers:
                shipper.note(newest)
