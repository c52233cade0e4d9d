"""Another try that is killed, fails again or meets a rewritten file loses nothing of the book."""

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from dipstream.errors import StepError
from dipstream.pipeline import Pipeline
from dipstream.quarantine import retry
from dipstream.queue import SetQueue
from dipstream.service import LiveRun, open_run, resume, start
from dipstream.store import (
    FrameOutcome,
    QuarantineWriter,
    RunFolder,
    RunWriter,
    quarantined_frames,
    verify_run,
)
from dipstream.store.connection import Connection

OF_TWO = {"pattern": "{channel}_t{t}.tif", "channels": "DAPI,GFP"}


def write(path: Path, value: int = 100) -> None:
    pixels = np.full((24, 30), 10, "uint16")
    pixels[3:8, 3:8] = value
    tifffile.imwrite(path, pixels)


def tear(path: Path, at: int = 300) -> None:
    write(path)
    path.write_bytes(path.read_bytes()[:at])


@contextmanager
def failing(told: Callable[[], None]) -> Iterator[None]:
    """Let something happen in place of every analysis of t=1."""
    real = Pipeline.analyse

    def analyse(pipeline: Pipeline, image_set: Any, ordered: Any = None) -> Any:
        if image_set.key.t == 1:
            told()
        return real(pipeline, image_set, ordered)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Pipeline, "analyse", analyse)
        yield


def fail() -> None:
    raise StepError("there was not enough memory")


def ended(run: LiveRun) -> Path:
    assert run.poll(20), "the run hangs"
    assert run.wait().problems == ()
    return Path(run.folder)


def states(folder: Path) -> list[str]:
    found = verify_run(RunFolder(folder))
    assert found.findings == ()
    return list(open_run(folder).frames()["state"])


@pytest.fixture
def half(tmp_path: Path, plan: Callable[..., Any]) -> tuple[Path, Path]:
    """A run whose set t=1 was measured in one channel: the file of the other is broken."""
    files = tmp_path / "in"
    files.mkdir()
    for t in range(3):
        write(files / f"DAPI_t{t}.tif")
        write(files / f"GFP_t{t}.tif")
    tear(files / "GFP_t1.tif")
    return files, ended(start(str(files), plan(), options=OF_TWO, durability="normal"))


@pytest.mark.parametrize("why", ["fails", "is aborted"])
def test_what_was_measured_stays_if_another_try(why: str, half: tuple[Path, Path]) -> None:
    files, folder = half
    before = open_run(folder)
    sets, objects = before.image_sets(), before.objects()
    write(files / "GFP_t1.tif")
    chosen = retry(folder)
    if why == "fails":
        with failing(fail):
            ended(chosen.begin())
    else:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(SetQueue, "put", lambda _, one: [(one, "the queue was full")])
            ended(chosen.begin())
    after = open_run(folder)
    assert after.image_sets().equals(sets), "it is as it was"
    assert after.objects().equals(objects)
    (ill,) = quarantined_frames(RunFolder(folder))
    assert ill.channel == "GFP"
    if why == "fails":
        assert ill.reason == "there was not enough memory"
    assert states(folder).count("analysed") == 5
    ended(retry(folder).begin())
    assert states(folder) == ["analysed"] * 6


@pytest.mark.parametrize("kind", ["a set without result", "half a set"])
def test_killed_in_another_try(
    kind: str, half: tuple[Path, Path], plan: Callable[..., Any], tmp_path: Path
) -> None:
    files, folder = half
    write(files / "GFP_t1.tif")
    if kind != "half a set":
        with failing(fail):
            folder = ended(start(str(files), plan(), options=OF_TWO, durability="normal"))
    n = len(retry(folder).frame_ids)
    assert n == 2
    inside, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        inside.set()
        go_on.wait(10)

    with failing(wait), pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunWriter, "start_checkpointer", lambda *_: nullcontext())
        run = retry(folder).begin(reserve_mb=0)
        assert inside.wait(10)
        time.sleep(0.3)  # what was sent before is committed, and nothing comes after it
        killed = tmp_path / "killed"
        shutil.copytree(folder, killed, ignore=shutil.ignore_patterns("*-shm", "run.lock"))
        go_on.set()
        ended(run)
    assert open_run(killed).accounting()["pending"] == n
    ended(resume(killed))
    assert states(killed) == ["analysed"] * 6
    sets = open_run(killed).image_sets()
    assert sets["state"].tolist() == ["analysed"] * 3
    assert sets["n_frames"].tolist() == [2] * 3


def test_what_was_to_be_tried_again_and_does_not_come_stays_in_the_quarantine(
    half: tuple[Path, Path],
) -> None:
    files, folder = half
    (ill,) = quarantined_frames(RunFolder(folder))
    objects = open_run(folder).objects()
    write(files / "GFP_t1.tif")
    chosen = retry(folder)
    assert len(chosen.frame_ids) == 2, "with the other channel of its set"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(chosen.source), "frames", lambda _: iter(()))
        run = chosen.begin()
        ended(run)
    told = run.status().accounting
    assert (told.analysed, told.quarantined, told.pending) == (1, 1, 0), "of this session"
    assert sorted(states(folder)) == ["analysed"] * 5 + ["quarantined"]
    assert quarantined_frames(RunFolder(folder)) == [ill]
    assert open_run(folder).objects().equals(objects)
    ended(retry(folder).begin())
    assert states(folder) == ["analysed"] * 6


def test_what_is_analysed_is_not_put_back(half: tuple[Path, Path]) -> None:
    _, folder = half
    (ill,) = quarantined_frames(RunFolder(folder))
    with closing(QuarantineWriter(RunFolder(folder).table)) as writer:
        before = writer.send_back([ill.frame_id])
        with writer.transaction():  # as another process does meanwhile
            writer.finish_frames([FrameOutcome(ill.frame_id, "late", None, 1, reason="late")])
            writer._connection.execute(
                "UPDATE frames SET state = 'analysed', set_id = 1 WHERE frame_id = ?",
                (ill.frame_id,),
            )
        writer.put_back(before)
    with Connection(RunFolder(folder).table, read_only=True) as table:
        (row,) = table.execute("SELECT state FROM frames WHERE frame_id = ?", (ill.frame_id,))
    assert row == ("analysed",)


@pytest.mark.parametrize("now", ["broken again", "whole"])
def test_of_a_file_that_was_rewritten_only_the_newest_is_tried(
    now: str, tmp_path: Path, plan: Callable[..., Any]
) -> None:
    files = tmp_path / "in"
    files.mkdir()
    write(files / "t0.tif")
    tear(files / "t1.tif")
    watched = {"channels": "DAPI", "poll_s": 0.05, "broken_after_s": 0.1, "rescan_s": 0.1}
    run = start([str(files)], plan(), driver="watch", options=watched, durability="normal")
    until(run, lambda n: n.get("quarantined") == 1 and n.get("analysed") == 1)
    if now == "whole":
        write(files / "t1.tif")
        until(run, lambda n: n.get("analysed") == 2)
    else:
        tear(files / "t1.tif", 400)
        until(run, lambda n: n.get("quarantined") == 2)
    run.stop()
    folder = ended(run)
    write(files / "t1.tif", 120)
    chosen = retry(folder)
    assert "rewritten" in chosen.refused[1]
    if now == "whole":
        assert chosen.frame_ids == ()
        return
    assert chosen.frame_ids == (2,)
    ended(chosen.begin())
    assert states(folder) == ["analysed", "quarantined", "analysed"]


def until(run: LiveRun, met: Callable[[dict[str, int]], bool]) -> None:
    for _ in range(100):
        if met(run.reader.accounting()):
            return
        assert not run.poll(0.05), "the run has ended"
    raise AssertionError(run.reader.accounting())


def test_if_nothing_of_a_set_can_be_read_any_more_it_stays(half: tuple[Path, Path]) -> None:
    files, folder = half
    objects = open_run(folder).objects()
    tear(files / "GFP_t1.tif", 400)
    tear(files / "DAPI_t1.tif", 400)
    ended(retry(folder).begin())
    assert states(folder).count("analysed") == 5
    assert open_run(folder).objects().equals(objects)
    (ill,) = quarantined_frames(RunFolder(folder))
    assert ill.channel == "GFP"


def test_a_frame_that_was_refused_stays_in_the_quarantine_if_it_is_dropped(
    tmp_path: Path, plan: Callable[..., Any]
) -> None:
    files = tmp_path / "in"
    files.mkdir()
    write(files / "t0.tif")
    tear(files / "t1.tif")
    options = {"channels": "DAPI"}
    folder = ended(start(str(files), plan(), options=options, durability="normal"))
    write(files / "t1.tif")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SetQueue, "put", lambda _, one: [(one, "the queue was full")])
        ended(retry(folder).begin())
    assert states(folder) == ["analysed", "quarantined"]
    ended(retry(folder).begin())
    assert states(folder) == ["analysed"] * 2
