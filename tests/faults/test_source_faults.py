"""What a camera may do wrong, and what the book says then."""

import threading
import time
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from dipstream.errors import ConfigError, StepError
from dipstream.pipeline import Pipeline
from dipstream.service import start


def pairs(make_frame: Any, n: int) -> list[Any]:
    return [make_frame(t, channel) for t in range(n) for channel in ("DAPI", "GFP")]


@pytest.mark.parametrize(
    "error", [OSError("USB unplugged"), ValueError("bad"), StopAsyncIteration()]
)
def test_a_driver_that_raises(
    run: Any, make_frame: Any, to_end: Any, book: Any, error: Exception
) -> None:
    script = [*pairs(make_frame, 3), make_frame(3, "DAPI"), error, make_frame(4)]
    live = run(script, channels=("DAPI", "GFP"))
    states = book(live, to_end(live))
    assert states == {"analysed": 7}, "all that was admitted"
    record = live.reader.record
    assert record.state == "failed"
    assert record.reason == f"the source failed: {type(error).__name__}: {error}"
    assert str(live.error) == record.reason
    sets = live.reader.image_sets()
    assert sets["partial"].tolist() == [0, 0, 0, 1]
    assert live.reader.events()["kind"].tolist()[-1] == "failed"


def test_a_source_that_ends(run: Any, make_frame: Any, to_end: Any, book: Any) -> None:
    live = run(pairs(make_frame, 4), channels=("DAPI", "GFP"))
    assert book(live, to_end(live)) == {"analysed": 8}
    assert (live.reader.record.state, live.reader.record.reason) == ("finished", "")
    assert live.objects().shape[0] == 8
    assert live.tracks()["n_objects"].tolist() == [4, 4]
    assert live.source.entered == 1, "entering opens the device: once a run"


def test_stop_finishes_what_was_admitted(
    run: Any, scripted: Any, make_frame: Any, to_end: Any, book: Any, slow: Any
) -> None:
    slow(lambda k: 0.02)
    script = [*(make_frame(t) for t in range(8)), scripted.hang, make_frame(99)]
    live = run(script)
    while live.source.yielded < 8:
        time.sleep(0.005)
    live.stop("enough")
    assert book(live, to_end(live)) == {"analysed": 8}
    assert (live.reader.record.state, live.reader.record.reason) == ("stopped", "enough")


def test_leaving_the_context_stops(run: Any, scripted: Any, make_frame: Any, book: Any) -> None:
    with run([make_frame(0), scripted.hang]) as live:
        while not live.source.yielded:
            time.sleep(0.005)
    assert book(live, live.wait()) == {"analysed": 1}
    assert live.reader.record.state == "stopped"


def test_abort_drops_what_waits_with_its_reason(
    run: Any, scripted: Any, make_frame: Any, to_end: Any, book: Any, monkeypatch: Any
) -> None:
    from dipstream.pipeline import Pipeline  # noqa: PLC0415

    begun, go_on, real = threading.Event(), threading.Event(), Pipeline.analyse

    def analyse(self: Any, image_set: Any, ordered: Any = None) -> Any:
        begun.set()
        go_on.wait(10)
        return real(self, image_set, ordered)

    monkeypatch.setattr(Pipeline, "analyse", analyse)
    live = run([*(make_frame(t) for t in range(10)), scripted.hang], workers=1)
    while live.source.yielded < 10 or not begun.is_set():
        time.sleep(0.005)
    time.sleep(0.05)
    live.abort("the lamp burns")
    go_on.set()
    assert book(live, to_end(live)) == {"analysed": 1, "dropped": 9}
    assert set(live.frames()["reason"].dropna()) == {"the lamp burns"}
    sets = live.reader.image_sets()
    assert (sets["state"] == "dropped").sum() == 9


def test_abort_while_the_run_ends_by_itself_loses_no_row(
    run: Any, scripted: Any, make_frame: Any, to_end: Any, book: Any, monkeypatch: Any
) -> None:
    """Who aborts takes sets out of the queue; they must be in the book before it is closed."""
    from dipstream.run.engine import Engine  # noqa: PLC0415

    real = Engine._drop

    def late(self: Any, image_set: Any, reason: str) -> None:
        time.sleep(0.15)
        real(self, image_set, reason)

    gate = threading.Event()
    monkeypatch.setattr(Engine, "_drop", late)
    from dipstream.pipeline import Pipeline  # noqa: PLC0415

    analyse = Pipeline.analyse
    monkeypatch.setattr(Pipeline, "analyse", lambda self, *a: (gate.wait(10), analyse(self, *a))[1])
    live = run([*(make_frame(t) for t in range(4)), scripted.hang], workers=1)
    while live.source.yielded < 4:
        time.sleep(0.005)
    time.sleep(0.05)
    threading.Timer(0.05, gate.set).start()
    live.abort()
    book(live, to_end(live))


def test_gaps_are_counted(run: Any, make_frame: Any, to_end: Any, book: Any) -> None:
    live = run([make_frame(t, seq=seq) for t, seq in enumerate([5, 6, 9, 10, 20])])
    accounting = to_end(live)
    assert book(live, accounting) == {"analysed": 5}
    assert accounting.gap == 11
    events = live.reader.events()
    gaps = events[events["kind"] == "gap"]
    assert gaps[["first_seq", "n", "segment"]].values.tolist() == [[7, 2, 0], [11, 9, 0]]
    seqs = live.frames()["seq"]
    assert seqs.max() - seqs.min() + 1 == len(seqs) + accounting.gap


def test_no_counter_means_unknown_and_never_zero(run: Any, make_frame: Any, to_end: Any) -> None:
    assert to_end(run([make_frame(0)])).gap is None
    assert to_end(run([make_frame(0, seq=0), make_frame(1, seq=1)])).gap == 0


def test_a_counter_that_starts_again(run: Any, make_frame: Any, to_end: Any, book: Any) -> None:
    live = run([make_frame(t, seq=t % 3) for t in range(7)])
    accounting = to_end(live)
    assert book(live, accounting) == {"analysed": 7}
    assert accounting.gap == 0
    assert live.frames()["segment"].tolist() == [0, 0, 0, 1, 1, 1, 2]
    assert len(live.tracks()) == 6, "a track ends with its segment"


def test_late_frames(run: Any, scripted: Any, make_frame: Any, to_end: Any, book: Any) -> None:
    def wait_for_the_clock(source: Any) -> None:
        time.sleep(0.45)

    script = [make_frame(0), wait_for_the_clock, make_frame(0, "GFP"), *pairs(make_frame, 2)[2:]]
    live = run(script, "assemble: {wait_s: 0.1}\n", channels=("DAPI", "GFP"), live=True)
    assert book(live, to_end(live)) == {"analysed": 3, "late": 1}
    assert live.frames()["state"].tolist() == ["analysed", "late", "analysed", "analysed"]
    assert "after its image set had been closed" in live.frames()["reason"][1]
    first = live.objects().query("t == 0")
    assert first["intensity_mean_GFP"].isna().all()
    assert first["intensity_mean_DAPI"].notna().all()


@pytest.mark.parametrize(
    ("more", "state", "words"),
    [
        ("", "quarantined", "'Cy5' is not one the source announced"),
        ("assemble: {channels: [DAPI]}\n", "dropped", "leaves out 'GFP'"),
    ],
)
def test_an_unexpected_channel(
    run: Any, make_frame: Any, to_end: Any, book: Any, more: str, state: str, words: str
) -> None:
    other = "GFP" if more else "Cy5"
    script = [*pairs(make_frame, 2), make_frame(5, other)]
    if more:
        script = script[:4]
    live = run(script, more, channels=("DAPI", "GFP"))
    states = book(live, to_end(live))
    assert states == ({"analysed": 2, state: 2} if more else {"analysed": 4, state: 1})
    assert words in live.frames().query("state != 'analysed'")["reason"].iloc[0]


def test_bad_frames_go_to_quarantine_and_their_sets_are_partial(
    run: Any, make_frame: Any, make_bad: Any, to_end: Any, book: Any
) -> None:
    script = pairs(make_frame, 3)
    script[3] = make_bad(1, "GFP")
    script[4] = make_frame(2, "DAPI", pixels=np.full((24, 30), np.nan, "float32"))
    live = run(script, channels=("DAPI", "GFP"))
    assert book(live, to_end(live)) == {"analysed": 3, "quarantined": 3}
    frames = live.frames()
    assert frames["state"].tolist() == ["analysed"] * 3 + ["quarantined"] * 3
    assert frames["reason"][3] == "half of the file is missing"
    assert "NaN" in frames["reason"][4]
    assert "'DAPI'" in frames["reason"][5], "nothing to segment in"
    assert frames["segment"].isna().tolist() == [False, False, False, True, True, False]


@pytest.mark.parametrize("on_change", ["quarantine", "segment"])
def test_another_shape_in_the_middle(
    run: Any, make_frame: Any, to_end: Any, book: Any, on_change: str
) -> None:
    other = make_frame(2, pixels=make_frame(2).data[:, :20])
    live = run([make_frame(0), make_frame(1), other, make_frame(3)], on_change=on_change)
    states = book(live, to_end(live))
    expected = {"analysed": 3, "quarantined": 1} if on_change == "quarantine" else {"analysed": 4}
    assert states == expected
    assert live.frames()["segment"].tolist() == (
        [0, 0, 0, 0] if on_change == "quarantine" else [0, 0, 1, 0]
    )


def test_a_frame_sent_twice_is_answered_for(
    run: Any, make_frame: Any, to_end: Any, book: Any
) -> None:
    script = [make_frame(0), make_frame(0), make_frame(0, "GFP"), *pairs(make_frame, 2)[2:]]
    live = run(script, channels=("DAPI", "GFP"))
    states = book(live, to_end(live))
    assert states["analysed"] == 4


def test_a_rewritten_version_supersedes(run: Any, make_frame: Any, to_end: Any, book: Any) -> None:
    bright = np.where(make_frame(0).data > 50, 200, 10).astype("uint16")
    script = [make_frame(0), make_frame(1), make_frame(0, version=2, pixels=bright)]
    live = run(script)
    assert book(live, to_end(live)) == {"analysed": 3}
    sets = live.reader.image_sets()
    assert sets[["t", "content_version"]].values.tolist() == [[0, 2], [1, 1]]
    assert live.objects().query("t == 0")["intensity_mean_DAPI"].tolist() == [200, 200]


def test_a_rewritten_version_that_cannot_be_measured_supersedes_too(
    run: Any, make_frame: Any, to_end: Any, book: Any, monkeypatch: Any
) -> None:
    """What the file showed before is no longer anywhere: its numbers could not be looked up."""
    real = Pipeline.analyse

    def analyse(self: Pipeline, image_set: Any, ordered: Any = None) -> Any:
        if image_set.version == 2:
            raise StepError("there was not enough memory")
        return real(self, image_set, ordered)

    monkeypatch.setattr(Pipeline, "analyse", analyse)
    other = make_frame(7).data
    live = run([make_frame(0), make_frame(1), make_frame(0, version=2, pixels=other)])
    assert book(live, to_end(live)) == {"analysed": 2, "quarantined": 1}
    sets = live.reader.image_sets()
    found = sets[["t", "content_version", "state"]].values.tolist()
    assert found == [[0, 2, "quarantined"], [1, 1, "analysed"]]
    assert live.objects()["t"].tolist() == [1, 1]


def test_a_pipeline_that_wants_what_the_first_frame_does_not_have(
    run: Any, scripted: Any, make_frame: Any, to_end: Any, book: Any
) -> None:
    """Channels that are known only with the first frame: it still has its row."""
    source = scripted([make_frame(0, "GFP"), make_frame(1, "GFP")], channels=())
    live = run(source)
    accounting = to_end(live)
    assert live.reader.record.state == "failed"
    states = book(live, accounting)
    assert sum(states.values()) == source.yielded


def test_a_pipeline_that_does_not_fit_leaves_nothing_behind(
    run: Any, make_frame: Any, home: Any
) -> None:
    with pytest.raises(ConfigError, match="DAPI"):
        run([make_frame(0, "GFP")], channels=("GFP",))
    assert list((home / "runs").glob("*")) == []


def test_the_number_of_frames_can_be_limited(
    run: Any, make_frame: Any, to_end: Any, book: Any
) -> None:
    live = run([make_frame(t) for t in range(9)], frames=4)
    assert book(live, to_end(live)) == {"analysed": 4}
    assert live.reader.record.state == "finished"


def test_events_of_the_source_are_kept(run: Any, make_frame: Any, to_end: Any, plan: Any) -> None:
    from dipstream.source import SourceEvent  # noqa: PLC0415

    script = [
        make_frame(0),
        lambda source: source.report(SourceEvent("degraded", "the folder is away")),
        lambda source: source.report(SourceEvent("recovered", "it is back")),
    ]
    live = run(script)
    to_end(live)
    events = live.reader.events()
    assert events["kind"].tolist() == ["started", "degraded", "recovered", "finished"]
    assert "the folder is away" in live.status().warnings


def test_a_run_goes_on_with_its_tracks(
    scripted: Any, make_frame: Any, plan: Any, to_end: Any, book: Any
) -> None:
    runs = []
    for part in (range(3), range(3, 6)):
        live = start(
            scripted([make_frame(t) for t in part]), plan(), go_on=True, durability="normal"
        )
        runs.append((live, to_end(live)))
    first, second = (live for live, _ in runs)
    assert first.run_id == second.run_id
    assert book(second, runs[1][1]) == {"analysed": 6}
    assert second.frames()["frame_id"].tolist() == list(range(6))
    assert second.tracks()["n_objects"].tolist() == [6, 6]


def test_a_frame_that_is_later_than_anybody_remembers_changes_nothing(
    run: Any, make_frame: Any, to_end: Any, book: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dipstream.assemble.REMEMBERED", 1)
    channels = ("DAPI", "GFP")
    live = run([*pairs(make_frame, 4), make_frame(0)], channels=channels)
    assert book(live, to_end(live)) == {"analysed": 8, "late": 1}
    sets = live.reader.image_sets()
    assert sets["content_version"].tolist() == [1] * 4
    assert sets["partial"].tolist() == [0] * 4
    assert live.objects()["intensity_mean_GFP"].notna().all()


def test_tracks_end_with_their_segment(run: Any, make_frame: Any, to_end: Any, book: Any) -> None:
    other = np.zeros((30, 40), "uint16")
    other[5:10, 5:10] = 200
    script = [make_frame(0), make_frame(1), make_frame(2, pixels=other), make_frame(3)]
    live = run(script, on_change="segment")
    assert book(live, to_end(live)) == {"analysed": 4}
    tracks = live.tracks()
    assert tracks["n_objects"].tolist() == [2, 2, 1, 1, 1]
    assert tracks["ended"].tolist() == [1, 1, 1, 0, 0]
    ends = live.reader.table("track_events", where="kind = 'end'")
    assert ends["set_id"].tolist() == [2, 2, 3]


def test_focus_is_remembered_when_a_run_goes_on(
    scripted: Any, make_frame: Any, plan: Any, to_end: Any
) -> None:
    sharp = np.zeros((64, 64), "uint16")
    sharp[8:56:8, 8:56] = 500
    blurred = ndimage.gaussian_filter(sharp.astype(float), 3).astype("uint16")
    pictures = [sharp] * 6, [blurred]
    t = 0
    for part in pictures:
        frames = []
        for pixels in part:
            frames.append(make_frame(t, pixels=pixels))
            t += 1
        live = start(scripted(frames), plan(), go_on=True, durability="normal")
        to_end(live)
    assert live.frames()["flags"].tolist() == ["", "", "", "", "", "", "out_of_focus"]


def test_tracks_and_objects_agree_after_a_rewrite(
    run: Any, make_frame: Any, to_end: Any, book: Any
) -> None:
    bright = make_frame(1).data.copy()
    bright[0:3, 24:28] = 150
    script = [*(make_frame(t) for t in range(4)), make_frame(1, pixels=bright, version=2)]
    live = run(script)
    assert book(live, to_end(live)) == {"analysed": 5}
    objects = live.objects()
    assert objects.groupby("t").size().tolist() == [2, 3, 2, 2]
    assert objects[objects["t"] == 1]["track_id"].isna().all()
    assert live.tracks()["n_objects"].sum() == objects["track_id"].notna().sum()


def test_a_file_that_was_broken_at_first_is_tracked(
    run: Any, make_frame: Any, make_bad: Any, to_end: Any, book: Any
) -> None:
    script = [make_frame(0), make_frame(1), make_bad(2), make_frame(2, version=2)]
    live = run(script, grouped=False)
    assert book(live, to_end(live)) == {"analysed": 3, "quarantined": 1}
    assert live.objects()["track_id"].tolist() == [1, 2] * 3


def test_a_time_point_that_comes_too_late_is_measured_but_not_tracked(
    run: Any, make_frame: Any, to_end: Any, book: Any
) -> None:
    live = run([make_frame(0), make_frame(2), make_frame(1), make_frame(3)])
    assert book(live, to_end(live)) == {"analysed": 4}
    objects = live.objects()
    assert objects[objects["t"] == 1]["track_id"].isna().all()
    assert objects[objects["t"] != 1]["track_id"].tolist() == [1, 2] * 3


def test_a_rewrite_that_is_dropped_leaves_what_was_measured(
    run: Any, make_frame: Any, to_end: Any, book: Any, slow: Any
) -> None:
    slow(lambda set_id: 0.6 if set_id == 2 else 0.0)
    gate = threading.Event()
    again = [make_frame(0, version=2), make_frame(1, version=2)]
    script = [make_frame(0), make_frame(1), make_frame(2), lambda _: gate.wait(0.3), *again]
    live = run(script, workers=1)
    time.sleep(0.45)
    live.abort("enough")
    assert book(live, to_end(live)) == {"analysed": 3, "dropped": 2}
    assert live.reader.image_sets()["state"].tolist() == ["analysed"] * 3
    assert len(live.objects()) == 6


def test_nonsense_limits_are_refused(plan: Any, scripted: Any) -> None:
    with pytest.raises(ConfigError, match="frames=0"):
        start(scripted([]), plan(), frames=0)
