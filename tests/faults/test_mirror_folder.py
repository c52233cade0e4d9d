"""A mirror of Parquet files: the manifest's files hold every row once, for any engine."""

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.dataset
import pyarrow.parquet
import pytest

from dipstream.errors import StoreError
from dipstream.mirror import Mirrors, RunTail, open_target, parts_of
from dipstream.mirror.manifest import read_manifest
from dipstream.service import LiveRun
from dipstream.store import RunFolder
from tests.faults.mirroring import assert_equal, compared, paced, rewrite, ship

Started = Callable[..., LiveRun]


def test_read_by_arrow_and_by_duckdb(
    tmp_path: Path, run: Started, make_frame: Any, to_end: Any
) -> None:
    live = run(paced(make_frame, 100, 0.005), mirror=[str(tmp_path)], mirror_every_s=0.1)
    to_end(live)
    rewrite(live.folder, 4)
    ship(live.folder, str(tmp_path))
    folder = tmp_path / live.run_id
    objects = live.objects()
    parts = [str(path) for path in parts_of(folder, "objects_nuclei")]
    assert len(parts) > 2
    arrow = pyarrow.dataset.dataset(parts).to_table().to_pandas()
    keys = ["set_id", "label"]
    same = objects[arrow.columns].sort_values(keys, ignore_index=True)
    assert arrow.sort_values(keys, ignore_index=True).equals(same)
    with duckdb.connect() as connection:
        counted = connection.execute(
            "SELECT count(*), count(DISTINCT (set_id, label)), sum(n_objects) FROM "
            "read_parquet($objects) AS o JOIN read_parquet($sets) AS s USING (set_id)",
            {
                "objects": parts,
                "sets": [str(path) for path in parts_of(folder, "image_sets")],
            },
        ).fetchone()
        everything = str(folder / "table=objects_nuclei" / "*.parquet")
        whole = connection.execute("SELECT count(*) FROM read_parquet(?)", [everything]).fetchone()
    assert counted is not None
    assert counted[0] == counted[1] == len(objects) == 199
    assert whole == (len(objects),), "once the mirror is closed, its files are those it lists"


def test_columns_carry_what_they_mean(
    tmp_path: Path, run: Started, make_frame: Any, to_end: Any
) -> None:
    live = run([make_frame(0)], mirror=[str(tmp_path)])
    to_end(live)
    schema = pyarrow.parquet.read_schema(parts_of(tmp_path / live.run_id, "frames")[0])
    about = schema.field("exposure_ms").metadata
    assert about[b"unit"] == b"ms"
    assert about[b"definition"] == b"exposure time"


def test_many_small_files_are_merged(
    tmp_path: Path, run: Started, make_frame: Any, to_end: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dipstream.mirror.lake._MERGED", 4)
    live = run([make_frame(t) for t in range(90)])
    to_end(live)
    ship(live.folder, str(tmp_path), commits=2)
    assert_equal(live, str(tmp_path))
    manifest = read_manifest(tmp_path / live.run_id)
    assert manifest is not None
    levels = [part.level for part in manifest.of("objects_nuclei")]
    assert len(levels) < 10
    assert max(levels) == 2
    spans = [(part.first_commit, part.last_commit) for part in manifest.of("commits")]
    assert spans[0][0] == 0
    assert all(a[1] + 1 == b[0] for a, b in pairwise(spans))


def test_files_that_a_reader_has_listed_are_still_there(
    tmp_path: Path, run: Started, make_frame: Any, to_end: Any
) -> None:
    live = run([make_frame(t) for t in range(10)])
    to_end(live)
    ship(live.folder, str(tmp_path))
    folder = RunFolder(live.folder)
    listed = parts_of(tmp_path / live.run_id, "objects_nuclei")
    rewrite(live.folder, 4)
    target = open_target(str(tmp_path))
    batch = RunTail(folder.table).read(target.open(folder.read()))
    assert batch is not None
    target.write(batch)
    assert parts_of(tmp_path / live.run_id, "objects_nuclei") != listed
    assert all(path.exists() for path in listed)
    target.close()
    assert not any(path.exists() for path in listed)


def test_what_a_crash_has_left_is_removed(
    tmp_path: Path, run: Started, make_frame: Any, to_end: Any
) -> None:
    live = run([make_frame(0)])
    to_end(live)
    ship(live.folder, str(tmp_path))
    folder = tmp_path / live.run_id / "table=frames"
    (folder / ".part-9.parquet.new").write_bytes(b"half of a file")
    (folder / "part-000000009-000000009-0000099.parquet").write_bytes(b"not listed")
    (folder / "notes.txt").write_text("not ours")
    ship(live.folder, str(tmp_path))
    kept = {path.name for path in folder.iterdir()}
    assert "notes.txt" in kept
    assert len(kept) == 2
    assert_equal(live, str(tmp_path))


def test_one_at_a_time(tmp_path: Path, run: Started, make_frame: Any, to_end: Any) -> None:
    live = run([make_frame(0)])
    to_end(live)
    folder = RunFolder(live.folder)
    first, second = open_target(str(tmp_path)), open_target(str(tmp_path))
    first.open(folder.read())
    with pytest.raises(StoreError, match="is being written by another process"):
        second.open(folder.read())
    first.close()
    second.open(folder.read())
    second.close()


def test_the_comparison_finds_what_was_changed(
    tmp_path: Path, run: Started, make_frame: Any, to_end: Any
) -> None:
    live = run([make_frame(t) for t in range(10)], mirror=[str(tmp_path)])
    to_end(live)
    path = parts_of(tmp_path / live.run_id, "objects_nuclei")[0]
    rows = pyarrow.parquet.read_table(path, partitioning=None)
    pyarrow.parquet.write_table(rows.slice(1), path)
    (one,) = compared(live.folder, str(tmp_path)).differences
    assert (one.table, one.key, one.what) == ("objects_nuclei", (0, 1), "missing in the mirror")
    path.unlink()
    with pytest.raises(StoreError, match="lacks a file"):
        compared(live.folder, str(tmp_path))


def test_a_folder_that_comes_later(
    tmp_path: Path, run: Started, make_frame: Any, to_end: Any
) -> None:
    place = tmp_path / "share"
    place.write_text("not a folder")
    live = run(paced(make_frame, 100, 0.02), mirror=[str(place)], mirror_every_s=0.1)
    while live.mirrors[0].away_since_ns is None:
        assert not live.poll(0.02)
    place.unlink()
    assert to_end(live).analysed == 100
    assert_equal(live, str(place))
    kinds = live.reader.events()["kind"].tolist()
    assert kinds.count("degraded") == kinds.count("recovered") == 1


def test_the_command_line(
    tmp_path: Path, run: Started, make_frame: Any, to_end: Any, cli: Any
) -> None:
    live = run([make_frame(t) for t in range(10)])
    to_end(live)
    missing = cli("mirror", live.run_id, tmp_path / "m", "--verify")
    assert missing.code == 2
    assert "build it with" in missing.stderr
    built = cli("mirror", live.run_id, tmp_path / "m", "--json")
    assert built.code == 0
    assert built.json["commits"] == 10
    followed = cli("mirror", live.run_id, tmp_path / "m", "--follow", "--json")
    assert followed.code == 0
    assert followed.json["complete"]
    same = cli("mirror", live.run_id, tmp_path / "m", "--verify")
    assert same.code == 0
    assert "equal" in same.stdout
    rewrite(live.folder, 2)
    behind = cli("mirror", live.run_id, tmp_path / "m", "--verify")
    assert behind.code == 1
    assert "1 commits" in behind.stdout
    manifest = json.loads((tmp_path / "m" / live.run_id / "manifest.json").read_text())
    assert manifest["progress"]["commit_number"] == 10
    path = parts_of(tmp_path / "m" / live.run_id, "frames")[0]
    rows = pyarrow.parquet.read_table(path, partitioning=None)
    pyarrow.parquet.write_table(rows.slice(1), path)
    changed = cli("mirror", live.run_id, tmp_path / "m", "--verify", "--json")
    assert changed.code == 1
    assert changed.json["n_differences"] == 1


def test_mirrors_may_be_finished_twice(
    tmp_path: Path, run: Started, make_frame: Any, to_end: Any
) -> None:
    live = run([make_frame(0)])
    to_end(live)
    with Mirrors(RunFolder(live.folder), [str(tmp_path)]) as mirrors:
        mirrors.finish()
        mirrors.finish()
    assert mirrors.summary()[0]["complete"]
