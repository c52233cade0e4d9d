"""Sends frames of a run's quarantine through the analysis again, in their old rows."""

import threading
from collections.abc import Collection
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dipstream.errors import ConfigError, StoreError
from dipstream.run.taking_up import comes_again
from dipstream.service import LiveRun, resume
from dipstream.settings import load_settings
from dipstream.source import Source
from dipstream.sources import open_source
from dipstream.store import QuarantineWriter, RunFolder, RunLock, find_run, frames_to_retry

__all__ = ["Retry", "retry"]

_LOOK_EVERY_S = 0.25


@dataclass(frozen=True, slots=True)
class Retry:
    """What can be tried again; nothing has happened until `begin`.

    Attributes
    ----------
    folder, source
        The run, and its source, not entered yet.
    frame_ids
        The frames to try, those that are analysed together with them included.
    refused
        Why others are not, by their number.
    """

    folder: RunFolder
    source: Source
    frame_ids: tuple[int, ...]
    refused: dict[int, str]

    def begin(self, **options: Any) -> LiveRun:
        """Set the frames back to pending, and go on with the run.

        A run that had been stopped stops again once they are done; one that was killed or had
        failed goes on to its end.

        Parameters
        ----------
        options
            As in `dipstream.service.resume`.

        Raises
        ------
        ConfigError, SourceError, StoreError
            If the run cannot go on; the frames are in the quarantine again then.
        """
        before = self.folder.read().state
        with RunLock(self.folder.path), closing(QuarantineWriter(self.folder.table)) as writer:
            states = writer.send_back(self.frame_ids)
        try:
            run = resume(self.folder.path, source=self.source, **options)
        except BaseException:
            # If another process has the run by now, it analyses them.
            with (
                suppress(StoreError),
                RunLock(self.folder.path),
                closing(QuarantineWriter(self.folder.table)) as writer,
            ):
                writer.put_back(states)
            raise
        if before == "stopped":
            threading.Thread(target=self._stop, args=(run,), name="retry", daemon=True).start()
        return run

    def _stop(self, run: LiveRun) -> None:
        numbers = ", ".join(map(str, self.frame_ids))
        wanted = f"state = 'pending' AND frame_id IN ({numbers})"
        while not run.poll(_LOOK_EVERY_S):
            if run.reader.frames(where=wanted, columns=["frame_id"]).empty:
                run.stop("the frames of the quarantine were tried again")
                return


def retry(
    run: str | Path = "latest",
    frames: Collection[int] | None = None,
    *,
    home: Path | None = None,
    source: Source | None = None,
) -> Retry:
    """Return which frames of a run's quarantine can be tried again, ready to begin.

    Parameters
    ----------
    run, home
        As in `dipstream.open_run`.
    frames
        Their numbers; None for the whole quarantine.
    source
        In place of the one in ``run.json``: for a run whose source a program has made.

    Raises
    ------
    ConfigError, SourceError, StoreError
        If there is no such run, or its source cannot be opened.
    """
    folder = find_run(load_settings(home=home).home, run)
    record = folder.read()
    if source is None:
        if record.source_given is None:
            raise ConfigError(
                f"the source of the run {record.run_id} ({record.source}) was made by a program, "
                "which has to give it again: dipstream.quarantine.retry(run, source=…)"
            )
        source = open_source(record.source_given, driver=record.driver, **record.options)
    chosen, refused = frames_to_retry(folder, frames, counter_comes_again=comes_again(source))
    return Retry(folder, source, tuple(chosen), refused)
