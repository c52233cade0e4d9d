"""`dipstream verify`: quiet about sound runs, exact about each way in which one can be wrong."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from dipstream.errors import StoreError
from dipstream.service import LiveRun, start
from dipstream.store import RunFolder, Verification, verify_run
from dipstream.store.connection import Connection


def sql(folder: Path, *statements: str) -> None:
    """Change a table behind dipstream's back."""
    with Connection(folder / "table.db") as connection:
        for statement in statements:
            connection.execute(statement)


def verified(folder: Path, *, deep: bool = False) -> Verification:
    found = verify_run(RunFolder(folder), deep=deep)
    assert json.loads(json.dumps(found.to_json()))["ok"] is found.ok
    return found


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Where the sound run is kept once it is made; each test breaks a copy."""
    return {"home": tmp_path_factory.mktemp("verify")}


@pytest.fixture
def sound(
    kept: dict[str, Path],
    tmp_path: Path,
    run: Callable[..., LiveRun],
    to_end: Callable[..., Any],
    make_frame: Callable[..., Any],
    make_bad: Callable[..., Any],
) -> Path:
    """A run with tracks, gaps in the counter, a refused frame and a late one."""
    if "run" not in kept:
        script = [make_frame(t, seq=10 + t + 3 * (t > 4)) for t in range(12) if t != 7]
        script.insert(5, make_bad(7, seq=17))
        script.append(make_frame(0, seq=30))
        live = run(script, live=True)
        to_end(live)
        kept["run"] = Path(shutil.copytree(live.folder, kept["home"] / live.run_id))
    return Path(shutil.copytree(kept["run"], tmp_path / kept["run"].name))


def test_a_sound_run_is_quietly_well(sound: Path) -> None:
    found = verified(sound, deep=True)
    assert found.findings == ()
    assert found.state == "finished"
    counts = found.accounting
    assert counts["received"] == sum(counts.values()) - counts["received"] == 13
    assert (counts["quarantined"], counts["late"]) == (1, 1)
    (counter,) = found.counters
    assert counter.balanced
    assert (counter.first, counter.last, counter.gap) == (10, 30, 21 - 13)
    assert found.rows["objects_nuclei"] == 22
    assert found.rows["commits"] == 13


AGAIN = """INSERT INTO commits SELECT (SELECT max(commit_number) + 1 FROM commits), set_id,
content_version, frame_id, content_hash, epoch, committed_ns FROM commits WHERE set_id = 3"""
DAMAGE = {
    "a row that vanished": (["DELETE FROM frames WHERE frame_id = 3"], "frames", "frames 3 to 3"),
    "a state nobody knows": (
        ["UPDATE frames SET state = 'gone' WHERE frame_id = 2"], "frames", "frame 2",
    ),
    "lost without a reason": (
        ["UPDATE frames SET reason = NULL WHERE state = 'late'"], "frames", "frame 12",
    ),
    "still pending": (
        ["UPDATE frames SET state = 'pending' WHERE frame_id = 2"], "frames", "frame 2",
    ),
    "a number twice": (
        ["UPDATE frames SET seq = 10 WHERE frame_id = 1"], "keys", "segment 0, number 10",
    ),
    "a plane of a file twice": (
        ["UPDATE frames SET path = '/a.tif', plane = 0, t = 0 WHERE frame_id IN (1, 2)"],
        "keys", "/a.tif, plane 0",
    ),
    "a commit of a set that is gone": (
        ["DELETE FROM image_sets WHERE set_id = 3"], "commits", "commit ",
    ),
    "events of a set that is gone": (
        ["DELETE FROM image_sets WHERE set_id = 3"], "tracks", "event ",
    ),
    "a gap without its event": (["DELETE FROM events WHERE kind = 'gap'"], "sequences", ""),
    "a set that is gone": (["DELETE FROM image_sets WHERE set_id = 3"], "sets", "frame "),
    "a set with fewer frames": (
        ["UPDATE image_sets SET n_frames = 2 WHERE set_id = 3"], "sets", "set 3 (1 of 2)",
    ),
    "a set in another state": (
        ["UPDATE image_sets SET state = 'dropped' WHERE set_id = 3"], "sets", "frame ",
    ),
    "analysed, but in no set": (
        ["UPDATE frames SET set_id = NULL WHERE frame_id = 2"], "sets", "frame 2",
    ),
    "objects without a set": (["DELETE FROM image_sets WHERE set_id = 3"], "objects", "set 3"),
    "an object that vanished": (
        ["DELETE FROM objects_nuclei WHERE set_id = 3 AND label = 1"], "objects", "set 3 (1 of 2)",
    ),
    "a link to nothing": (
        ["DELETE FROM objects_nuclei WHERE set_id = 3 AND label = 1"], "tracks", "event ",
    ),
    "an object in a track of its own": (
        ["UPDATE objects_nuclei SET track_id = 99 WHERE set_id = 3 AND label = 1"],
        "tracks", "event ",
    ),
    "an object no event tells of": (
        ["DELETE FROM track_events WHERE set_id = 3 AND label = 1"], "tracks", "22 in tracks",
    ),
    "a track that starts twice": (
        ["UPDATE track_events SET kind = 'start' WHERE set_id = 3 AND label = 1"],
        "tracks", "nuclei track ",
    ),
    "a track after its end": (
        ["UPDATE track_events SET kind = 'end', label = NULL WHERE set_id = 3 AND label = 1"],
        "tracks", "nuclei track ",
    ),
    "a track from nowhere": (
        ["UPDATE track_events SET parent_id = 77 WHERE event_id = 2"], "tracks", "nuclei track ",
    ),
    "a set without a commit": (
        ["UPDATE commits SET content_version = 7 WHERE set_id = 3"], "commits", "set 3",
    ),
    "other content than was committed": (
        ["UPDATE image_sets SET content_hash = 'x' WHERE set_id = 3"], "commits", "set 3",
    ),
    "a commit that is gone": (
        ["DELETE FROM commits WHERE commit_number = 4"], "commits", "after 3",
    ),
    "a stale commit": (
        ["INSERT INTO epochs SELECT epoch + 1, holder, begun_ns FROM epochs",
         "UPDATE commits SET epoch = epoch + 1 WHERE commit_number < 4"], "commits", "commit 4",
    ),
    "a writer nobody knows": (
        ["UPDATE commits SET epoch = 9 WHERE commit_number > 3"], "commits", "commit ",
    ),
    "a lost frame without a commit": (
        ["DELETE FROM commits WHERE frame_id = 12"], "commits", "frame 12",
    ),
    "a set committed twice": (
        [AGAIN], "commits", "set 3, version 1",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGE)
def test_each_damage_is_found(sound: Path, name: str) -> None:
    statements, check, example = DAMAGE[name]
    sql(sound, *statements)
    found = verified(sound)
    assert not found.ok
    hits = [one for one in found.findings if one.check == check]
    assert hits, found.findings
    shown = [text for one in hits for text in one.examples]
    assert any(text.startswith(example) for text in shown) or not example, shown
    assert all(one.problem and one.advice and "RUN" not in one.advice for one in found.findings)


def test_keys_that_an_index_guards_are_looked_at_anyway(sound: Path) -> None:
    sql(
        sound,
        "DROP INDEX image_sets_key",
        "UPDATE image_sets SET t = 2 WHERE set_id = 3",
    )
    assert "position 0, t=2" in [t for one in verified(sound).findings for t in one.examples]


def test_the_content_of_a_set_is_that_of_its_frames(sound: Path) -> None:
    sql(sound, "UPDATE frames SET content_hash = 'y' WHERE frame_id = 2")
    assert verified(sound).ok, "only --deep computes hashes"
    (finding,) = verified(sound, deep=True).findings
    assert finding.check == "sets"
    assert finding.examples == ("set 2",)


def test_a_damaged_file_is_said_to_be_damaged(sound: Path) -> None:
    sql(sound, "PRAGMA wal_checkpoint(TRUNCATE)")
    raw = bytearray((sound / "table.db").read_bytes())
    size = int.from_bytes(raw[16:18], "big")
    for page in range(3, len(raw) // size, 4):
        raw[page * size : page * size + 12] = b"\xff" * 12
    (sound / "table.db").write_bytes(raw)
    found = verified(sound, deep=True)
    assert "sqlite" in {one.check for one in found.findings}


def test_the_record_must_say_what_the_book_says(sound: Path) -> None:
    folder = RunFolder(sound)
    folder.update(accounting={**folder.read().accounting, "analysed": 3})
    (finding,) = verified(sound).findings
    assert finding.check == "record"
    assert "3 analysed" in finding.problem


def test_spilled_pixels_must_not_be_left_over(sound: Path) -> None:
    (sound / "spill").mkdir()
    assert verified(sound).ok
    (sound / "spill" / "segment-0001.dip").write_bytes(b"x" * 100)
    (finding,) = verified(sound).findings
    assert finding.check == "spill"
    assert "segment-0001.dip" in finding.examples


def test_a_killed_run_says_what_is_uncertain(sound: Path) -> None:
    RunFolder(sound).update(state="running", accounting={}, ended_ns=None)
    found = verified(sound)
    assert found.state == "killed"
    assert found.ok, "nothing is pending"
    assert any("50 ms" in note for note in found.notes)


def test_a_table_of_another_version_is_refused(sound: Path) -> None:
    sql(sound, "PRAGMA user_version = 1")
    with pytest.raises(StoreError, match="version 1; this dipstream verifies version"):
        verify_run(RunFolder(sound))


def test_a_run_that_is_being_written(
    run: Callable[..., LiveRun], to_end: Callable[..., Any], make_frame: Callable[..., Any]
) -> None:
    seen = []

    def look(result: Any) -> None:
        if result.t % 10 == 9:
            seen.append(verify_run(RunFolder(live.folder)))

    live = run([make_frame(t, seq=2 * t) for t in range(40)], subscribers=[look])
    to_end(live)
    assert len(seen) == 4
    for found in seen:
        assert found.findings == ()
        assert found.state == "running"
        assert any("being written" in note for note in found.notes)
    assert seen[1].accounting["received"] >= 20
    assert verified(live.folder).ok


def test_counters_that_begin_anew(
    run: Callable[..., LiveRun],
    to_end: Callable[..., Any],
    make_frame: Callable[..., Any],
    make_bad: Callable[..., Any],
) -> None:
    script = [
        make_bad(50, seq=3),  # before any segment: counted in none
        *(make_frame(t, seq=5 + t) for t in range(4)),
        make_bad(51, seq=11),  # counts: two are missing before it
        make_bad(52, seq=2),  # the counter has begun anew: the next good frame opens a segment
        *(make_frame(10 + t, seq=3 + t) for t in range(3)),
    ]
    live = run(script, live=True)
    book = to_end(live)
    found = verified(live.folder)
    assert found.findings == ()
    told = [(c.segment, c.first, c.last, c.received, c.gap) for c in found.counters]
    assert told == [(0, 5, 11, 5, 2), (1, 3, 5, 3, 0)]
    assert book.gap == 2


@pytest.fixture
def from_files(tmp_path: Path, plan: Callable[..., Any]) -> tuple[Path, Path]:
    """A run of five files, and their folder."""
    folder = tmp_path / "in"
    folder.mkdir()
    for t in range(5):
        pixels = np.full((24, 30), 10, "uint16")
        pixels[3:8, 3 + t : 8 + t] = 100
        tifffile.imwrite(folder / f"t{t}.tif", pixels)
    with start(folder, plan(), options={"channels": "DAPI"}, durability="normal") as run:
        run.wait()
    return run.folder, folder


def test_files_are_compared_with_what_was_analysed(from_files: tuple[Path, Path]) -> None:
    run, folder = from_files
    found = verified(run, deep=True)
    assert found.ok, found.findings
    assert any("5 of 5 files" in note for note in found.notes)
    (folder / "t0.tif").unlink()
    raw = bytearray((folder / "t1.tif").read_bytes())
    raw[-1] ^= 1
    (folder / "t1.tif").write_bytes(raw)
    (folder / "t2.tif").unlink()
    (folder / "t2.tif").mkdir()
    assert verified(run).ok, "only --deep reads files"
    found = verified(run, deep=True)
    (finding,) = found.findings
    assert finding.check == "files"
    assert finding.examples == (str(folder / "t1.tif"), str(folder / "t2.tif"))
    assert any("2 of 5 files" in note for note in found.notes)
    assert any("1 files are gone" in note for note in found.notes)


def test_the_command(from_files: tuple[Path, Path], cli: Any) -> None:
    run, folder = from_files
    answer = cli("verify", run, "--deep")
    assert answer.code == 0, answer.stderr
    assert "all is well" in answer.stdout
    sql(run, "DELETE FROM frames WHERE frame_id = 3")
    answer = cli("verify", run, "--json")
    assert answer.code == 1
    assert answer.json["findings"][0]["check"] == "frames"
    answer = cli("verify", run)
    assert answer.code == 1
    assert "frames 3 to 3" in answer.stdout
    assert "→" in answer.stdout
    assert cli("verify", folder).code == 2
