"""Steps, trackers, subscribers and disks that fail; orders that must not depend on chance."""

import random
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import ndimage

from dipstream.errors import StoreError
from dipstream.pipeline import Pipeline
from dipstream.run.log import RunLog
from dipstream.run.tally import Tally
from dipstream.store import RunWriter
from tests.faults.simple import SET_MB

ALIGN = "correct: [{align: {}}]\n"


@pytest.mark.parametrize("more", ["", ALIGN], ids=["pure", "ordered"])
@pytest.mark.parametrize("workers", [1, 3])
def test_a_step_that_raises_anything(
    run: Any, make_frame: Any, to_end: Any, book: Any, monkeypatch: Any, workers: int, more: str
) -> None:
    real = Pipeline.analyse

    def analyse(self: Any, image_set: Any, ordered: Any = None) -> Any:
        if image_set.key.t in {1, 4}:
            raise ZeroDivisionError(f"t={image_set.key.t}")
        return real(self, image_set, ordered)

    monkeypatch.setattr(Pipeline, "analyse", analyse)
    live = run([make_frame(t) for t in range(6)], more, workers=workers)
    assert book(live, to_end(live, 10)) == {"analysed": 4, "quarantined": 2}
    lost = live.frames().query("state == 'quarantined'")
    assert lost["reason"].tolist() == ["ZeroDivisionError: t=1", "ZeroDivisionError: t=4"]
    assert lost["detail"].str.contains("Traceback").all()
    assert lost["detail"].str.contains("raise ZeroDivisionError").all()
    assert live.reader.record.state == "finished"
    sets = live.reader.image_sets()
    assert sets["state"].tolist() == [
        "quarantined" if t in {1, 4} else "analysed" for t in range(6)
    ]
    assert live.tracks()["n_objects"].tolist() == [4, 4]


def test_an_ordered_correction_that_raises_hands_its_turn_on(
    run: Any, make_frame: Any, to_end: Any, book: Any
) -> None:
    small = make_frame(2, pixels=make_frame(2).data[:9, :9])
    live = run(
        [make_frame(0), make_frame(1), small, make_frame(3)],
        "correct: [{align: {}}]\n",
        on_change="quarantine",
        workers=3,
    )
    assert book(live, to_end(live)) == {"analysed": 3, "quarantined": 1}


def test_a_tracker_that_raises(
    run: Any, make_frame: Any, to_end: Any, book: Any, monkeypatch: Any
) -> None:
    real = Pipeline.link

    def link(self: Any, kind: str, state: Any, rows: Any, image_set: Any, free: int) -> Any:
        if image_set.key.t == 2:
            raise KeyError("area")
        return real(self, kind, state, rows, image_set, free)

    monkeypatch.setattr(Pipeline, "link", link)
    live = run([make_frame(t) for t in range(5)])
    assert book(live, to_end(live)) == {"analysed": 4, "quarantined": 1}
    (lost,) = live.frames().query("state == 'quarantined'").itertuples()
    assert (lost.t, lost.reason) == (2, "KeyError: 'area'")
    assert "Traceback" in lost.detail
    assert 2 not in set(live.objects()["t"])
    assert len(live.tracks()) == 2, "a gap, not an end"


def test_a_subscriber_that_raises_harms_nobody(
    run: Any, make_frame: Any, to_end: Any, book: Any
) -> None:
    heard: list[int] = []

    def broken(result: Any) -> None:
        raise RuntimeError("the plot window was closed")

    live = run([make_frame(t) for t in range(4)], subscribers=[broken, lambda r: heard.append(r.t)])
    assert book(live, to_end(live)) == {"analysed": 4}
    assert heard == [0, 1, 2, 3]
    assert live.reader.record.state == "finished"


def test_results_are_published_after_their_commit(run: Any, make_frame: Any, to_end: Any) -> None:
    found: list[tuple[int, int]] = []

    def look(result: Any) -> None:
        done = holder[0].reader.frames(where=f"t = {result.t} AND state = 'analysed'")
        found.append((result.t, len(done)))

    holder: list[Any] = []
    gate = threading.Event()
    live = run([lambda _: gate.wait(5), *(make_frame(t) for t in range(4))], subscribers=[look])
    holder.append(live)
    gate.set()
    to_end(live)
    assert found == [(t, 1) for t in range(4)]


@pytest.mark.parametrize("failing", ["add_set", "finish_frames", "add_frames", "add_rows"])
@pytest.mark.parametrize("policy", ["block", "drop-oldest"])
def test_a_disk_that_fails_ends_the_run(
    run: Any,
    scripted: Any,
    make_frame: Any,
    to_end: Any,
    monkeypatch: Any,
    failing: str,
    policy: str,
) -> None:
    real, calls = getattr(RunWriter, failing), 0

    def fail(self: Any, *args: Any, **more: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > 3:
            raise StoreError("the table answered: database or disk is full")
        return real(self, *args, **more)

    monkeypatch.setattr(RunWriter, failing, fail)

    def breathe(source: Any) -> None:
        time.sleep(0.01)

    script = [item for t in range(40) for item in (make_frame(t), breathe)]
    live = run([*script, scripted.hang], policy=policy, queue_mb=2.1 * SET_MB)
    to_end(live, 10)
    record = live.reader.record
    assert record.state == "failed"
    assert "disk is full" in record.reason
    assert live.error is not None
    assert live.source.stopped
    names = {thread.name for thread in threading.enumerate()}
    assert not names & {"committer", "capture", "clock", "worker-0", "worker-1"}
    kept = live.frames()
    analysed = kept.query("state == 'analysed'")
    sets = live.reader.image_sets()
    of_frames = dict(kept.dropna(subset="set_id")[["set_id", "state"]].to_numpy())
    assert of_frames == dict(sets[["set_id", "state"]].to_numpy()), "nothing is torn"
    if policy == "block":
        assert set(analysed["set_id"]) == set(sets["set_id"]), "it drops nothing"
    assert len(live.objects()) == 2 * len(analysed)


@pytest.mark.parametrize("more", ["", ALIGN], ids=["pure", "ordered"])
def test_what_cannot_be_written_is_not_waited_for(
    run: Any, make_frame: Any, to_end: Any, slow: Any, monkeypatch: Any, more: str
) -> None:
    """Sets that wait are given up, and whoever waits for their turn or for room goes on."""
    slow(lambda k: 0.3)

    def fail(self: Any, *args: Any, **more: Any) -> Any:
        raise StoreError("the table answered: disk I/O error")

    monkeypatch.setattr(RunWriter, "add_set", fail)
    live = run(
        [make_frame(t) for t in range(60)], more, policy="block", queue_mb=42 * SET_MB, workers=1
    )
    began = time.monotonic()
    to_end(live, 10)
    assert time.monotonic() - began < 1.8
    assert live.reader.record.state == "failed"
    assert live.reader.accounting().get("analysed", 0) == 0


def disordered(
    run: Any, make_frame: Any, to_end: Any, slow: Any, more: str, workers: int, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame, list[int], pd.DataFrame]:
    chance = random.Random(seed)
    delays = [chance.choice([0, 0, 0.01, 0.03]) for _ in range(40)]
    slow(lambda k: delays[k])
    order: list[int] = []
    live = run(
        [make_frame(t, position=p) for t in range(12) for p in ("left", "right")],
        more,
        workers=workers,
        subscribers=[lambda result: order.append(result.set_id)],
    )
    to_end(live)
    events = live.reader.table("track_events")
    return live.objects(), live.tracks(), order, events


@pytest.mark.parametrize("more", ["", ALIGN], ids=["pure", "align"])
def test_one_worker_or_four_give_the_same_table(
    run: Any, make_frame: Any, to_end: Any, slow: Any, more: str
) -> None:
    one = disordered(run, make_frame, to_end, lambda _: None, more, 1, 0)
    assert one[2] == list(range(24))
    assert len(one[1]) == 4
    for seed in (1, 2):
        four = disordered(run, make_frame, to_end, slow, more, 4, seed)
        assert four[2] == one[2], "published in order"
        pd.testing.assert_frame_equal(four[0], one[0], check_exact=True)
        pd.testing.assert_frame_equal(four[1], one[1], check_exact=True)
        pd.testing.assert_frame_equal(four[3], one[3], check_exact=True)


def test_sets_enter_ordered_steps_in_order_whoever_closes_them(
    run: Any, scripted: Any, make_frame: Any, to_end: Any, book: Any, monkeypatch: Any
) -> None:
    """The clock closes a set on time-out while the camera completes the next one."""
    from dipstream.queue import SetQueue  # noqa: PLC0415

    real, in_put = SetQueue.put, threading.Event()

    def put(self: Any, image_set: Any) -> Any:
        if threading.current_thread().name == "clock":
            in_put.set()
            time.sleep(0.2)
        return real(self, image_set)

    monkeypatch.setattr(SetQueue, "put", put)

    def until_the_clock_puts(source: Any) -> None:
        assert in_put.wait(5)

    script = [make_frame(0), until_the_clock_puts, make_frame(1), make_frame(1, "GFP")]
    live = run(
        script,
        "assemble: {wait_s: 0.05}\ncorrect: [{align: {}}]\n",
        channels=("DAPI", "GFP"),
        workers=1,
    )
    assert live.poll(5), "the worker holds set 1 and waits for set 0, which is behind it"
    assert book(live, live.wait()) == {"analysed": 3}


def test_a_stuck_set_is_waited_for_only_so_long(
    run: Any, scripted: Any, make_frame: Any, to_end: Any, book: Any, slow: Any
) -> None:
    slow(lambda k: 1.2 if k == 1 else 0)
    order: list[int] = []
    live = run(
        [make_frame(t) for t in range(6)],
        reorder_s=0.2,
        workers=2,
        subscribers=[lambda result: order.append(result.set_id)],
    )
    assert book(live, to_end(live)) == {"analysed": 6}
    assert order == [0, 2, 3, 4, 5, 1]
    objects = live.objects()
    assert objects.query("t == 1")["track_id"].isna().all(), "its turn was given away"
    assert objects.query("t == 1")["intensity_mean_DAPI"].notna().all()
    assert objects.query("t != 1")["track_id"].notna().all()
    assert live.tracks()["n_objects"].tolist() == [5, 5]


def test_a_slow_subscriber_does_not_use_up_the_patience_with_a_set(
    run: Any, make_frame: Any, to_end: Any, slow: Any
) -> None:
    """Time that the committer itself took is no reason to give a set's turn away."""
    slow(lambda k: 0.45 if k == 1 else 0)

    def look(result: Any) -> None:
        if result.set_id == 0:
            time.sleep(0.4)

    live = run([make_frame(t) for t in range(4)], reorder_s=0.3, subscribers=[look])
    to_end(live)
    assert live.objects()["track_id"].notna().all()


def test_a_set_is_waited_for_where_nothing_is_lost_by_it(
    run: Any, make_frame: Any, to_end: Any, slow: Any
) -> None:
    slow(lambda k: 0.5 if k == 1 else 0)
    live = run([make_frame(t) for t in range(6)], workers=2)
    to_end(live)
    assert live.objects()["track_id"].notna().all()


def test_labels_are_saved_for_every_set(run: Any, make_frame: Any, to_end: Any) -> None:
    import tifffile  # noqa: PLC0415

    live = run([make_frame(t) for t in range(3)], save_labels=True)
    to_end(live)
    names = sorted(path.name for path in (live.folder / "labels").iterdir())
    assert names == ["0_nuclei.tif", "1_nuclei.tif", "2_nuclei.tif"]
    labels = tifffile.imread(live.folder / "labels" / "1_nuclei.tif")
    assert labels.dtype == np.int32
    assert np.unique(labels).tolist() == [0, 1, 2]


def test_the_table_is_sound_after_everything(run: Any, make_frame: Any, to_end: Any) -> None:
    live = run([make_frame(t) for t in range(5)])
    to_end(live)
    with sqlite3.connect(f"file:{Path(live.folder) / 'table.db'}?mode=ro", uri=True) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    db.close()


def test_a_full_disk_that_takes_the_log_with_it_is_still_reported(
    run: Any, scripted: Any, make_frame: Any, to_end: Any, monkeypatch: Any
) -> None:
    full = OSError(28, "No space left on device")

    class FullDisk:
        def write(self, text: str) -> int:
            raise full

        def close(self) -> None:
            raise full

    real = RunLog.__init__

    def opened(self: RunLog, path: Any, **more: Any) -> None:
        real(self, path, **more)
        self._file.close()
        self._file = FullDisk()

    def refused(*_: Any, **__: Any) -> None:
        raise full

    monkeypatch.setattr(RunLog, "__init__", opened)
    monkeypatch.setattr(RunWriter, "add_set", refused)
    live = run([*(make_frame(t) for t in range(5)), scripted.hang])
    to_end(live, 10)
    summary = live.summary()
    assert summary["state"] == "failed"
    assert "No space left" in summary["reason"]


def test_an_end_that_cannot_be_written_is_an_error(
    run: Any, make_frame: Any, to_end: Any, monkeypatch: Any
) -> None:
    def refused(*_: Any, **__: Any) -> None:
        raise StoreError("database or disk is full")

    monkeypatch.setattr(RunWriter, "checkpoint", refused)
    live = run([make_frame(t) for t in range(3)])
    assert to_end(live).problems == (), "it is said once, as the reason"
    assert live.error is not None
    assert live.reader.record.state == "failed", "run.json could still be written"
    assert live.summary()["state"] == "failed"
    assert "disk is full" in live.summary()["reason"]


def test_a_run_that_came_to_its_end_was_not_stopped(run: Any, make_frame: Any) -> None:
    with run([make_frame(t) for t in range(3)]) as live:
        assert len(list(live)) == 3
    assert live.summary()["state"] == "finished"


def test_many_warnings_are_all_said() -> None:
    tally = Tally()
    for i in range(1200):
        tally.warn(f"frame {i}")
    fresh, lost, seen = tally.warnings_after(0)
    assert (len(fresh), lost, seen) == (1000, 200, 1200)
    tally.warn("frame 1199")
    assert tally.warnings_after(seen) == ([], 0, 1200), "what is shown is not said again"
    tally.warn("another")
    assert tally.warnings_after(seen) == (["another"], 0, 1201)
    assert tally.warnings()[-1] == "another"
    for t in range(9):
        tally.warn(f"out of focus: DAPI, t={t}", "out of focus: DAPI")
    assert tally.warnings()[-2:] == ("another", "out of focus: DAPI, t=8"), "one of a kind"
    assert len(tally.warnings_after(1201)[0]) == 9, "but each is said"


def test_planes_of_a_stack_are_not_compared_with_each_other(
    run: Any, make_frame: Any, to_end: Any
) -> None:
    sharp = np.zeros((64, 64), "uint16")
    sharp[8:56:8, 8:56] = 500
    blurred = ndimage.gaussian_filter(sharp.astype(float), 3).astype("uint16")
    script = [
        make_frame(t, z=z, pixels=pixels)
        for t in range(7)
        for z, pixels in enumerate([sharp, blurred])
    ]
    live = run(script, "assemble: {z: project, planes: 2}\n")
    to_end(live)
    assert set(live.frames()["flags"]) == {""}
