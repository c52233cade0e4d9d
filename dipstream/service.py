"""Start, follow and stop a run; find one again."""

import json
import platform
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from importlib.metadata import version as installed_version
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from dipstream.errors import ConfigError, DipstreamError
from dipstream.mirror import Mirrors, MirrorStatus, check_mirrors, mirrors_for
from dipstream.opening import open_run
from dipstream.pipeline import Plan, open_plan
from dipstream.pipeline.plan import stored_plan
from dipstream.run import Accounting, Engine, Result, Status
from dipstream.settings import RunSettings, load_settings
from dipstream.simulate import simulated_frames
from dipstream.source import Source
from dipstream.sources import lasting, open_source
from dipstream.store import (
    RunFolder,
    RunLock,
    RunReader,
    RunRecord,
    find_run,
    list_runs,
    new_run,
)
from dipstream.truth import TrueSet
from dipstream.warmup import ensure_warm

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["LiveRun", "is_complete", "open_run", "resume", "start"]

_LIBRARIES = (
    "dipstream", "numpy", "scipy", "scikit-image", "numba", "llvmlite", "tifffile", "imagecodecs",
    "pyarrow",
)  # fmt: skip
_IDENTITY = ("pattern", "channels", "pixel_um", "bit_depth")
_MAILBOX_BYTES = 256_000_000


def start(
    source: str | Path | Sequence[str | Path] | Source,
    pipeline: str | Path | Plan = "nuclei",
    *,
    frames: int | None = None,
    driver: str | None = None,
    options: dict[str, Any] | None = None,
    go_on: bool = False,
    subscribers: Iterable[Callable[[Result], None]] = (),
    truth_subscribers: Iterable[Callable[[TrueSet], None]] = (),
    mailbox: bool = True,
    progress: Callable[[str], None] = lambda _: None,
    **settings: Any,
) -> "LiveRun":
    """Start a run in threads of this process and return at once.

    Parameters
    ----------
    source
        A URI, a path, several folders, or a source that is not entered yet. Of a folder that
        `dipstream simulate` made, its frames are read.
    pipeline
        A preset, a pipeline file or a plan.
    frames
        Stop after this many frames.
    driver, options
        As in `dipstream.open_source`.
    go_on
        Go on with the newest run of the same source and pipeline, if there is one.
    subscribers
        Called with every result after its commit.
    truth_subscribers
        Called with the truth of every image set, if the source knows it and the setting `truth`
        is not ``none``; from a thread of its own, before or after the result.
    mailbox
        Keep results for iteration; turn it off where nobody iterates.
    progress
        Told, in words, what takes long before the first frame: kernels that were never compiled on
        this machine are, before the source opens.
    settings
        As in `dipstream.settings.RunSettings`, for instance ``workers=2``.

    Raises
    ------
    ConfigError, SourceError, StoreError
        If it cannot start; nothing is left behind then.
    """
    if frames is not None and frames < 1:
        raise ConfigError(f"received frames={frames}; give at least 1, or None for no limit")
    plan = pipeline if isinstance(pipeline, Plan) else open_plan(pipeline)
    chosen = load_settings(**settings)
    check_mirrors(chosen)
    given: dict[str, Any] = {}
    if not isinstance(source, Source):
        source = _without_truth(source) if driver in {None, "watch"} else source
        named = {k: v for k, v in (options or {}).items() if v is not None}
        written = json.loads(json.dumps(named, default=str))
        lasts = lasting(source, driver=driver)
        given = {"source_given": lasts, "driver": driver, "options": written}
        source = open_source(source, driver=driver, **named)
    key = _source_key(source, options or {})
    if not chosen.reference:
        ensure_warm(progress)
    with ExitStack() as opened:
        opened.enter_context(source)
        folder = _earlier_run(chosen.home, key, plan) if go_on else None
        if folder is None:
            folder = new_run(chosen.home, plan.name)
            opened.callback(_discard, folder)
            record = _record(folder, source, key, plan, chosen)
            folder.write(replace(record, **given, max_frames=frames))
        letters = _Mailbox()
        engine = Engine(
            source,
            plan,
            chosen,
            folder,
            max_frames=frames,
            subscribers=[*subscribers, *([letters.put] if mailbox else [])],
            truth_subscribers=truth_subscribers,
        )
        opened.callback(engine.abandon)
        live = _launched(engine, source, folder, plan, letters, chosen)
        opened.pop_all()
    return live


def resume(
    run: str | Path = "latest",
    *,
    home: Path | None = None,
    source: Source | None = None,
    steal: bool = False,
    subscribers: Iterable[Callable[[Result], None]] = (),
    truth_subscribers: Iterable[Callable[[TrueSet], None]] = (),
    mailbox: bool = True,
    progress: Callable[[str], None] = lambda _: None,
    **settings: Any,
) -> "LiveRun":
    """Go on with a run that was killed, failed or was stopped, as if it had never ended.

    Its source and pipeline are opened as ``run.json`` says. What is in its book is not read again;
    frames whose analysis was due come again under their old numbers if the source can deliver them.

    Parameters
    ----------
    run, home
        As in `open_run`.
    source
        In place of the one in ``run.json``: for a run whose source a program has made.
    steal
        Take the run over from a process that holds it and hangs: it cannot commit any more.
    subscribers, truth_subscribers, mailbox, progress
        As in `start`.
    settings
        In place of those in ``run.json``.

    Raises
    ------
    ConfigError
        If the run is complete (see `is_complete`), or its pipeline is not what it was.
    SourceError, StoreError
        If it cannot go on.
    """
    folder = find_run(load_settings(home=home).home, run)
    record = folder.read()
    if is_complete(folder):
        raise ConfigError(f"the run {folder.run_id} is finished: there is nothing to resume")
    chosen = _settings_of(record, settings)
    check_mirrors(chosen)
    plan = stored_plan(
        record.pipeline, Path(record.pipeline_folder), record.pipeline_name, record.pipeline_sha256
    )
    source = source or _reopened(record)
    if not chosen.reference:
        ensure_warm(progress)
    with ExitStack() as opened:
        opened.enter_context(source)
        letters = _Mailbox()
        engine = Engine(
            source,
            plan,
            chosen,
            folder,
            total_frames=record.max_frames,
            steal=steal,
            subscribers=[*subscribers, *([letters.put] if mailbox else [])],
            truth_subscribers=truth_subscribers,
        )
        opened.callback(engine.abandon)
        live = _launched(engine, source, folder, plan, letters, chosen)
        opened.pop_all()
    return live


def is_complete(folder: RunFolder) -> bool:
    """Whether a run has ended by itself and no frame of it is still to be analysed."""
    if folder.read().state != "finished":
        return False
    return not RunReader(folder).accounting().get("pending")


def _launched(
    engine: Engine,
    source: Source,
    folder: RunFolder,
    plan: Plan,
    letters: "_Mailbox",
    settings: RunSettings,
) -> "LiveRun":
    mirrors = mirrors_for(settings, folder, engine.tell)
    return LiveRun(engine, source, folder, plan, letters, mirrors)


def _reopened(record: RunRecord) -> Source:
    if record.source_given is None:
        raise ConfigError(
            f"the source of the run {record.run_id} ({record.source}) was made by a program, which "
            "has to give it again: dipstream.service.resume(run, source=…)"
        )
    return open_source(record.source_given, driver=record.driver, **record.options)


def _settings_of(record: RunRecord, changes: dict[str, Any]) -> RunSettings:
    """Return the settings a run was started with, but for those that are given now."""
    kept = {name: value for name, value in record.settings.items() if value is not None}
    known = {name: kept[name] for name in kept if name in RunSettings.model_fields}
    return load_settings(**known | {k: v for k, v in changes.items() if v is not None})


class LiveRun:
    """A run in this process: iterate it for results, ask it for tables, stop it.

    Use it as a context manager: leaving it stops the run and finishes what was admitted.
    """

    def __init__(
        self,
        engine: Engine,
        source: Source,
        folder: RunFolder,
        plan: Plan,
        mailbox: "_Mailbox",
        mirrors: Mirrors,
    ) -> None:
        self._engine = engine
        self._mirrors = mirrors
        self._mailbox = mailbox
        self._accounting: Accounting | None = None
        self._seconds = 0.0
        self.source = source
        self.folder = folder.path
        self.run_id = folder.run_id
        self.plan = plan
        self.reader = RunReader(folder)
        engine.start()
        mirrors.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._accounting is None:
            self._engine.stop()
            self.wait()

    def __iter__(self) -> Iterator[Result]:
        """Yield results as they are committed, until the run ends.

        Who is slow misses the oldest ones (`missed` counts them): nothing that a viewer does
        slows a camera. The table has them all.
        """
        while True:
            result = self._mailbox.get(timeout_s=0.1)
            if result is not None:
                yield result
            elif not self._engine.running:
                break
        yield from self._mailbox.rest()

    @property
    def missed(self) -> int:
        """Results that were not fetched in time."""
        return self._mailbox.missed

    @property
    def error(self) -> DipstreamError | None:
        """Why the run failed, if it did."""
        return self._engine.error

    @property
    def records_truth(self) -> bool:
        """Whether the source knows the truth and it is written into the run's ``truth/``."""
        return self._engine.records_truth

    def status(self) -> Status:
        """Return how the run stands."""
        return self._engine.status()

    def warnings_after(self, seen: int) -> tuple[list[str], int, int]:
        """Return the warnings after the first `seen`, how many are lost, and the new count."""
        return self._engine.warnings_after(seen)

    def stop(self, reason: str = "asked to stop") -> None:
        """Take no more frames; what was admitted is still analysed."""
        self._engine.stop(reason)

    def abort(self, reason: str = "stopped at once") -> None:
        """Stop and drop what waits; each dropped frame's row says so."""
        self._engine.abort(reason)

    def poll(self, timeout_s: float) -> bool:
        """Wait for at most this long; return whether the run has ended."""
        return self._engine.join(timeout_s)

    def wait(self) -> Accounting:
        """Wait until the run has ended and its book is closed; return the accounting."""
        if self._accounting is None:
            self._engine.join()
            self._seconds = self._engine.seconds
            try:
                with self._mirrors.held():
                    self._accounting = self._engine.close()
            finally:
                self.source.__exit__(None, None, None)
                self._mirrors.finish()
        return self._accounting

    @property
    def mirrors(self) -> tuple[MirrorStatus, ...]:
        """How the mirrors of the run stand."""
        return self._mirrors.status()

    def objects(self, kind: str | None = None) -> "pd.DataFrame":
        """Return the objects so far; see `RunReader.objects`."""
        return self.reader.objects(kind)

    def frames(self) -> "pd.DataFrame":
        """Return the frames so far; see `RunReader.frames`."""
        return self.reader.frames()

    def tracks(self, kind: str | None = None) -> "pd.DataFrame":
        """Return the tracks so far; see `RunReader.tracks`."""
        return self.reader.tracks(kind)

    def summary(self) -> dict[str, Any]:
        """Return the run in numbers, once it has ended; the last line of ``--json``."""
        accounting = self.wait()
        book = self.reader.summary()
        status = self.status()
        analysed_now = status.accounting.analysed
        state, reason = self._engine.outcome
        return {
            "run_id": self.run_id,
            "folder": str(self.folder),
            "state": state,
            "reason": reason,
            **accounting.frames(),
            "gap": accounting.gap,
            "ignored_files": status.ignored,
            "image_sets": book["image_sets"],
            "objects": book["objects"],
            "objects_by_type": book["objects_by_type"],
            "seconds": round(self._seconds, 3),
            "frames_per_s": round(analysed_now / max(self._seconds, 1e-9), 3),
            "lag_ms_p50": book["lag_ms_p50"],
            "lag_ms_p99": book["lag_ms_p99"],
            "deadline_ms": status.deadline_ms,
            "deadline_misses": status.deadline_misses,
            "balanced": accounting.balanced,
            "problems": list(accounting.problems),
            "mirrors": self._mirrors.summary(),
            "flags": book["flags"],
            "pipeline": self.plan.name,
            "pipeline_sha256": self.plan.sha256,
        }


class _Mailbox:
    """Results for whoever iterates the run, bounded in bytes: the oldest make room."""

    def __init__(self) -> None:
        self._results: deque[Result] = deque()
        self._bytes = 0
        self._changed = threading.Condition()
        self.missed = 0

    def put(self, result: Result) -> None:
        with self._changed:
            self._results.append(result)
            self._bytes += result.nbytes
            while self._bytes > _MAILBOX_BYTES and len(self._results) > 1:
                self._bytes -= self._results.popleft().nbytes
                self.missed += 1
            self._changed.notify_all()

    def get(self, timeout_s: float) -> Result | None:
        with self._changed:
            if not self._results:
                self._changed.wait(timeout_s)
            return self._take() if self._results else None

    def rest(self) -> Iterator[Result]:
        while self._results:
            with self._changed:
                result = self._take()
            yield result

    def _take(self) -> Result:
        result = self._results.popleft()
        self._bytes -= result.nbytes
        return result


def _without_truth(
    source: str | Path | Sequence[str | Path],
) -> str | Path | Sequence[str | Path]:
    """Return the frames of simulations instead of their folders."""
    if isinstance(source, str | Path):
        return simulated_frames(source) or source
    return [simulated_frames(one) or one for one in source]


def _source_key(source: Source, options: dict[str, Any]) -> str:
    # How often a folder is looked at changes nothing; what its files are called and mean does.
    given = {name: options[name] for name in _IDENTITY if options.get(name) is not None}
    return json.dumps([source.info.name, given], sort_keys=True, default=str)


def _earlier_run(home: Path, key: str, plan: Plan) -> RunFolder | None:
    for folder, record in list_runs(home):
        if record.source_key == key and record.pipeline_sha256 == plan.sha256:
            return folder
    return None


def _discard(folder: RunFolder) -> None:
    if not RunLock(folder.path).taken:
        shutil.rmtree(folder.path, ignore_errors=True)


def _record(
    folder: RunFolder, source: Source, key: str, plan: Plan, settings: RunSettings
) -> RunRecord:
    versions = {name: installed_version(name) for name in _LIBRARIES}
    return RunRecord(
        run_id=folder.run_id,
        created_ns=time.time_ns(),
        source=source.info.name,
        source_key=key,
        pipeline_name=plan.name,
        pipeline=plan.canonical,
        pipeline_sha256=plan.sha256,
        settings=settings.model_dump(mode="json")
        | {"policy": settings.policy_for(live=source.info.live)},
        pipeline_folder=str(plan.folder),
        channels=source.info.channels,
        versions={"python": platform.python_version(), **versions},
    )
