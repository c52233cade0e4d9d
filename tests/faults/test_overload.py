"""Frames come faster than they are analysed: each policy, and what the book says."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dipstream.service import open_run, resume
from dipstream.spill import Spill
from dipstream.store import RunFolder
from dipstream.store.connection import Connection
from tests.faults.hurried import Camera
from tests.faults.simple import SET_MB, SHAPE

SECONDS = 20.0 if os.environ.get("DIPSTREAM_CAMPAIGN") else 3.0
QUEUE_MB = 96.0
PIXELS_MB = 2 * SHAPE[0] * SHAPE[1] / 1e6
POLICIES = ("block", "spill", "thin", "drop-oldest", "stop")


def hurried(home: Path, **hurry: Any) -> "subprocess.Popen[str]":
    """Start `hurried.py` in a process whose memory is its own."""
    home.mkdir()
    about = {"home": str(home), "seconds": SECONDS, "queue_mb": QUEUE_MB, "spill_mb": 4096}
    return subprocess.Popen(
        [sys.executable, Path(__file__).with_name("hurried.py"), json.dumps(about | hurry)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


@pytest.fixture(scope="module")
def children(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, "subprocess.Popen[str]"]]:
    """All at once: they sleep most of the time."""
    folder = tmp_path_factory.mktemp("hurried")
    started = {policy: hurried(folder / policy, policy=policy) for policy in POLICIES}
    started["killed"] = hurried(
        folder / "killed", policy="spill", queue_mb=8, die_after=150, seconds=10
    )
    yield started
    for child in started.values():
        with child:
            child.kill()


@pytest.fixture(scope="module")
def killed(children: dict[str, "subprocess.Popen[str]"]) -> Path:
    """The run of a process that died while image sets waited on the disk."""
    said, trouble = children["killed"].communicate(timeout=60)
    assert children["killed"].returncode == 9, trouble
    return Path(said.splitlines()[-1])


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
@pytest.mark.parametrize("policy", POLICIES)
def test_ten_times_too_fast(children: Any, policy: str) -> None:
    said, trouble = children[policy].communicate(timeout=60 + 20 * SECONDS)
    assert children[policy].returncode == 0, trouble
    found = json.loads(said.splitlines()[-1])
    held = found["memory_mb"] - found["calm_mb"]
    print(f"{policy}: {held:.1f} MB above a calm run, the cap is {QUEUE_MB} MB; {found['states']}")
    assert held <= 1.1 * QUEUE_MB
    assert found["queue_fill"] <= 1
    assert found["queue_fill"] > 0.9, "there was an overload"
    assert found["problems"] == []
    assert found["policy"] == policy
    counts = {state: n for state, n in found["accounting"].items() if n and state != "received"}
    assert counts == found["states"], "what was counted is what the table says"
    assert found["counted"] == found["accounting"]
    assert found["in_order"], "image sets are committed in the order of the camera's counter"
    assert found["sets"] == found["accounting"]["received"], "each has its commit"
    assert ("warning" in found["kinds"]) is True
    assert found["left_on_disk"] == []
    assert (found["spilled"] > 0) is (policy == "spill")
    reasons = {reason.split(":")[0] for reason in found["reasons"]}
    assert reasons == {
        "block": set(),
        "spill": set(),
        "thin": {"thinned"},
        "drop-oldest": {"the queue was full"},
        "stop": {"the queue was full, and its policy is to stop"},
    }.get(policy)
    assert found["state"] == ("failed" if policy == "stop" else "finished")
    if policy != "stop":
        assert found["accounting"]["received"] == found["frames"]
    if policy in {"block", "spill"}:
        assert found["states"] == {"analysed": found["frames"]}
        assert found["as_unhurried"], "the tables are those of a run that had all the time"


@pytest.mark.parametrize("torn", [False, True])
def test_what_waited_on_the_disk_survives_a_kill(killed: Path, torn: bool, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / killed.name)
    shutil.copytree(killed, folder.path)
    if torn:
        newest = max(folder.spill.iterdir())
        os.truncate(newest, newest.stat().st_size - 10)
    spill = Spill(folder.spill, 10**9, sync=False)
    waiting = {one.set_id: (one.frame_ids, infos[0].t) for one, infos in spill.left_over()}
    spill.close()
    before = _sets(folder, "analysed")
    booked = _pending(folder)
    # The last ones came so shortly before the end that their rows were not committed: they follow
    # on the book, and are booked now.
    first = sum(open_run(folder.path).accounting().values())
    kept = {k: v for k, v in waiting.items() if set(v[0]) <= booked or min(v[0]) >= first}
    assert len(kept) >= 10
    live = resume(folder.path, source=Camera(40, 1e9, first=50_000))
    assert live.poll(30)
    assert live.wait().problems == ()
    after = _sets(folder, "analysed")
    assert {k: after[k] for k in before} == before, "no committed row is lost"
    assert {k: after.get(k) for k in kept} == kept, "under their old numbers"
    new = sorted(set(after) - set(before) - set(kept))
    assert len(new) == 40
    assert new[0] > max(kept)
    frames = live.frames()
    reasons = set(frames.query("state == 'dropped'")["reason"])
    # Those in memory when it died, if there were any.
    assert reasons <= {"crash: the run ended before its analysis"}
    assert len(frames) == len(before) + len(kept) + 40 + (frames["state"] == "dropped").sum()
    assert frames["frame_id"].is_unique
    objects = live.objects()
    assert set(objects.groupby("t").size()) == {1}
    assert (objects["intensity_mean_DAPI"] == 100 + objects["t"] % 100).all(), "their own pixels"
    assert not folder.spill.exists()
    assert _order(folder) == sorted(_order(folder))


def _sets(folder: RunFolder, state: str) -> dict[int, tuple[tuple[int, ...], int]]:
    with Connection(folder.table, read_only=True) as connection:
        rows = connection.execute(
            "SELECT s.set_id, f.frame_id, s.t FROM image_sets s JOIN frames f USING (set_id) "
            "WHERE s.state = ?",
            (state,),
        )
    return {int(set_id): ((int(frame_id),), int(t)) for set_id, frame_id, t in rows}


def _pending(folder: RunFolder) -> set[int]:
    with Connection(folder.table, read_only=True) as connection:
        rows = connection.execute("SELECT frame_id FROM frames WHERE state = 'pending'")
    return {int(frame_id) for (frame_id,) in rows}


def _order(folder: RunFolder) -> list[int]:
    with Connection(folder.table, read_only=True) as connection:
        rows = connection.execute(
            "SELECT set_id FROM commits WHERE set_id IS NOT NULL ORDER BY commit_number"
        )
    return [int(set_id) for (set_id,) in rows]


@pytest.mark.parametrize("correct", ["", "correct: [{align: {}}]\n"], ids=["pure", "ordered"])
def test_drop_oldest_drops_whole_sets_and_says_so(
    run: Any, make_frame: Any, to_end: Any, book: Any, slow: Any, correct: str
) -> None:
    slow(lambda k: 0.03)
    script = [
        item
        for t in range(30)
        for item in (make_frame(t), make_frame(t, "GFP"), lambda _: time.sleep(0.01))
    ]
    live = run(
        script,
        correct,
        channels=("DAPI", "GFP"),
        policy="drop-oldest",
        queue_mb=11 * SET_MB,
        workers=1,
    )
    accounting = to_end(live)
    states = book(live, accounting)
    assert set(states) == {"analysed", "dropped"}
    assert states["analysed"] + states["dropped"] == accounting.received == 60
    assert states["dropped"] >= 10
    frames = live.frames()
    assert (frames.groupby("t")["state"].nunique() == 1).all(), "never half a set"
    assert set(frames.query("state == 'dropped'")["reason"]) == {"the queue was full"}
    assert frames.query("t >= 28")["state"].eq("analysed").all(), "the newest ones stay"
    assert "warning" in set(live.reader.events()["kind"]), "told at three quarters"
    assert live.reader.record.state == "finished"


def test_a_live_camera_spills_and_files_wait_unless_told_otherwise(
    run: Any, make_frame: Any, to_end: Any, book: Any, slow: Any
) -> None:
    slow(lambda k: 0.02)
    for live_source, policy in [(True, "spill"), (False, "block")]:
        live = run(
            [make_frame(t) for t in range(12)],
            live=live_source,
            replayable=not live_source,
            queue_mb=2.5 * SET_MB,
            workers=1,
        )
        assert book(live, to_end(live)) == {"analysed": 12}
        assert live.reader.record.settings["policy"] == policy
        assert (live.status().spilled > 0) is live_source
        assert not (live.folder / "spill").exists()
        # Files are read as fast as there is room: that is nothing to be warned of.
        assert ("warning" in set(live.reader.events()["kind"])) is live_source


def test_past_the_disks_share_a_camera_is_thinned(
    run: Any, make_frame: Any, to_end: Any, book: Any, slow: Any
) -> None:
    slow(lambda k: 0.01)
    live = run(
        [make_frame(t) for t in range(100)],
        live=True,
        replayable=False,
        queue_mb=2.5 * SET_MB,
        spill_mb=10 * PIXELS_MB,
        workers=1,
    )
    states = book(live, to_end(live))
    assert states["dropped"] >= 20
    assert states["analysed"] >= 8
    frames = live.frames()
    reasons = frames.query("state == 'dropped'")["reason"]
    assert reasons.str.fullmatch(r"thinned: 1 of \d+ kept").all()
    said = live.reader.events().query("kind == 'warning'")["message"]
    assert said.str.contains("the disk's share").any()
    assert said.str.contains("every n-th").any()


def test_a_disk_that_takes_no_more_is_told_and_the_rest_thinned(
    run: Any, make_frame: Any, to_end: Any, book: Any, slow: Any, monkeypatch: Any
) -> None:
    from dipstream import spill  # noqa: PLC0415

    left, write = [7], spill._write_all

    def full(file: Any, part: Any) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(28, "No space left on device")
        write(file, part)

    monkeypatch.setattr(spill, "_write_all", full)
    slow(lambda k: 0.01)
    live = run(
        [make_frame(t) for t in range(60)],
        live=True,
        replayable=False,
        queue_mb=4 * SET_MB,
        workers=1,
    )
    states = book(live, to_end(live))
    assert states["dropped"] >= 10
    assert live.status().spilled == 2, "three parts make a record"
    assert live.reader.record.state == "finished"
    said = live.reader.events().query("kind == 'degraded'")["message"]
    assert said.str.contains("No space left on device").tolist() == [True]
    sets = live.frames().query("state == 'analysed'")["set_id"]
    assert sets.is_monotonic_increasing


def test_block_makes_the_source_wait(
    run: Any, make_frame: Any, to_end: Any, book: Any, slow: Any
) -> None:
    slow(lambda k: 0.02)
    live = run([make_frame(t) for t in range(15)], policy="block", queue_mb=2.5 * SET_MB, workers=1)
    time.sleep(0.1)
    assert live.source.yielded < 12
    assert live.status().queue_fill <= 1.01
    assert book(live, to_end(live)) == {"analysed": 15}


@pytest.mark.parametrize("correct", ["", "correct: [{align: {}}]\n"], ids=["pure", "ordered"])
def test_stop_fails_the_run_but_answers_for_every_frame(
    run: Any, make_frame: Any, to_end: Any, book: Any, slow: Any, correct: str
) -> None:
    slow(lambda k: 0.05)
    live = run(
        [make_frame(t) for t in range(20)],
        correct,
        policy="stop",
        queue_mb=2.5 * SET_MB,
        workers=1,
    )
    accounting = to_end(live)
    record = live.reader.record
    assert record.state == "failed"
    assert "the queue is full and its policy is to stop" in record.reason
    assert "--workers" in record.reason
    states = book(live, accounting)
    assert sum(states.values()) == live.source.yielded < 20
    assert states["analysed"] >= 2


def test_a_set_larger_than_the_queue_is_analysed(
    run: Any, make_frame: Any, to_end: Any, book: Any
) -> None:
    live = run([make_frame(t) for t in range(4)], queue_mb=SET_MB / 10)
    assert book(live, to_end(live)) == {"analysed": 4}


def test_nobody_who_watches_slows_the_run(
    run: Any, make_frame: Any, to_end: Any, book: Any, monkeypatch: Any
) -> None:
    from dipstream import service  # noqa: PLC0415

    monkeypatch.setattr(service, "_MAILBOX_BYTES", 20_000)
    live = run([make_frame(t) for t in range(30)])
    assert book(live, to_end(live)) == {"analysed": 30}
    newest = [result.t for result in live]
    assert newest == list(range(30 - len(newest), 30))
    assert live.missed == 30 - len(newest) > 0
