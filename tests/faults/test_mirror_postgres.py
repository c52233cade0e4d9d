"""A run and its mirror in a real PostgreSQL: equal, whatever happens on the way."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dipstream.errors import ConfigError, StoreError
from dipstream.mirror import RunTail, open_target
from dipstream.mirror.shipper import Shipper
from dipstream.service import LiveRun
from dipstream.store import RunFolder
from tests.faults.database import PASSWORD, Proxy, Server, free_port, proxied
from tests.faults.mirroring import assert_equal, compared, paced, rows_in, settled, ship

CAMPAIGN = bool(os.environ.get("DIPSTREAM_CAMPAIGN"))
RESETS = 50 if CAMPAIGN else 5
AWAY_S = 60.0 if CAMPAIGN else 3.0
PAIRS = 5 if CAMPAIGN else 2


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    with proxied(server.port) as one:
        yield one


Started = Callable[..., LiveRun]


def test_every_table_is_there_with_types_keys_and_meanings(
    server: Server, run: Started, make_frame: Any, make_bad: Any, to_end: Any
) -> None:
    script = [*(make_frame(t, seq=t) for t in range(40)), make_bad(41), make_frame(42, seq=45)]
    live = run(script, mirror=[server.url()])
    to_end(live)
    assert_equal(live, server.url())
    (about,) = live.summary()["mirrors"]
    assert about["complete"]
    assert about["behind"] == 0
    assert rows_in(server, live, "objects_nuclei") == len(live.objects()) == 82
    assert rows_in(server, live, "frames") == 42
    assert rows_in(server, live, "nuclei") == 82, "the view of a type of object"
    assert rows_in(server, live, "tracks") == len(live.tracks())
    types = dict(
        server.ask(
            "SELECT column_name, data_type FROM information_schema.columns WHERE "
            f"table_schema = '{live.run_id}' AND table_name = 'objects_nuclei'"
        )
    )
    assert types["label"] == "bigint"
    assert types["intensity_mean_DAPI"] == "double precision"
    meaning = server.ask(
        "SELECT col_description(c.oid, a.attnum) FROM pg_class c JOIN pg_attribute a "
        "ON a.attrelid = c.oid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE "
        f"n.nspname = '{live.run_id}' AND c.relname = 'frames' AND a.attname = 'exposure_ms'"
    )
    assert meaning == [("exposure time [ms]",)]
    keys = server.ask(
        f"SELECT count(*) FROM pg_indexes WHERE schemaname = '{live.run_id}' "
        "AND indexname LIKE '%_pkey'"
    )
    assert keys[0][0] >= 10
    nulls = server.ask(f'SELECT count(*) FROM "{live.run_id}".frames WHERE snr IS NULL')
    assert nulls[0][0] == live.frames()["snr"].isna().sum()


def test_no_password_anywhere(server: Server, run: Started, make_frame: Any, to_end: Any) -> None:
    wrong = server.url().replace("dip:", "nobody:")
    live = run([make_frame(0)], mirror=[server.url(), wrong], mirror_wait_s=0.3)
    to_end(live)
    assert live.reader.record.settings["mirror"][0].startswith("postgresql://dip@127.0.0.1")
    text = repr(live.summary()) + repr(live.mirrors)
    for path in live.folder.rglob("*"):
        if path.is_file():
            text += path.read_bytes().decode("utf-8", errors="replace")
    assert "nobody@127.0.0.1" in text
    assert PASSWORD not in text
    assert PASSWORD.replace("%", "%25").replace("/", "%2F") not in text


def test_reset_after_commit_before_the_reply(
    proxy: Proxy, server: Server, run: Started, make_frame: Any, to_end: Any
) -> None:
    proxy.cut_commits = RESETS
    live = run(
        paced(make_frame, 30_000 if CAMPAIGN else 4000, 0.02),
        mirror=[server.url(proxy.port)],
        mirror_wait_s=30,
    )
    settled(lambda: proxy.cut == RESETS, 10 * RESETS)
    seen = live.status().accounting.analysed
    settled(lambda: live.status().accounting.analysed > seen + 20)
    live.stop()
    to_end(live)
    assert proxy.cut == RESETS, "a test whose fault never came proves nothing"
    assert_equal(live, server.url())
    counts = server.ask(f'SELECT count(*), count(DISTINCT frame_id) FROM "{live.run_id}".frames')
    assert counts == [(len(live.frames()),) * 2]


def test_away_while_the_run_goes_on(
    proxy: Proxy, server: Server, run: Started, make_frame: Any, to_end: Any
) -> None:
    live = run(paced(make_frame, 30_000, 0.01), mirror=[server.url(proxy.port)], mirror_wait_s=60)
    settled(lambda: live.mirrors[0].commit_number > 10)
    before = live.mirrors[0].commit_number
    proxy.go_away()
    settled(lambda: live.mirrors[0].away_since_ns is not None)
    frames = live.status().accounting.analysed
    began = time.monotonic()
    time.sleep(AWAY_S)
    rate = (live.status().accounting.analysed - frames) / (time.monotonic() - began)
    away = live.mirrors[0]
    assert away.behind > 10
    assert away.commit_number - before < 100
    assert away.error
    proxy.away = False
    settled(lambda: live.mirrors[0].away_since_ns is None, 40)
    live.stop()
    to_end(live)
    print(f"{rate:.0f} frames/s while the mirror was away; {away.behind} commits to catch up")
    assert rate > 20, "the run went on"
    assert_equal(live, server.url())
    kinds = live.reader.events()["kind"].tolist()
    assert kinds.count("degraded") == kinds.count("recovered") == 1


def test_a_mirror_that_is_away_costs_nothing(run: Started, make_frame: Any, to_end: Any) -> None:
    """In turns, as fast as the line goes; printed, since other work makes times uncertain.

    The time of processors, which other work does not change much, is judged.
    """
    nobody = f"postgresql://dip@127.0.0.1:{free_port()}/postgres"
    seconds: dict[str, list[float]] = {"without": [], "away": []}
    busy: dict[str, list[float]] = {"without": [], "away": []}
    for _ in range(PAIRS):
        for name, mirrors in (("without", []), ("away", [nobody])):
            script = [make_frame(t) for t in range(400)]
            began = time.process_time()
            live = run(script, mirror=mirrors, mirror_wait_s=0)
            accounting = to_end(live, 60)
            busy[name].append(time.process_time() - began)
            assert accounting.analysed == 400
            seconds[name].append(live.summary()["seconds"])
    ratio = min(seconds["without"]) / min(seconds["away"])
    cost = min(busy["away"]) / min(busy["without"])
    print(
        f"with the mirror away: {ratio:.3f} of the throughput without one, {cost:.3f} times the "
        "time of processors"
    )
    assert cost < 1.3, busy


def test_no_server_at_the_start(server: Server, run: Started, make_frame: Any, to_end: Any) -> None:
    nobody = f"postgresql://dip:secret@127.0.0.1:{free_port()}/postgres"
    live = run([make_frame(t) for t in range(30)], mirror=[nobody], mirror_wait_s=0.2)
    assert to_end(live).analysed == 30
    (about,) = live.summary()["mirrors"]
    assert not about["complete"]
    assert about["behind"] == 30
    assert "refused" in about["error"]
    assert about["catch_up"].startswith(f"dipstream mirror {live.run_id}")
    assert "degraded" in live.reader.events()["kind"].tolist()
    assert live.reader.record.state == "finished"
    ship(live.folder, server.url(), commits=7)
    assert_equal(live, server.url())


def test_the_server_dies_and_comes_back(
    server: Server, run: Started, make_frame: Any, to_end: Any
) -> None:
    live = run(paced(make_frame, 30_000, 0.01), mirror=[server.url()], mirror_wait_s=60)
    try:
        settled(lambda: live.mirrors[0].commit_number > 10)
        server.stop()
        settled(lambda: live.mirrors[0].away_since_ns is not None)
    finally:
        server.start()
    settled(lambda: live.mirrors[0].away_since_ns is None)
    live.stop()
    to_end(live)
    assert_equal(live, server.url())


def test_a_server_that_never_answers_is_left_to_itself(
    proxy: Proxy, server: Server, run: Started, make_frame: Any, to_end: Any
) -> None:
    live = run([make_frame(t) for t in range(60)])
    to_end(live)
    folder, said = RunFolder(live.folder), []
    shipper = Shipper(
        lambda: RunTail(folder.table, commits=5),
        folder.read(),
        lambda: open_target(server.url(proxy.port)),
        every_s=0.01,
        say=lambda kind, message: said.append(f"{kind}: {message}"),
        reply_s=0.5,
    )
    shipper.start()
    settled(lambda: shipper.status.commit_number >= 15)
    proxy.stalled = True
    time.sleep(0.7)
    hung = threading.active_count()
    shipper.look_after()
    assert shipper.status.away_since_ns is not None
    assert threading.active_count() == hung + 1, "a new one tries in its place"
    proxy.stalled = False
    settled(lambda: shipper.status.commit_number == 60)
    assert shipper.finish(10)
    assert said[0].startswith("degraded")
    assert said[-1].startswith("recovered")
    assert_equal(live, server.url())


def test_two_ship_the_same_run_at_once(
    server: Server, run: Started, make_frame: Any, to_end: Any
) -> None:
    live = run([make_frame(t) for t in range(120)])
    to_end(live)
    threads = [
        threading.Thread(target=ship, args=(live.folder, server.url()), kwargs={"commits": 3})
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert_equal(live, server.url())


def test_the_comparison_finds_what_is_lost_twice_or_changed(
    server: Server, run: Started, make_frame: Any, to_end: Any
) -> None:
    live = run([make_frame(t) for t in range(20)], mirror=[server.url()])
    to_end(live)
    objects, mean = f'"{live.run_id}".objects_nuclei', '"intensity_mean_DAPI"'
    server.ask(f"DELETE FROM {objects} WHERE set_id = 3 AND label = 1")
    server.ask(f"UPDATE {objects} SET {mean} = {mean} + 1e-9 WHERE set_id = 5 AND label = 2")
    server.ask(f'UPDATE "{live.run_id}".frames SET frame_id = 99 WHERE frame_id = 7')
    server.ask(f'ALTER TABLE "{live.run_id}".events DROP CONSTRAINT events_pkey')
    server.ask(f'INSERT INTO "{live.run_id}".events SELECT * FROM "{live.run_id}".events LIMIT 1')
    found = {
        (one.table, one.key): one.what for one in compared(live.folder, server.url()).differences
    }
    assert found == {
        ("objects_nuclei", (3, 1)): "missing in the mirror",
        ("objects_nuclei", (5, 2)): "differs in intensity_mean_DAPI",
        ("frames", (7,)): "missing in the mirror",
        ("frames", (99,)): "surplus in the mirror",
        ("events", (0,)): "2 times in the mirror",
    }


def test_a_schema_of_another_run_is_refused(
    server: Server, run: Started, make_frame: Any, to_end: Any
) -> None:
    live = run([make_frame(0)], mirror=[server.url()])
    to_end(live)
    folder = RunFolder(live.folder)
    folder.update(created_ns=1)
    with pytest.raises(StoreError, match="holds another run"):
        ship(live.folder, server.url())


def test_odd_names_and_texts(server: Server, run: Started, make_frame: Any, to_end: Any) -> None:
    script = [make_frame(t, position=f"a\"b'; DROP $x$ {t}\\ \0 é") for t in range(3)]
    live = run(script)
    to_end(live)
    folder = live.folder.rename(live.folder.with_name("o\"d'd $$ " + "näme " * 20))
    RunFolder(folder).update(run_id=folder.name)
    ship(folder, server.url())
    found = compared(folder, server.url())
    assert found.differences == []
    assert found.rows["objects_nuclei"] == 6


def test_addresses_that_cannot_be_are_refused_before_the_run(
    run: Started, make_frame: Any, home: Path
) -> None:
    for address in ("mysql://u:geheim@h/d", " "):
        with pytest.raises(ConfigError) as refused:
            run([make_frame(0)], mirror=[address])
        assert "geheim" not in str(refused.value)
    assert not list((home / "runs").glob("*"))
