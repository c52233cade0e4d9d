"""A run is a folder: its name, its `run.json`, and how it is found again."""

import json
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeAlias

from dipstream.config import near
from dipstream.errors import StoreError
from dipstream.store.durable import sync_folder

__all__ = ["RunFolder", "RunRecord", "RunState", "find_run", "list_runs", "new_run"]

RunState: TypeAlias = Literal["running", "finished", "stopped", "failed"]


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What `run.json` says.

    Attributes
    ----------
    source, source_key
        The source as it was named, and what must be equal for a `watch` to go on with the run.
    source_given, driver, options
        What opens the source again: paths are absolute. None for a source that a program gave.
    max_frames
        How many frames the run was to have; None for no limit.
    pipeline, pipeline_sha256
        The canonical pipeline and its hash.
    pipeline_folder
        What the pipeline's paths are relative to.
    state
        ``running`` also stands in the folder of a run that was killed: nobody holds its lock.
    accounting
        Counters of frames, written when the run ends; the truth is the table `frames`.
    versions
        Of dipstream, Python and the libraries that compute.
    """

    run_id: str
    created_ns: int
    source: str
    source_key: str
    pipeline_name: str
    pipeline: dict[str, Any]
    pipeline_sha256: str
    settings: dict[str, Any]
    source_given: str | list[str] | None = None
    driver: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    max_frames: int | None = None
    pipeline_folder: str = ""
    channels: tuple[str, ...] = ()
    state: RunState = "running"
    reason: str = ""
    ended_ns: int | None = None
    accounting: dict[str, int] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Where the parts of a run lie."""

    path: Path

    @property
    def run_id(self) -> str:
        """The run's name."""
        return self.path.name

    @property
    def table(self) -> Path:
        """The database."""
        return self.path / "table.db"

    @property
    def log(self) -> Path:
        """The log, one JSON object a line."""
        return self.path / "log.jsonl"

    @property
    def spill(self) -> Path:
        """Where image sets wait that do not fit into memory."""
        return self.path / "spill"

    @property
    def labels(self) -> Path:
        """The label images, if they are saved."""
        return self.path / "labels"

    def read(self) -> RunRecord:
        """Return what `run.json` says; raises `StoreError`."""
        path = self.path / "run.json"
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
            raw["channels"] = tuple(raw["channels"])
            return RunRecord(**raw)
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise StoreError(
                f"{path} is not what a run writes ({error}); is {self.path} a run?"
            ) from error

    def write(self, record: RunRecord) -> None:
        """Replace `run.json` as one, so that a reader never sees half of it.

        Raises `StoreError`.
        """
        path = self.path / "run.json"
        fresh = path.with_suffix(".json.new")
        try:
            with fresh.open("w", encoding="utf-8") as file:
                json.dump(asdict(record), file, indent=2, ensure_ascii=False)
                file.flush()
                os.fsync(file.fileno())
            _replace(fresh, path)
            sync_folder(self.path)
        except OSError as error:
            with suppress(OSError):
                fresh.unlink(missing_ok=True)
            raise StoreError(
                f"{path} cannot be written: {error.strerror or error}; make room, or see to the "
                "disk, and go on with `dipstream resume`"
            ) from error

    def update(self, **changes: Any) -> RunRecord:
        """Change some fields of `run.json`, inside a transaction of the run's writer.

        As long as that lasts nobody can take the run over: what is written is not written over what
        a new holder says. Raises `StoreError`.
        """
        known = self.read()
        record = replace(known, **changes)
        if record != known:
            self.write(record)
        return record


def _replace(source: Path, target: Path) -> None:
    # On Windows a reader that has the file open makes this fail for a moment.
    for attempt in range(50):
        try:
            source.replace(target)
        except PermissionError:
            if attempt == 49:
                raise
            time.sleep(0.02)
        else:
            return


def new_run(home: Path, pipeline_name: str) -> RunFolder:
    """Make the folder of a new run under `home`; its name sorts by time."""
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    runs = home / "runs"
    while True:
        path = runs / f"{stamp}-{pipeline_name}-{secrets.token_hex(2)}"
        try:
            path.mkdir(parents=True)
            sync_folder(runs)
        except FileExistsError:
            continue
        except OSError as error:
            raise StoreError(
                f"no run can be kept under {runs}: {error.strerror}. Choose another folder with "
                "--home or the environment variable DIPSTREAM_HOME"
            ) from error
        return RunFolder(path)


def list_runs(home: Path) -> Iterator[tuple[RunFolder, RunRecord]]:
    """Yield the runs under `home`, newest first; folders that are no runs are passed over."""
    found = []
    for path in (home / "runs").glob("*/run.json"):
        folder = RunFolder(path.parent)
        with suppress(StoreError):
            found.append((folder.read(), folder))
    for record, folder in sorted(found, key=lambda one: one[0].created_ns, reverse=True):
        yield folder, record


def find_run(home: Path, run: str | Path) -> RunFolder:
    """Return a run by id, folder or ``latest``; raises `StoreError` naming the near ones."""
    path = Path(run).expanduser()
    if (path / "run.json").is_file():
        return RunFolder(path.resolve())
    if (home / "runs" / str(run) / "run.json").is_file():
        return RunFolder(home / "runs" / str(run))
    if str(run) == "latest":
        for folder, _ in list_runs(home):
            return folder
        raise StoreError(
            f"there are no runs under {home / 'runs'} yet; start with `dipstream demo`"
        )
    known = [folder.run_id for folder, _ in list_runs(home)]
    raise StoreError(
        f"there is no run {str(run)!r}: neither a folder with a run.json nor one of the "
        f"{len(known)} runs under {home / 'runs'}; `dipstream runs` lists them, `latest` is the "
        f"newest{near(str(run), known)}"
    )
