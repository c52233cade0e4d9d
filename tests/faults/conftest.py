"""A source that does what the test's script says, and a way to run it to the end."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import pytest

from dipstream.frame import BadFrame, Frame, FrameInfo, Segment
from dipstream.pipeline import Plan, open_plan
from dipstream.run import Accounting
from dipstream.service import LiveRun, start
from dipstream.source import BaseSource, SourceInfo, now_ns
from tests.faults.children import Nursery, scratch
from tests.faults.database import Server, binaries
from tests.faults.null_runs import NullRuns
from tests.faults.simple import SIMPLE, two_squares


def make_frame(t: int = 0, channel: str = "DAPI", seq: int | None = None, **info: Any) -> Frame:
    """A frame with two bright squares that move with t."""
    pixels = info.pop("pixels", None)
    if pixels is None:
        pixels = two_squares(t)
    segment = Segment(shape=pixels.shape, dtype=str(pixels.dtype))
    fields = {"segment": segment, "channel": channel, "t": t, "seq": seq, **info}
    return Frame(pixels, FrameInfo(**fields))


def make_bad(t: int = 0, channel: str = "DAPI", **info: Any) -> BadFrame:
    return BadFrame(
        FrameInfo(Segment.unread(), channel, t=t, **info), "half of the file is missing"
    )


Item = Frame | BadFrame | Exception | Callable[["Scripted"], None]


class Scripted(BaseSource):
    """Yields frames, raises exceptions and calls everything else."""

    def __init__(
        self, script: Sequence[Item], channels: tuple[str, ...] = ("DAPI",), **info: Any
    ) -> None:
        known = {"replayable": True, "live": False, **info}
        super().__init__(SourceInfo("scripted:", channels, **known))
        self.script = list(script)
        self.entered = 0
        self.yielded = 0

    def __enter__(self) -> Self:
        self.entered += 1
        return self

    def frames(self) -> Iterator[Frame | BadFrame]:
        for item in self.script:
            if self._stopping.is_set():
                return
            if isinstance(item, Exception):
                raise item
            if not isinstance(item, Frame | BadFrame):
                item(self)
                continue
            utc, monotonic = now_ns()
            info = replace(item.info, received_ns=utc, received_monotonic_ns=monotonic)
            self.yielded += 1
            yield replace(item, info=info)

    def hang(self) -> None:
        """Deliver nothing until somebody stops the source."""
        self._stopping.wait(20)

    @property
    def stopped(self) -> bool:
        return self._stopping.is_set()


@pytest.fixture(name="make_frame")
def make_frame_fixture() -> Callable[..., Frame]:
    return make_frame


@pytest.fixture(name="make_bad")
def make_bad_fixture() -> Callable[..., BadFrame]:
    return make_bad


@pytest.fixture
def scripted() -> type[Scripted]:
    return Scripted


@pytest.fixture
def plan(tmp_path: Path) -> Callable[..., Plan]:
    """A simple pipeline, with more lines if the test wants them."""

    def made(more: str = "") -> Plan:
        path = tmp_path / "simple.yaml"
        path.write_text(SIMPLE + more, encoding="utf-8")
        return open_plan(path)

    return made


def ended(run: LiveRun, timeout_s: float = 20) -> Accounting:
    """Wait for the end, but not for ever; the sum of the book must be right."""
    assert run.poll(timeout_s), "the run hangs"
    return run.wait()


@pytest.fixture
def to_end() -> Callable[..., Accounting]:
    return ended


@pytest.fixture
def run(plan: Callable[..., Plan]) -> Callable[..., LiveRun]:
    """Start a script in a run; two workers and the quick durability."""

    def started(script: Sequence[Item] | Scripted, more: str = "", **options: Any) -> LiveRun:
        settings = {"workers": 2, "durability": "normal"}
        about = {
            name: options.pop(name)
            for name in ("channels", "live", "replayable", "grouped")
            if name in options
        }
        source = script if isinstance(script, Scripted) else Scripted(script, **about)
        return start(source, options.pop("plan", None) or plan(more), **{**settings, **options})

    return started


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[int], float]], None]:
    """Makes the analysis of image set k take so many seconds more."""
    from dipstream.pipeline import Pipeline  # noqa: PLC0415

    real = Pipeline.analyse

    def slowed(seconds: Callable[[int], float]) -> None:
        def analyse(self: Pipeline, image_set: Any, ordered: Any = None) -> Any:
            time.sleep(seconds(image_set.set_id))
            return real(self, image_set, ordered)

        monkeypatch.setattr(Pipeline, "analyse", analyse)

    return slowed


@pytest.fixture
def book() -> Callable[[LiveRun, Accounting], dict[str, int]]:
    """The states of the frames, after checking that the book adds up in every respect."""

    def checked(run: LiveRun, accounting: Accounting) -> dict[str, int]:
        assert accounting.problems == ()
        assert accounting.balanced
        frames = run.frames()
        states: dict[str, int] = frames["state"].value_counts().to_dict()
        counts = accounting.frames()
        assert counts.pop("received") == len(frames) == sum(counts.values())
        assert counts.pop("pending") == 0
        assert {k: v for k, v in counts.items() if v} == states
        assert run.reader.record.accounting == accounting.frames()
        lost = frames[frames["state"] != "analysed"]
        assert (lost["reason"].str.len() > 0).all(), "every frame that is lost says why"
        return states

    return checked


@pytest.fixture(scope="session")
def null_runs(zygote: Any, command_line: Any) -> Iterator[NullRuns]:
    """Runs of fifty tiny image sets in children that can be killed."""
    if zygote is None:
        pytest.skip("children are forked, which this system cannot")
    with scratch() as folder:
        yield NullRuns(Nursery(zygote, folder, command_line.environment()), folder)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A real PostgreSQL, empty at first."""
    if binaries() is None:
        if os.environ.get("DIPSTREAM_REQUIRE_POSTGRES"):
            pytest.fail("there is no initdb and postgres here, and they are required")
        pytest.skip("there is no PostgreSQL here: install the package postgresql")
    one = Server()
    try:
        one.start()
        yield one
    finally:
        one.remove()
