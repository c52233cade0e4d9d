"""Retries what killed a child once, and says when too many of them die."""

import logging
from collections.abc import Callable
from typing import Literal, TypeAlias, TypeVar

from dipstream.supervise.breaker import Breaker
from dipstream.supervise.pool import POOL, Pool
from dipstream.supervise.process import Child, ChildDiedError, ChildTask

__all__ = ["Report", "Supervisor"]

_LOG = logging.getLogger("dipstream.supervise")

T = TypeVar("T")

Report: TypeAlias = Callable[[Literal["degraded", "recovered"], str], None]
"""Hears of a change of state, and a sentence about it."""


class Supervisor:
    """Lets children do one kind of work.

    What kills a child is tried a second time; what kills two is poison. In a crash loop everything
    is tried once only, with long pauses in between.

    Parameters
    ----------
    name
        What the children do, for messages: ``reading files``.
    report
        Told when children die again and again, and when that is over.
    """

    def __init__(
        self,
        name: str,
        task: ChildTask,
        *,
        pool: Pool = POOL,
        breaker: Breaker | None = None,
        report: Report | None = None,
    ) -> None:
        self.task = task
        self._name = name
        self._pool = pool
        self._breaker = breaker or Breaker()
        self._report = report
        self._degraded = False

    def warm(self) -> None:
        """Start a child that will soon be wanted."""
        self._pool.warm(self.task)

    @property
    def warmed(self) -> bool:
        """Whether a child waits for work."""
        return self._pool.waiting(self.task)

    def run(self, work: Callable[[Child], T]) -> T:
        """Let a child work; raises `ChildDiedError` if it kills a child twice."""
        tries = 1 if self._breaker.degraded else 2
        for attempt in range(1, tries + 1):
            self._breaker.wait()
            try:
                with self._pool.lease(self.task) as child:
                    found = work(child)
            except ChildDiedError as error:
                self._breaker.died()
                self._tell()
                _LOG.warning("a child for %s died: %s", self._name, error)
                if attempt == tries:
                    raise
                continue
            except BaseException:
                self._worked()
                raise
            self._worked()
            return found
        raise ChildDiedError("it was never tried")

    def _worked(self) -> None:
        self._breaker.worked()
        self._tell()

    def _tell(self) -> None:
        """Report a change of state, once."""
        degraded = self._breaker.degraded
        if degraded == self._degraded:
            return
        self._degraded = degraded
        if self._report is not None and degraded:
            self._report(
                "degraded",
                f"{self._name}: its process died again and again. Everything is tried once only "
                "now, slowly; look into the quarantine for what kills it",
            )
        elif self._report is not None:
            self._report("recovered", f"{self._name}: its process works again")
