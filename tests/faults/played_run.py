"""A run in this process that can be crashed, go on and be compared: what the state machine drives.

A crash is a copy of the run's folder, made by the writing thread in the middle of a transaction or
right after it, before anybody is told: what a killed process would have left. The engine is then
made to fail, and the copy takes the place of its folder.
"""

import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal
from unittest.mock import patch

import numpy as np
import xxhash

from dipstream.errors import StepError, StoreError
from dipstream.frame import BadFrame, Frame, FrameInfo, ImageSet, Origin, Segment, bytes_held
from dipstream.pipeline import Pipeline, Plan
from dipstream.run import Engine, Result
from dipstream.settings import RunSettings
from dipstream.source import BaseSource, SeenFrame, SourceInfo, now_ns
from dipstream.store import RunFolder, RunRecord, RunWriter
from dipstream.store.connection import Connection

CHANNELS = ("DAPI", "GFP")
SEGMENT = Segment((16, 20), "uint16", camera="played")
FRAME_MB = bytes_held(16 * 20 * 2) / 1e6
Kind = Literal["good", "bad", "late"]
Fault = Literal["none", "crash before", "crash after", "write", "source"]


class _CrashError(StoreError):
    pass


@dataclass(frozen=True, slots=True)
class Shot:
    """One frame of the script; `number` is its place in it, `seq` the device's counter."""

    number: int
    seq: int | None
    t: int
    channel: str
    position: str = "0"
    kind: Kind = "good"
    version: int = 1
    path: str = ""

    @property
    def key(self) -> tuple[object, ...]:
        """What the frame is known by when it comes again."""
        return (self.path, self.version) if self.path else (self.seq,)


def pixels_of(shot: Shot) -> np.ndarray[Any, np.dtype[np.uint16]]:
    """Return two squares that move with t; another brightness in each version."""
    pixels = np.full(SEGMENT.shape, 10, "uint16")
    for y, x in [(2, 1 + shot.t % 4), (9, 8 + shot.t % 5)]:
        pixels[y : y + 4, x : x + 4] = 90 + 10 * shot.version + shot.t % 50
    return pixels


class Played(BaseSource):
    """Plays a script: a camera that goes on where it is now, one that can go back, or files."""

    def __init__(self, script: Iterable[Shot], *, live: bool, after: int, raises: bool) -> None:
        super().__init__(
            SourceInfo("played:", CHANNELS, replayable=not live, live=live, grouped=True)
        )
        self._script = list(script)
        self._after = after
        self._raises = raises
        self.yielded: list[Shot] = []

    def frames(self) -> Iterator[Frame | BadFrame]:
        for shot in self._script[self._after :]:
            if self._stopping.is_set():
                return
            if not self._due(shot):
                continue
            self.yielded.append(shot)
            yield self._framed(shot)
        if self._raises:
            raise OSError("the cable was pulled")

    def _due(self, shot: Shot) -> bool:
        del shot
        return True

    def _framed(self, shot: Shot) -> Frame | BadFrame:
        utc, monotonic = now_ns()
        origin = None
        if shot.path:
            stat = Path(shot.path).stat()
            digest = xxhash.xxh3_64_hexdigest(f"{shot.version}".encode())
            origin = Origin(
                shot.path, 0, stat.st_size, stat.st_mtime_ns, stat.st_ino, digest, planes=1
            )
        info = FrameInfo(
            SEGMENT,
            shot.channel,
            seq=shot.seq,
            t=shot.t,
            position=shot.position,
            received_ns=utc,
            received_monotonic_ns=monotonic,
            origin=origin,
            version=shot.version,
        )
        if shot.kind == "bad":
            return BadFrame(replace(info, segment=Segment.unread()), "half of it is missing")
        return Frame(pixels_of(shot), info)


class PlayedAgain(Played):
    """A source that can be replayed: it does not show what is finished."""

    _finished: frozenset[tuple[object, ...]] = frozenset()

    def resume(self, seen: Iterable[SeenFrame]) -> None:
        self._finished = frozenset(
            (one.origin.path, one.version) if one.origin is not None else (one.seq,)
            for one in seen
            if one.finished
        )

    def _due(self, shot: Shot) -> bool:
        return shot.key not in self._finished


@dataclass
class Conditions:
    """How the analysis goes, for all that is analysed in this process."""

    slow_s: float = 0.0
    poisoned: frozenset[int] = frozenset()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let them come true."""
        real = Pipeline.analyse

        def analyse(pipeline: Pipeline, image_set: ImageSet, ordered: Any = None) -> Any:
            if self.slow_s:
                time.sleep(self.slow_s)
            if image_set.key.t in self.poisoned:
                raise StepError(f"t={image_set.key.t} is poisoned")
            return real(pipeline, image_set, ordered)

        # No thread beside the writer's touches the table while it is copied.
        with (
            patch.object(Pipeline, "analyse", analyse),
            patch.object(RunWriter, "start_checkpointer", lambda *_: nullcontext()),
        ):
            yield


@dataclass
class Session:
    """What one engine did."""

    error: str = ""
    crashed: bool = False
    hit: bool = False
    yielded: list[Shot] = field(default_factory=list)
    problems: tuple[str, ...] = ()


class Run:
    """A run's folder, and the sessions that write it."""

    def __init__(self, path: Path, plan: Plan, *, live: bool) -> None:
        path.mkdir(parents=True)
        self.folder = RunFolder(path)
        self._plan = plan
        self._live = live
        self._shown = 0
        self.published: dict[int, int] = {}
        self.settings: dict[str, Any] = {}
        self.folder.write(
            RunRecord(path.name, 1, "played:", "played", plan.name, plan.canonical, plan.sha256, {})
        )

    def play(
        self, script: list[Shot], policy: str, fault: Fault, at: int, queued: int = 3
    ) -> Session:
        """Let one engine take the rest of the script; with a fault at its commit number `at`."""
        make = Played if self._live else PlayedAgain
        after = self._shown if self._live else 0
        source = make(script, live=self._live, after=after, raises=fault == "source")
        settings = RunSettings(
            home=self.folder.path.parent,
            workers=2,
            durability="normal",
            policy=policy,
            queue_mb=queued * len(CHANNELS) * FRAME_MB,
            spill_mb=0.05,
            reserve_mb=0,
            truth="none",
        )
        session = Session()
        engine = Engine(source, self._plan, settings, self.folder, subscribers=[self._note])
        self._arm(engine, session, fault, at)
        try:
            engine.start()
        except StoreError as error:  # its first commit failed: it has not begun
            engine.abandon()
            session.error = str(error)
        else:
            if not engine.join(20):
                raise AssertionError(f"the run hangs: {policy}, {fault} at {at}")
            session.problems = engine.close().problems
            session.error = "" if engine.error is None else str(engine.error)
        session.yielded = source.yielded
        self._shown += len(source.yielded)
        if session.crashed:
            shutil.rmtree(self.folder.path)
            self._copy.rename(self.folder.path)
            session.problems = ()
        return session

    @property
    def _copy(self) -> Path:
        return self.folder.path.with_name(self.folder.path.name + ".crashed")

    def _note(self, result: Result) -> None:
        if not result.failure:
            self.published[result.set_id] = sum(result.counts().values())

    def _arm(self, engine: Engine, session: Session, fault: Fault, at: int) -> None:
        if fault in {"none", "source"}:
            return
        writer, count = engine._writer, 0
        real = writer.transaction

        def crash() -> None:
            session.hit = True
            if fault != "write":
                self._copy_folder()
                session.crashed = True
            raise _CrashError("the process was killed" if session.crashed else "the disk is gone")

        @contextmanager
        def transaction() -> Iterator[None]:
            nonlocal count
            count += 1
            hit = count == at
            with real():
                yield
                if hit and fault != "crash after":
                    crash()
            if hit:
                crash()

        writer.transaction = transaction  # type: ignore[method-assign]

    def _copy_folder(self) -> None:
        # What waits on the disk first: nothing is deleted there but by this thread.
        self._copy.mkdir()
        spill = self.folder.spill
        if spill.is_dir():
            shutil.copytree(spill, self._copy / spill.name)
        for path in self.folder.path.iterdir():
            if path.is_file() and not path.name.endswith("-shm"):
                shutil.copy2(path, self._copy)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask the table."""
        with Connection(self.folder.table, read_only=True) as table:
            return table.execute(sql)
