"""What must be true of a run whose process was killed, and of the same run resumed to its end.

Everything is read with Python's own SQLite from a copy: an opinion of its own on what dipstream
wrote, and the folder of the run is left as the crash left it.
"""

import json
import shutil
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from tests.faults.children import N_SETS, Ended

__all__ = ["check_crashed", "check_whole", "is_a_run", "opened_copy"]

_ORPHANS = {
    "objects without an image set": (
        "SELECT count(*) FROM objects_nuclei WHERE set_id NOT IN (SELECT set_id FROM image_sets)"
    ),
    "track events without an image set": (
        "SELECT count(*) FROM track_events WHERE set_id NOT IN (SELECT set_id FROM image_sets)"
    ),
    "track events of objects that are not there": (
        "SELECT count(*) FROM track_events e LEFT JOIN objects_nuclei o "
        "ON o.set_id = e.set_id AND o.label = e.label AND o.track_id = e.track_id "
        "WHERE e.label IS NOT NULL AND o.label IS NULL"
    ),
    "objects that no track event speaks of": (
        "SELECT count(*) FROM objects_nuclei o LEFT JOIN track_events e "
        "ON o.set_id = e.set_id AND o.label = e.label WHERE e.label IS NULL"
    ),
    "image sets with other objects than they count": (
        "SELECT count(*) FROM image_sets s WHERE n_objects IS NOT "
        "(SELECT count(*) FROM objects_nuclei o WHERE o.set_id = s.set_id)"
    ),
    "image sets with other frames than they count": (
        "SELECT count(*) FROM image_sets s WHERE n_frames IS NOT "
        "(SELECT count(*) FROM frames f WHERE f.set_id = s.set_id AND f.state = s.state)"
    ),
    "analysed frames without an image set": (
        "SELECT count(*) FROM frames WHERE state = 'analysed' "
        "AND (set_id IS NULL OR set_id NOT IN (SELECT set_id FROM image_sets))"
    ),
    "frames twice": (
        "SELECT count(*) FROM (SELECT 1 FROM frames WHERE state != 'dropped' "
        "GROUP BY path, plane, version HAVING count(*) > 1)"
    ),
    "image sets without a commit": (
        "SELECT count(*) FROM image_sets s WHERE NOT EXISTS (SELECT 1 FROM commits c "
        "WHERE c.set_id = s.set_id AND c.content_version = s.content_version "
        "AND c.content_hash IS s.content_hash)"
    ),
    "commits of image sets that are not there, or twice": (
        "SELECT count(*) - (SELECT count(*) FROM image_sets) FROM commits WHERE set_id IS NOT NULL"
    ),
    "gaps in the commit numbers": (
        "SELECT coalesce(max(commit_number) - min(commit_number) + 1 - count(*), 0) FROM commits"
    ),
    "commits of an epoch after those of a later one": (
        "SELECT count(*) FROM commits a JOIN commits b ON b.commit_number = a.commit_number + 1 "
        "WHERE b.epoch < a.epoch"
    ),
    "commits of an epoch that never began": (
        "SELECT count(*) FROM commits WHERE epoch NOT IN (SELECT epoch FROM epochs)"
    ),
}


def is_a_run(run: Path) -> bool:
    """Return whether the process came as far as telling that there is a run."""
    return (run / "run.json").exists()


@contextmanager
def opened_copy(run: Path) -> Iterator[sqlite3.Connection]:
    """Open a copy of a run's table, with whatever log and journal lies beside it."""
    with tempfile.TemporaryDirectory(dir=run.parents[2]) as folder:
        for path in run.glob("table.db*"):
            if not path.name.endswith("-shm"):  # an index of the log, made anew from it
                shutil.copy2(path, folder)
        with closing(sqlite3.connect(Path(folder) / "table.db")) as table:
            yield table


def check_crashed(run: Path, published: Iterable[dict[str, Any]]) -> None:
    """Check that nothing which was published is lost, and nothing is torn or there twice."""
    told = [*published]
    if not is_a_run(run):
        assert not told
        return
    json.loads((run / "run.json").read_text(encoding="utf-8"))
    if not (run / "table.db").exists():
        assert not told
        return
    with opened_copy(run) as table:
        _check_table(table, told)


def _check_table(table: sqlite3.Connection, told: list[dict[str, Any]]) -> None:
    assert table.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    tables = {name for (name,) in table.execute("SELECT name FROM sqlite_master")}
    if "objects_nuclei" not in tables:
        assert not told, "sets were published, but there is no table of objects"
        return
    for what, sql in _ORPHANS.items():
        if "commits" not in sql or "commits" in tables:
            assert table.execute(sql).fetchone()[0] == 0, what
    for one in told:
        set_id, objects = one["set"], one["objects"]["nuclei"]
        row = table.execute("SELECT state, t FROM image_sets WHERE set_id = ?", (set_id,))
        assert row.fetchone() == ("analysed", one["t"]), f"set {set_id} was published"
        rows = table.execute(
            "SELECT label, track_id FROM objects_nuclei WHERE set_id = ? ORDER BY label", (set_id,)
        )
        assert rows.fetchall() == sorted(zip(*objects, strict=True)), f"the objects of {set_id}"


def check_whole(run: Path, ended: list[Ended]) -> None:
    """Check that the run has come to its end over all its processes: nothing lost or twice."""
    record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    assert record["state"] == "finished", record["reason"]
    assert record["accounting"]["received"] == record["accounting"]["analysed"] == N_SETS
    published = [one for each in ended for one in each.published]
    numbers = [one["set"] for one in published]
    # A set may be committed and its process killed before it could tell: none is told of twice.
    assert len(numbers) == len(set(numbers)), "published twice"
    check_crashed(run, published)
    with opened_copy(run) as table:
        states = table.execute("SELECT state, count(*) FROM frames GROUP BY state").fetchall()
        assert states == [("analysed", N_SETS)]
        ids = table.execute("SELECT min(frame_id), max(frame_id) FROM frames").fetchone()
        assert ids == (0, N_SETS - 1), "no frame has a second row"
        assert table.execute("SELECT count(*) FROM image_sets").fetchone() == (N_SETS,)
