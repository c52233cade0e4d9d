"""The end of a run: what its table, its log and its `run.json` say of it."""

import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace

from dipstream.errors import DipstreamError, StoreError
from dipstream.run.commit import Committer
from dipstream.run.log import RunLog
from dipstream.run.result import Accounting
from dipstream.store import Reserve, RunFolder, RunState, RunWriter

__all__ = ["Ending"]


class Ending:
    """Writes how a run ended, once its threads have.

    Parameters
    ----------
    folder, writer, reserve, log
        The run's, still open.
    committer
        The run's, which has ended.
    outcome
        Says how the run ended and why. It is asked again after each step that may be the first that
        fails.
    """

    def __init__(
        self,
        folder: RunFolder,
        writer: RunWriter,
        committer: Committer,
        reserve: Reserve,
        log: RunLog,
        outcome: Callable[[], tuple[RunState, str]],
    ) -> None:
        self._folder = folder
        self._writer = writer
        self._committer = committer
        self._reserve = reserve
        self._log = log
        self._outcome = outcome

    def write(self, accounting: Accounting) -> None:
        """Bring table, log and `run.json` to their end.

        Raises
        ------
        StoreError
            If the table or `run.json` cannot be written.
        """
        state, reason = self._outcome()
        if self._writer.taken_over:
            return  # what is said of the run is its new holder's to say
        if not self._committer.failed.is_set():
            with self._writer.transaction():
                self._committer.write_left_over()
                self._writer.add_event(time.time_ns(), state, reason or "the source has ended")
            self._writer.checkpoint()
        elif self._reserve.released:
            # The disk was full, and nothing but full: there is room again for how the run ended.
            with suppress(StoreError), self._writer.transaction():
                self._writer.add_event(time.time_ns(), state, reason)
        self._log.write(state, reason, **accounting.frames())
        state, reason = self._outcome()  # the log may have been the first that failed
        self._record(state, reason, accounting)

    def write_badly(
        self, accounting: Accounting, error: Exception, first: DipstreamError | None
    ) -> tuple[DipstreamError, Accounting]:
        """Say at least in `run.json` that the table could not be brought to its end.

        Returns why the run failed, which is `first` if it had failed before, and the accounting,
        with `error` among its problems if it is another one.
        """
        text = str(error)
        if not self._writer.taken_over:
            text = f"how the run ended could not be written: {error}"
        if first is not None and str(first) != str(error):
            accounting = replace(accounting, problems=(*accounting.problems, text))
        failure = first or StoreError(text)
        self._reserve.release(error)
        with suppress(DipstreamError, OSError):
            self._record("failed", str(failure), accounting)
        return failure, accounting

    def _record(self, state: RunState, reason: str, accounting: Accounting) -> None:
        """Write `run.json`, unless the run has another holder, who then speaks for it."""
        self._reserve.release_last()
        with ExitStack() as held:
            try:
                held.enter_context(self._writer.transaction())
            except StoreError:
                if self._writer.taken_over:
                    return
                # A table that cannot be written is why the run ends: all the more is it told here.
            self._folder.update(
                state=state, reason=reason, ended_ns=time.time_ns(), accounting=accounting.frames()
            )
