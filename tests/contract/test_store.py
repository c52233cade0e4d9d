"""The run's table: what is written is what is read, in this process and in any other."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dipstream.errors import ConfigError, StoreError
from dipstream.frame import FrameInfo, Origin, Segment, SetKey
from dipstream.pipeline.keys import KEY_COLUMNS
from dipstream.steps.objects import TrackEvent, TrackEvents
from dipstream.store import (
    FrameOutcome,
    KnownSet,
    RunFolder,
    RunReader,
    RunRecord,
    RunWriter,
    SetRow,
    check_sqlite,
    export_table,
    frame_row,
    snapshot_table,
    sqlite_version,
)
from dipstream.store.connection import Connection
from dipstream.table import Column, RowBatch, Schema

ODD = ("DAPI 405", 'a"b', "µ", "x'); DROP TABLE frames; --", "[GFP]", "100 %", "日本", "é`")
SEGMENT = Segment(
    shape=(3, 4),
    dtype="uint16",
    camera="cam µ",
    roi=(1, 2, 3, 4),
    binning=2,
    pixel_um=0.325,
    bit_depth=12,
    offset_dn=100.5,
    gain_e_per_dn=0.46,
    em_gain=1.0,
    camera_to_stage=(1.0, 0.1, 2.5, -0.1, 1.0, -3.0),
)
COLUMNS = Schema((*KEY_COLUMNS, Column("area", "int64"), *(Column(f"mean_{name}") for name in ODD)))


@pytest.fixture(params=["full", "normal"])
def writer(request: pytest.FixtureRequest, folder: RunFolder) -> Iterator[RunWriter]:
    made = RunWriter(folder.table, request.param)
    with made.transaction():
        made.add_objects_table("nuclei", COLUMNS)
    yield made
    made.close()
    made.close()


def rows(labels: list[int], **values: Any) -> RowBatch:
    n = len(labels)
    found: dict[str, Any] = {"label": np.array(labels), "area": np.arange(n) + 10}
    found |= {f"mean_{name}": np.arange(n) / 3 + k for k, name in enumerate(ODD)}
    found |= {"y_px": np.arange(n) + 0.1, "x_px": np.arange(n) + 0.2}
    return RowBatch(COLUMNS, {**found, **values})


def pending(frame_id: int, channel: str = "DAPI", **info: Any) -> dict[str, Any]:
    return frame_row(
        frame_id, 0, FrameInfo(SEGMENT, channel, **info), state="pending", reason="", detail=""
    )


def outcome(frame_id: int, state: str = "analysed", set_id: int | None = 0, **more: Any) -> Any:
    return FrameOutcome(frame_id, state, set_id, 12345, **more)


def set_row(key: SetKey, state: str = "analysed", **more: Any) -> SetRow:
    return SetRow(key=key, state=state, partial=False, n_frames=1, committed_ns=1, **more)


def write_set(
    writer: RunWriter, set_id: int, batch: RowBatch, t: int = 0, track_ids: Any = None, **more: Any
) -> tuple[int, int]:
    key = SetKey(0, "0", t, 0)
    with writer.transaction():
        claimed, version = writer.claim_set(set_id, writer.find_set(key))
        writer.add_set(claimed, version, set_row(key, n_objects=len(batch), **more))
        writer.add_rows("nuclei", claimed, batch, track_ids)
    return claimed, version


IN_PYTHON = """
import json, sqlite3, sys
db = sqlite3.connect("file:" + sys.argv[1] + "?mode=ro", uri=True)
found = [db.execute(sql).fetchall() for sql in json.loads(sys.argv[2])]
print(json.dumps(found))
"""


def elsewhere(folder: RunFolder, *sql: str) -> list[list[list[Any]]]:
    """Answers of Python's own sqlite3 in another process, while the writer is open."""
    from urllib.parse import quote  # noqa: PLC0415

    done = subprocess.run(
        [sys.executable, "-I", "-c", IN_PYTHON, quote(str(folder.table)), json.dumps(sql)],
        capture_output=True,
        check=False,
        encoding="utf-8",
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    answer: list[list[list[Any]]] = json.loads(done.stdout)
    return answer


def test_a_set_from_pending_to_read_by_anybody(writer: RunWriter, folder: RunFolder) -> None:
    origin = Origin("/data/µ 1.tif", 2, 300, 4, 5, "abc")
    with writer.transaction():
        writer.add_segment(0, SEGMENT)
        writer.add_frames(
            [pending(0, "DAPI", seq=7, origin=origin, stage_um=(1.0, 2.0, 3.0)), pending(1, "µ")]
        )
    reader = RunReader(folder)
    assert reader.accounting() == {"pending": 2}
    # Not as a keyword: Python would make the Greek letter of the micro sign.
    odd_values = {"mean_µ": np.array([1.5, np.nan, np.inf])}
    batch = rows([1, 2, 4], **odd_values)
    with writer.transaction():
        key = SetKey(0, "0", 3, None)
        assert writer.find_set(key) is None
        assert writer.claim_set(0, None) == (0, 1)
        events = {"nuclei": TrackEvents.of([TrackEvent("start", 1, 1), TrackEvent("end", 9)])}
        estimates = {"threshold": 3.5, "drift": np.nan}
        writer.add_set(0, 1, set_row(key, n_objects=3, estimates=estimates, events=events))
        writer.add_rows("nuclei", 0, batch, np.array([1, 2, 3]))
        writer.finish_frames([outcome(0, flags="", focus_score=0.5), outcome(1, snr=None)])

    objects = reader.objects()
    assert objects["label"].tolist() == [1, 2, 4]
    assert (objects["t"] == 3).all()
    assert objects["z"].isna().all()
    assert objects["track_id"].tolist() == [1, 2, 3]
    assert objects["area"].dtype == "int64"
    for name in ODD[:2]:
        np.testing.assert_array_equal(objects[f"mean_{name}"], batch.column(f"mean_{name}"))
    assert objects["mean_µ"].isna().tolist() == [False, True, False]
    assert objects["world_y_um"].isna().all(), "nothing delivered"
    assert objects["world_y_um"].dtype == "float64"

    frames = reader.frames()
    assert frames["state"].tolist() == ["analysed", "analysed"]
    assert frames["seq"].dtype == "Int64"
    assert frames["seq"].isna().tolist() == [False, True]
    assert frames.loc[0, ["path", "plane", "file_size", "file_hash"]].tolist() == [
        *("/data/µ 1.tif", 2, 300, "abc")
    ]
    assert frames.loc[0, ["stage_x_um", "stage_y_um", "stage_z_um"]].tolist() == [1, 2, 3]
    assert frames["committed_ns"].tolist() == [12345, 12345]
    assert json.loads(reader.image_sets()["estimates"][0]) == {"drift": None, "threshold": 3.5}
    assert reader.table("track_events")["kind"].tolist() == ["start", "end"]
    assert reader.table("segments")["pixel_um"].tolist() == [0.325]

    odd = ", ".join('"mean_' + name.replace('"', '""') + '"' for name in ODD)
    found = elsewhere(
        folder,
        f"SELECT label, track_id, {odd} FROM objects_nuclei ORDER BY label",
        "SELECT frame_id, state, seq FROM frames ORDER BY frame_id",
        "SELECT label, t, z FROM nuclei ORDER BY label",
        "SELECT count(*) FROM tracks",
        "PRAGMA journal_mode",
    )
    assert [row[:2] for row in found[0]] == [[1, 1], [2, 2], [4, 3]]
    assert found[0][0][2:] == [batch.column(f"mean_{name}")[0] for name in ODD]
    assert [row[2 + ODD.index("µ")] for row in found[0][:2]] == [1.5, None], "NaN is NULL"
    assert found[1] == [[0, "analysed", 7], [1, "analysed", None]]
    assert found[2] == [[1, 3, None], [2, 3, None], [4, 3, None]]
    assert found[3:] == [[[2]], [["wal"]]]


def test_track_events_are_numbered_through_and_keep_what_is_absent(
    writer: RunWriter, folder: RunFolder
) -> None:
    first = [TrackEvent("start", 5, 1), TrackEvent("gap", 2, 3, gap=0, distance_px=0.5)]
    second = [TrackEvent("end", 5), TrackEvent("division", 6, 1, parent_id=5)]
    events = {"nuclei": TrackEvents.of(first), "rings": TrackEvents.of([])}
    write_set(writer, 0, rows([1]), events=events)
    events = {"nuclei": TrackEvents.of(second), "rings": TrackEvents.of(first[:1])}
    write_set(writer, 1, rows([1]), t=1, events=events)
    written = RunReader(folder).table("track_events")
    assert written["event_id"].tolist() == list(range(5))
    assert written["set_id"].tolist() == [0, 0, 1, 1, 1]
    assert written["object_type"].tolist() == ["nuclei"] * 4 + ["rings"]
    assert (written["content_version"] == 1).all()
    for name in ("kind", "track_id", "label", "parent_id", "gap", "distance_px"):
        known = [getattr(event, name) for event in (*first, *second, first[0])]
        assert [None if pd.isna(v) else v for v in written[name]] == known, name


def test_every_column_is_described(writer: RunWriter, folder: RunFolder) -> None:
    described = RunReader(folder).columns()
    tables = elsewhere(folder, "SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")[0]
    assert {name for (name,) in tables} == set(described["table_name"])
    mine = described.query("table_name == 'objects_nuclei'")
    assert mine["name"].tolist() == [
        *("set_id", "label", "track_id"),
        *[column.name for column in COLUMNS if column.name != "label"],
    ]
    assert (described["definition"].str.len() > 0).sum() >= len(described) - len(ODD) * 2 - 2


def test_columns_can_be_chosen_and_rows_asked_for(writer: RunWriter, folder: RunFolder) -> None:
    write_set(writer, 0, rows([1, 2, 3]))
    write_set(writer, 1, rows([1]), t=5)
    reader = RunReader(folder)
    name = f"mean_{ODD[1]}"
    chosen = reader.objects(columns=["label", name], where="area > 10 AND t < 5")
    assert list(chosen) == ["label", name]
    assert chosen["label"].tolist() == [2, 3]
    assert reader.objects("nuclei", where="t = 5")["set_id"].tolist() == [1]
    for call, words in [
        (lambda: reader.objects("nucleus"), ["no objects 'nucleus'", "did you mean nuclei"]),
        (lambda: reader.objects(columns=["aera"]), ["no column 'aera'", "did you mean area"]),
        (lambda: reader.objects(where="aera > 1"), ["'aera > 1'", "did you mean area"]),
        (lambda: reader.objects(where="1; DELETE FROM frames"), ["cannot be used"]),
        (lambda: reader.table("frame"), ["no table 'frame'", "did you mean frames"]),
    ]:
        with pytest.raises(StoreError) as refused:
            call()
        for word in words:
            assert word in str(refused.value)


def test_a_set_claimed_again_supersedes_in_one_transaction(
    writer: RunWriter, folder: RunFolder
) -> None:
    reader = RunReader(folder)
    assert write_set(writer, 0, rows([1, 2, 3])) == (0, 1)
    assert write_set(writer, 1, rows([1]), t=1) == (1, 1)
    key = SetKey(0, "0", 0, 0)
    with writer.transaction():
        assert writer.find_set(key) == KnownSet(0, 1, n_frames=1)
        assert writer.claim_set(2, writer.find_set(key)) == (0, 2)
        # Nobody sees a table without the rows.
        assert len(reader.objects(where="t = 0")) == 3
        writer.add_set(0, 2, set_row(key))
        writer.add_rows("nuclei", 0, rows([1, 2]), None)
    assert reader.objects(where="t = 0")["label"].tolist() == [1, 2]
    assert reader.image_sets()[["set_id", "content_version"]].values.tolist() == [[0, 2], [1, 1]]
    assert write_set(writer, 3, rows([1])) == (0, 3)


@pytest.mark.parametrize(
    "other",
    [
        SetKey(1, "0", 0, 0),
        SetKey(0, "1", 0, 0),
        SetKey(0, "0", 1, 0),
        SetKey(0, "0", 0, 1),
        SetKey(0, "0", 0, None),
    ],
)
def test_another_key_is_another_set(writer: RunWriter, other: SetKey) -> None:
    write_set(writer, 0, rows([1]))
    assert writer.find_set(other) is None


def test_a_statement_that_fails_leaves_nothing(writer: RunWriter, folder: RunFolder) -> None:
    write_set(writer, 0, rows([1, 2]))
    with writer.transaction():
        writer.add_frames([pending(0)])

    def twice() -> None:
        with writer.transaction():
            writer.add_frames([pending(1)])
            writer.finish_frames([outcome(0)])
            writer.claim_set(5, writer.find_set(SetKey(0, "0", 0, 0)))
            writer.add_rows("nuclei", 0, rows([7, 7]), None)  # the label is the key

    with pytest.raises(StoreError, match="UNIQUE"):
        twice()

    def interrupted() -> None:
        with writer.transaction():
            writer.add_frames([pending(1)])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    reader = RunReader(folder)
    assert reader.accounting() == {"pending": 1}
    assert reader.objects()["label"].tolist() == [1, 2]
    with writer.transaction():
        writer.add_frames([pending(1)])
    assert reader.accounting() == {"pending": 2}


def test_what_went_wrong_is_said_even_if_sqlite_has_rolled_back_itself(tmp_path: Path) -> None:
    """As it does on its own when the disk is full."""

    def fill_the_disk(connection: Connection) -> None:
        with connection.transaction():
            connection.execute("ROLLBACK")
            raise OSError(28, "No space left on device")

    with Connection(tmp_path / "a.db") as connection:
        with pytest.raises(OSError, match="No space left"):
            fill_the_disk(connection)
        connection.execute("SELECT 1")


def test_states_are_kept_by_step_and_place(writer: RunWriter, folder: RunFolder) -> None:
    states = {
        ("track.nuclei", "0"): {"n": np.array(3), "yx": np.random.default_rng(1).random((4, 2))},
        ("correct[0]", "a µ z3"): {"names": np.array(["a", "µß"]), "none": np.empty((0, 5))},
    }
    with writer.transaction():
        for (step, place), state in states.items():
            writer.save_state(step, place, 2, 0, {"old": np.array(1)})
            writer.save_state(step, place, 3, 1, state)
    found = writer.load_states()
    assert found.keys() == states.keys()
    for key, (state, segment) in found.items():
        assert segment == 3
        assert state.keys() == states[key].keys()
        for name, array in state.items():
            assert array.dtype == states[key][name].dtype
            np.testing.assert_array_equal(array, states[key][name])


def test_objects_are_never_pickled(writer: RunWriter) -> None:
    def save() -> None:
        with writer.transaction():
            writer.save_state("a", "0", 0, 0, {"bad": np.array([{}], dtype=object)})

    with pytest.raises(ValueError, match="allow_pickle"):
        save()
    assert writer.load_states() == {}


def test_frames_that_are_finished_with(writer: RunWriter) -> None:
    origins = [Origin(f"/data/{k}.tif", k, 10 + k, 20 + k, 30 + k, f"h{k}") for k in range(5)]
    with writer.transaction():
        writer.add_frames([pending(k, t=k, version=2, origin=o) for k, o in enumerate(origins)])
        writer.add_frames([pending(5)])
        writer.finish_frames(
            [
                outcome(0),
                outcome(1, "quarantined", reason="broken"),
                outcome(2, "dropped", None, reason="the queue was full"),
            ]
        )
        assert writer.drop_unfinished("crash: the run ended before its analysis") == 3
    seen = list(writer.seen_frames())
    assert [one.origin for one in seen] == origins[:3], "the others are read again"
    assert [(one.t, one.position, one.version) for one in seen] == [(k, "0", 2) for k in range(3)]
    assert writer.state_counts() == {"analysed": 1, "quarantined": 1, "dropped": 4}
    with writer.transaction():
        assert writer.drop_unfinished("again") == 0


def test_a_table_is_found_again_as_it_was(writer: RunWriter, folder: RunFolder) -> None:
    with writer.transaction():
        writer.add_segment(0, SEGMENT)
        writer.add_segment(1, Segment(shape=(5, 6), dtype="uint8"))
        writer.add_frames([pending(0), pending(1)])
        writer.add_event(1, "gap", "two", segment=0, first_seq=3, n=2)
        writer.finish_frames([outcome(0, set_id=4)])
    write_set(writer, 4, rows([1]), events={"nuclei": TrackEvents.of([TrackEvent("start", 6, 1)])})
    writer.close()
    again = RunWriter(folder.table)
    assert again.segments() == {0: SEGMENT, 1: Segment(shape=(5, 6), dtype="uint8")}
    assert again.next_numbers() == (2, 5, 7)
    live = again.live_tracks()
    assert {at: tracks.tolist() for at, tracks in live.items()} == {("nuclei", "0"): [6]}
    with again.transaction():
        again.add_objects_table("nuclei", COLUMNS)
        again.add_event(2, "warning", "more")
    assert RunReader(folder).events()["event_id"].tolist() == [0, 1]
    again.close()


@pytest.mark.parametrize(
    "changed",
    [
        Schema((*COLUMNS, Column("more"))),
        Schema(COLUMNS.columns[:-1]),
        Schema((*COLUMNS.columns[:-1], Column(f"mean_{ODD[-1]}", "int64"))),
    ],
    ids=["more", "fewer", "other type"],
)
def test_other_columns_are_refused(writer: RunWriter, changed: Schema) -> None:
    def add() -> None:
        with writer.transaction():
            writer.add_objects_table("nuclei", changed)

    with pytest.raises(StoreError, match=r"other columns .* start a new run"):
        add()


def test_a_table_of_another_version_is_refused(tmp_path: Path) -> None:
    RunWriter(tmp_path / "table.db").close()
    with Connection(tmp_path / "table.db") as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="has version 99; this dipstream writes version"):
        RunWriter(tmp_path / "table.db")


def test_a_run_killed_while_it_made_its_table_can_go_on(tmp_path: Path) -> None:
    Connection(tmp_path / "table.db").close()  # the file is there, its tables are not yet
    assert (tmp_path / "table.db").exists()
    RunWriter(tmp_path / "table.db").close()


def test_a_reader_changes_nothing(writer: RunWriter, folder: RunFolder) -> None:
    del writer
    with Connection(folder.table, read_only=True) as connection:
        for sql in ("DELETE FROM frames", "PRAGMA user_version = 5", "CREATE TABLE x (a)"):
            with pytest.raises(StoreError, match="readonly"):
                connection.execute(sql)
    with pytest.raises(StoreError, match="there is no table"):
        Connection(folder.path / "other.db", read_only=True)


def test_a_file_that_is_no_table(tmp_path: Path) -> None:
    (tmp_path / "table.db").write_bytes(b"II*\0 this is a picture" * 100)
    with pytest.raises(StoreError, match=r"table\.db"):
        RunWriter(tmp_path / "table.db")


@pytest.mark.parametrize(
    ("version", "sound"),
    [
        ("3.7.0", False),
        ("3.44.5", False),
        ("3.44.6", True),
        ("3.50.6", False),
        ("3.50.7", True),
        ("3.51.2", False),
        ("3.51.3", True),
        ("3.52.0", True),
        ("4.0.0", True),
    ],
)
def test_versions_of_sqlite_that_corrupt_tables(version: str, sound: bool) -> None:
    assert (check_sqlite(version) is None) == sound


def test_the_version_of_sqlite_is_known() -> None:
    assert len(sqlite_version().split(".")) == 3


# Copies.


def test_a_snapshot_of_a_growing_table_has_all_rows(
    writer: RunWriter, folder: RunFolder, tmp_path: Path, record: Callable[..., RunRecord]
) -> None:
    write_set(writer, 0, rows([1, 2]))
    copy = tmp_path / "copy"
    copy.mkdir()
    snapshot_table(folder.table, copy / "table.db")
    write_set(writer, 1, rows([1]), t=1)
    RunFolder(copy).write(record())
    assert len(RunReader(RunFolder(copy)).objects()) == 2
    assert [path.name for path in copy.glob("table*")] == ["table.db"], "one file holds it all"
    with pytest.raises(StoreError, match="exists"):
        snapshot_table(folder.table, copy / "table.db")


@pytest.mark.parametrize("name", ["out.csv", "out.parquet", "OUT.CSV"])
def test_an_export_is_read_back_as_it_was(
    writer: RunWriter, folder: RunFolder, tmp_path: Path, name: str
) -> None:
    odd = {"mean_µ": np.array([1 / 3, np.nan, 1e-300])}
    write_set(writer, 0, rows([1, 2, 3], **odd), track_ids=np.array([1, 2, 3]))
    objects = RunReader(folder).objects()
    export_table(objects, tmp_path / name)
    read: Callable[..., pd.DataFrame] = pd.read_parquet if name.endswith("parquet") else pd.read_csv
    back = read(tmp_path / name)
    assert list(back) == list(objects)
    for column in objects:
        one, other = objects[column], back[column]
        if one.dtype == "float64":
            np.testing.assert_array_equal(one, other.astype("float64"))
        elif one.notna().all():
            assert one.astype(str).tolist() == other.astype(str).tolist()


def test_an_export_that_cannot_be(tmp_path: Path) -> None:
    empty = pd.DataFrame({"a": [1]})
    with pytest.raises(ConfigError, match=r"'out\.xlsx'.*\.csv or \.parquet"):
        export_table(empty, tmp_path / "out.xlsx")
    with pytest.raises(StoreError, match=r"cannot be written.*choose another place"):
        export_table(empty, tmp_path / "no" / "out.csv")
