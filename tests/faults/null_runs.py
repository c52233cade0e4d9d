"""The same run of fifty tiny image sets, again and again: whole, killed, failed, resumed."""

import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import TypeVar

from dipstream.store import RunFolder
from dipstream.store.findings import Finding
from dipstream.store.verify import verify_run
from tests.faults.children import CAMPAIGN, Ended, Nursery, make_input
from tests.faults.crashed import check_crashed, check_whole, is_a_run
from tests.faults.golden import content
from tests.faults.strace import Target, survey

__all__ = ["NullRuns", "two_at_a_time"]

LANES = 2
Job = TypeVar("Job")


class NullRuns:
    """Makes runs in a folder, and knows what each must be in the end.

    Parameters
    ----------
    nursery
        Starts the children.
    folder
        Where frames and runs lie.
    options
        More of the command line.

    Attributes
    ----------
    content
        What the tables of a run hold that nobody has disturbed.
    """

    def __init__(self, nursery: Nursery, folder: Path, *options: str) -> None:
        self.nursery = nursery
        self._folder = folder
        self._numbers = count()
        self._argv = [*make_input(folder / "input"), *options]
        with self.new() as (argv, run):
            whole = nursery.run(argv)
            assert whole.code == 0, whole
            check_whole(run, [whole])
            self.content = content(run)

    def with_options(self, *options: str) -> "NullRuns":
        """Return runs with more on their command line."""
        return NullRuns(self.nursery, self._folder / f"o{next(self._numbers)}", *options)

    @cached_property
    def survey(self) -> list[Counter[Target]]:
        """How often each thread does what to each file."""
        return survey(self.nursery, self.new)

    @contextmanager
    def new(self) -> Iterator[tuple[list[str], Path]]:
        """Yield the command line of a new run and where its folder will be."""
        home = self._folder / f"h{next(self._numbers)}"
        yield [*self._argv, "--home", str(home)], home / "runs" / "run"
        shutil.rmtree(home, ignore_errors=True)

    @contextmanager
    def copy(self, crashed: Path) -> Iterator[tuple[list[str], Path]]:
        """Yield the command line that resumes a copy of a crashed run, and where it lies."""
        home = self._folder / f"h{next(self._numbers)}"
        run = home / "runs" / "run"
        shutil.copytree(crashed, run)
        yield self.resume(run), run
        shutil.rmtree(home)

    @staticmethod
    def resume(run: Path) -> list[str]:
        """Return the command line that resumes a run."""
        return ["resume", str(run), "--json"]

    def recover(self, run: Path, *ended: Ended) -> None:
        """Check what a crash has left, resume it, and check that it is as if nothing had been."""
        published = [one for each in ended for one in each.published]
        check_crashed(run, published)
        if not is_a_run(run):
            return  # nobody was told of anything
        if published:
            found = [one for one in verify_run(RunFolder(run)).findings if not _due(one)]
            assert not found, found
        resumed = self.nursery.run(self.resume(run))
        assert resumed.code == 0, resumed
        self.check(run, *ended, resumed)

    def check(self, run: Path, *ended: Ended) -> None:
        """Check that a run is whole, and the same as the one that nobody has disturbed."""
        check_whole(run, list(ended))
        verified = verify_run(RunFolder(run), deep=True)
        assert verified.ok, verified.findings
        found = content(run)
        for table, rows in self.content.items():
            missing, more = set(rows) - set(found[table]), set(found[table]) - set(rows)
            assert not missing | more, f"{table}: {sorted(missing)[:3]} became {sorted(more)[:3]}"
        assert found == self.content


def _due(finding: Finding) -> bool:
    """Return whether a crash leaves this rightly: what `resume` is there for."""
    return "still pending" in finding.problem or finding.check == "spill"


def two_at_a_time(attempt: Callable[[Job], None], jobs: Iterable[Job]) -> int:
    """Attempt all jobs, even if some fail; fail with what all of them said. Return how many.

    A campaign tells what it has found so far, for it may last for hours.
    """
    began = time.monotonic()
    answers: list[str] = []

    def tried(job: Job) -> str:
        try:
            attempt(job)
        except Exception as error:  # noqa: BLE001 - collected, and raised below
            return f"{job}: {type(error).__name__}: {error}"
        return ""

    with ThreadPoolExecutor(LANES) as lanes:
        for answer in lanes.map(tried, jobs):
            answers.append(answer)
            if CAMPAIGN and (answer or len(answers) % 50 == 0):
                print(f"{len(answers)} in {time.monotonic() - began:.0f} s {answer}", flush=True)
    problems = [answer for answer in answers if answer]
    assert not problems, f"{len(problems)} of {len(answers)}:\n" + "\n".join(problems[:20])
    return len(answers)
