"""What monitors are told: metrics, whether a run lives and is ready, its accounting."""

import json
import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from dipstream.errors import ConfigError
from dipstream.health import HealthServer, accounting, checks, live, prometheus_text, ready
from dipstream.run.histogram import Histogram
from dipstream.run.tally import Tally, reason_kind
from dipstream.service import LiveRun
from dipstream.source import SourceEvent
from dipstream.store import RunFolder
from tests.faults.simple import SET_MB


@pytest.fixture
def held(
    run: Callable[..., LiveRun], make_frame: Callable[..., Any], make_bad: Callable[..., Any]
) -> Iterator[LiveRun]:
    """A run that has committed all its frames but does not end until the test does."""
    done, hold = threading.Event(), threading.Event()

    def wait(_: Any) -> None:
        done.set()
        hold.wait(20)

    frames = [make_frame(t, seq=t + (t > 3)) for t in range(8)]
    late = make_frame(0, seq=20)
    live_run = run([*frames, late, make_bad(30, seq=21), wait], live=True)
    live_run.hold = hold  # type: ignore[attr-defined]
    assert done.wait(20)
    for _ in range(200):
        if live_run.status().accounting.pending == 0:
            break
        live_run.poll(0.05)
    yield live_run
    hold.set()
    live_run.wait()


def numbers(run: LiveRun) -> dict[tuple[str, str], float]:
    """Every sample by its name and its one label, as a Prometheus would read it."""
    found = {}
    for family in text_string_to_metric_families(prometheus_text(run)):
        assert family.documentation
        for sample in family.samples:
            assert sample.name.startswith("dipstream_")
            found[sample.name, ",".join(sorted(sample.labels.values()))] = sample.value
    return found


def test_the_metrics_add_up_to_the_book(held: LiveRun) -> None:
    found = numbers(held)
    states = {state: n for (name, state), n in found.items() if name == "dipstream_frames_total"}
    assert states == {"analysed": 8, "dropped": 0, "quarantined": 1, "late": 1}
    assert found["dipstream_frames_received_total", ""] == 10 == sum(states.values())
    assert found["dipstream_frames_pending", ""] == 0
    assert found["dipstream_sequence_gap_frames_total", ""] == 12
    assert found["dipstream_objects_total", ""] == 16
    assert found["dipstream_frame_lag_seconds_count", ""] == 8
    assert found["dipstream_frame_lag_seconds_bucket", "+Inf"] == 8
    assert 0 < found["dipstream_frame_lag_seconds_sum", ""] < 20
    assert found["dipstream_commit_seconds_count", ""] >= 1
    assert (found["dipstream_running", ""], found["dipstream_failed", ""]) == (1, 0)
    assert found["dipstream_disk_free_bytes", ""] > 0
    assert found["dipstream_wal_bytes", ""] >= 0
    assert ("dipstream_run_info", ",".join(sorted((held.run_id, "simple", "scripted:")))) in found


def test_drops_are_told_by_reason(
    run: Callable[..., LiveRun],
    make_frame: Callable[..., Any],
    slow: Callable[..., None],
    to_end: Callable[..., Any],
) -> None:
    slow(lambda _: 0.05)
    script = [make_frame(t) for t in range(20)]
    live_run = run(script, live=True, policy="drop-oldest", queue_mb=3.5 * SET_MB, workers=1)
    book = to_end(live_run)
    found = numbers(live_run)
    assert book.dropped > 0
    assert found["dipstream_frames_dropped_total", "the queue was full"] == book.dropped
    told = accounting(live_run)
    assert told["drops"] == {"the queue was full": book.dropped}
    assert told["received"] == 20 == book.analysed + told["dropped"]
    assert found["dipstream_running", ""] == 0


def test_the_kinds_of_reasons_do_not_grow_without_end() -> None:
    assert reason_kind("thinned: 1 of 8 kept") == "thinned"
    assert reason_kind("crash: the run ended before its analysis") == "crash"
    assert reason_kind("image set 17 waited") == "image set N waited"
    assert reason_kind(None) == reason_kind("") == "unknown"
    tally = Tally()
    for k in range(100):
        tally.finish("dropped", reason="x" * (k % 50 + 1))
    assert len(tally.drops()) <= 21
    assert sum(tally.drops().values()) == 100


def test_durations_are_counted_in_classes() -> None:
    tally = Tally()
    tally.commit([0.5, 1.0, 1.1, 70_000.0, -5.0], {})
    lags, commits = tally.durations()
    assert lags.n == 5
    assert commits == Histogram()
    edges = dict(lags.cumulative())
    assert (edges[0.001], edges[0.0025], edges[60.0], edges[float("inf")]) == (3, 4, 4, 5)
    assert lags.total_s == pytest.approx(70.0026)


def test_a_sound_run_lives_and_is_ready(held: LiveRun) -> None:
    assert live(held).ok
    assert ready(held) == checks.Health(ok=True)
    book = accounting(held)
    assert book["received"] == sum(
        book[name] for name in ("analysed", "dropped", "quarantined", "late", "pending")
    )
    assert book["balanced"] is True


def test_a_committer_that_waits_for_frames_is_not_stuck(held: LiveRun) -> None:
    started = time.monotonic()
    while time.monotonic() < started + 1.5:
        held.poll(0.1)
    assert held.status().idle_s < 1.4


def test_a_stuck_commit_is_first_unready_then_dead(
    held: LiveRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Tally, "idle_s", 30.0)
    assert live(held).ok
    (reason,) = ready(held).reasons
    assert "could not be written for 30 s" in reason
    monkeypatch.setattr(Tally, "idle_s", 61.0)
    assert not live(held).ok


def test_a_full_disk_is_not_ready(held: LiveRun) -> None:
    folder = RunFolder(held.folder)
    folder.update(settings={**folder.read().settings, "reserve_mb": 1e12})
    (reason,) = ready(held).reasons
    assert "less than the reserve" in reason


def test_a_degraded_source_is_not_ready_until_it_recovers(held: LiveRun) -> None:
    source: Any = held.source
    source.report(SourceEvent("degraded", "the cable is loose"))
    assert ready(held).reasons == ("the source is degraded: the cable is loose",)
    assert numbers(held)["dipstream_source_up", ""] == 0
    source.report(SourceEvent("warning", "something else"))
    assert not ready(held).ok
    source.report(SourceEvent("recovered", "it is back"))
    assert ready(held).ok


def test_a_run_that_has_ended_lives_but_is_not_ready(held: LiveRun) -> None:
    held.hold.set()  # type: ignore[attr-defined]
    held.wait()
    assert live(held).ok
    assert ready(held).reasons == ("the run has ended",)
    assert accounting(held)["analysed"] == 8


def test_a_failed_run_says_why(run: Callable[..., LiveRun], make_frame: Callable[..., Any]) -> None:
    live_run = run([make_frame(0), RuntimeError("the camera is on fire")])
    live_run.wait()
    assert "the camera is on fire" in ready(live_run).reasons[0]
    assert numbers(live_run)["dipstream_failed", ""] == 1


@pytest.fixture
def server() -> Iterator[HealthServer]:
    with HealthServer(0) as one:
        yield one
    one.close()


def ask(
    server: HealthServer, path: str, method: str = "GET", host: str | None = None
) -> tuple[int, str, dict[str, str]]:
    connection = HTTPConnection("127.0.0.1", server.port, timeout=10)
    headers = {} if host is None else {"Host": host.replace("PORT", str(server.port))}
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, body, dict(answer.getheaders())


def test_the_four_pages(server: HealthServer, held: LiveRun) -> None:
    assert [ask(server, path)[0] for path in ("/livez", "/readyz", "/metrics", "/accounting")] == [
        200, 503, 503, 503,
    ]  # fmt: skip
    server.attach(held)
    code, text, headers = ask(server, "/metrics?collect=all")
    assert code == 200
    assert headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert 'dipstream_frames_total{state="analysed"} 8.0' in text
    assert json.loads(ask(server, "/accounting")[1])["received"] == 10
    assert json.loads(ask(server, "/readyz")[1]) == {"ok": True, "reasons": []}
    source: Any = held.source
    source.report(SourceEvent("degraded", "the cable is loose"))
    code, text, _ = ask(server, "/readyz")
    assert code == 503
    assert "the cable is loose" in text
    assert ask(server, "/livez")[0] == 200


@pytest.mark.parametrize("path", ["/", "/metrics/", "/../table.db", "/%2e%2e/run.json"])
def test_there_is_nothing_else(server: HealthServer, path: str) -> None:
    assert ask(server, path)[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD", "OPTIONS", "BREW"])
def test_only_get_is_allowed(server: HealthServer, method: str) -> None:
    code, _, headers = ask(server, "/metrics", method)
    assert (code, headers["Allow"]) == (405, "GET")


HOSTS = {
    "127.0.0.1:PORT": 200,
    "localhost": 200,
    "LOCALHOST:PORT": 200,
    "evil.example": 403,
    "127.0.0.1:1": 403,
    "127.0.0.1.evil.example:PORT": 403,
    "": 403,
}


@pytest.mark.parametrize("host", HOSTS)
def test_a_name_that_was_bent_to_this_computer_is_refused(server: HealthServer, host: str) -> None:
    assert ask(server, "/livez", host=host)[0] == HOSTS[host]


def test_it_listens_on_this_computer_alone(server: HealthServer) -> None:
    assert server._server.server_address[0] == "127.0.0.1"
    with pytest.raises(ConfigError, match=rf"port {server.port} cannot be used"):
        HealthServer(server.port)


def test_who_sends_nothing_keeps_nobody_waiting(
    server: HealthServer, held: LiveRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.attach(held)
    silent = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(10)]
    assert ask(server, "/livez")[0] == 200
    for one in silent:
        one.close()


def test_a_table_that_is_gone_is_an_answer_too(server: HealthServer, held: LiveRun) -> None:
    server.attach(held)
    held.reader._folder.table.rename(held.folder / "elsewhere.db")
    try:
        code, text, _ = ask(server, "/accounting")
    finally:
        (held.folder / "elsewhere.db").rename(held.folder / "table.db")
    assert code == 503
    assert "there is no table" in text


def test_the_command_line_serves_it(cli: Any, tmp_path: Any) -> None:
    process = cli.start("run", "sim:?n=3&fps=30", "--metrics", "0", "--json")
    try:
        address = ""
        for line in process.stderr:
            if found := re.match(r"metrics at http://127\.0\.0\.1:(\d+)/metrics", line):
                address = found[1]
                break
        connection = HTTPConnection("127.0.0.1", int(address), timeout=20)
        connection.request("GET", "/livez")
        assert connection.getresponse().status == 200
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
