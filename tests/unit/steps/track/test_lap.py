import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from skimage.measure import regionprops_table

from dipstream.errors import StepError
from dipstream.steps import Links, Objects, State, TrackEvent
from dipstream.steps.track.lap import lap

DATA = Path(os.environ.get("DIPSTREAM_TEST_DATA", Path(__file__).parents[4] / "../shared/data"))
MITOCHECK = DATA / "tracks" / "mitocheck" / "01_GT" / "TRA"


def at(
    t: int, *points: tuple[float, float], free: int = 1, pixel_um: float | None = None,
    **features: Any,
) -> Objects:  # fmt: skip
    y, x = np.array(points, dtype=np.float64).reshape(-1, 2).T
    columns = {name: np.array(values) for name, values in features.items()}
    return Objects(t, t, y, x, columns, pixel_um, free)


def follow(*sets: Objects, **parameters: Any) -> list[Links]:
    """Track sets one after the other; numbers go on where the last set stopped."""
    state: State | None = None
    free, found = 1, []
    for one in sets:
        numbered = Objects(one.set_id, one.t, one.y_px, one.x_px, one.features, one.pixel_um, free)
        state, links = lap(state, numbered, **parameters)
        free = max([free - 1, *links.track_ids.tolist()]) + 1
        found.append(links)
    return found


def kinds(links: Links) -> list[tuple[str, int, int | None]]:
    return [(event.kind, event.track_id, event.label) for event in links.events]


def test_starts_are_numbered_from_the_first_free_number_by_label() -> None:
    _, links = lap(None, at(0, (5, 5), (9, 50), free=17))
    assert links.track_ids.tolist() == [17, 18]
    assert links.track_ids.dtype == np.int64
    assert tuple(links.events) == (TrackEvent("start", 17, 1), TrackEvent("start", 18, 2))


def test_links_say_how_far_objects_moved() -> None:
    _, second = follow(at(0, (5, 5), (40, 40)), at(1, (40, 41), (8, 9)))
    assert second.track_ids.tolist() == [2, 1]
    assert tuple(second.events) == (
        TrackEvent("link", 2, 1, distance_px=1.0),
        TrackEvent("link", 1, 2, distance_px=5.0),
    )


def test_the_gate() -> None:
    assert kinds(follow(at(0, (0, 0)), at(1, (0, 20)))[1]) == [("link", 1, 1)]
    assert kinds(follow(at(0, (0, 0)), at(1, (0, 20.1)))[1]) == [("start", 2, 1)]
    far = (at(0, (0, 0), pixel_um=0.5), at(1, (0, 20), pixel_um=0.5))
    assert kinds(follow(*far, max_distance_um=10.0)[1]) == [("link", 1, 1)]
    assert kinds(follow(*far, max_distance_um=9.9)[1]) == [("start", 2, 1)]
    with pytest.raises(StepError, match="needs the pixel size"):
        lap(None, at(0, (0, 0)), max_distance_um=9.9)


@pytest.mark.parametrize("max_gap", [0, 1, 2, 3])
@pytest.mark.parametrize("missed", [1, 2, 3])
@pytest.mark.parametrize("dropped", [False, True])
def test_gaps(max_gap: int, missed: int, dropped: bool) -> None:
    """Missing in `missed` sets, which were empty or never came."""
    between = [] if dropped else [at(1 + k) for k in range(missed)]
    found = follow(at(0, (0, 0)), *between, at(1 + missed, (0, 3)), max_gap=max_gap)
    events = [event for links in found[1:] for event in links.events]
    if missed <= max_gap:
        assert events == [TrackEvent("gap", 1, 1, gap=missed, distance_px=3.0)]
    else:
        assert events == [TrackEvent("end", 1), TrackEvent("start", 2, 1)]
        # given up in the set that shows it
        shown = 1 if dropped else max_gap + 1
        assert next(iter(found[shown].events)) == TrackEvent("end", 1)


def test_a_track_ends_once() -> None:
    found = follow(at(0, (0, 0), (50, 50)), *(at(t, (50, 50)) for t in range(1, 6)))
    ends = [event for links in found for event in links.events if event.kind == "end"]
    assert ends == [TrackEvent("end", 1)]
    assert kinds(found[2])[0] == ("end", 1, None)


def test_no_objects() -> None:
    state, links = lap(None, at(0))
    assert (len(links.track_ids), len(links.events)) == (0, 0)
    again, _ = lap(state, at(1))
    assert again is state


DIVIDING = (
    at(0, (30, 30), (80, 80), area=[100, 90]),
    at(1, (30, 26), (30, 35), (80, 81), area=[52, 48, 90]),
)


def test_a_division_ends_the_mother_and_starts_two_tracks() -> None:
    _, second = follow(*DIVIDING)
    assert second.track_ids.tolist() == [3, 4, 2]
    assert tuple(second.events) == (
        TrackEvent("end", 1),
        TrackEvent("division", 3, 1, parent_id=1),
        TrackEvent("division", 4, 2, parent_id=1),
        TrackEvent("link", 2, 3, distance_px=1.0),
    )
    third = follow(*DIVIDING, at(2, (30, 24), (30, 37), (80, 80), area=[60, 60, 90]))[2]
    assert [event.kind for event in third.events] == ["link"] * 3


def test_a_track_that_was_missed_does_not_divide() -> None:
    other = at(1, (80, 80), area=[90])
    later = at(2, (30, 26), (30, 35), (80, 81), area=[52, 48, 90])
    third = follow(DIVIDING[0], other, later)[2]
    assert [event.kind for event in third.events] == ["gap", "start", "link"]


def test_divisions_can_be_off_demanded_or_impossible() -> None:
    expected = [("link", 1, 1), ("start", 3, 2), ("link", 2, 3)]
    assert kinds(follow(*DIVIDING, divisions=False)[1]) == expected
    blind = [Objects(o.set_id, o.t, o.y_px, o.x_px) for o in DIVIDING]
    assert kinds(follow(*blind)[1]) == expected
    with pytest.raises(StepError, match="column area"):
        follow(*blind, divisions=True)


def test_events_name_the_label_where_labels_have_gaps() -> None:
    _, links = lap(None, at(0, (0, 0), (9, 9), label=[2, 7]))
    assert [event.label for event in links.events] == [2, 7]


def test_time_must_go_forward() -> None:
    state, _ = lap(None, at(3, (0, 0)))
    for t in (3, 2):
        with pytest.raises(StepError, match=f"time point {t} comes after time point 3"):
            lap(state, at(t, (0, 0)))


def walk(sets: int, seed: int = 0) -> list[Objects]:
    """Return objects that wander, vanish for a while, divide and come in any order."""
    rng = np.random.default_rng(seed)
    points, found = rng.uniform(0, 300, (60, 2)), []
    for t in range(sets):
        points = points + rng.normal(0, 4, points.shape)
        seen = rng.permutation(np.flatnonzero(rng.random(len(points)) < 0.9))
        area = rng.uniform(40, 120, len(seen))
        found.append(at(t + (t > 4), *points[seen].tolist(), area=area))
    return found


@pytest.mark.parametrize("divisions", [None, False])
def test_a_saved_state_goes_on_identically(divisions: bool | None) -> None:
    state: State | None = None
    restored: State | None = None
    free = 1
    for one in walk(12):
        objects = Objects(one.set_id, one.t, one.y_px, one.x_px, one.features, None, free)
        state, links = lap(state, objects, divisions=divisions)
        restored, again = lap(restored, objects, divisions=divisions)
        assert list(again.events) == list(links.events)
        assert again.track_ids.tolist() == links.track_ids.tolist()
        free = int(links.track_ids.max()) + 1 if (links.track_ids >= free).any() else free
        buffer = io.BytesIO()
        np.savez(buffer, **restored)
        buffer.seek(0)
        with np.load(buffer, allow_pickle=False) as loaded:
            restored = dict(loaded)


def test_events_and_track_ids_tell_the_same_story() -> None:
    alive: set[int] = set()
    for links in follow(*walk(20)):
        assert len(set(links.track_ids.tolist())) == len(links.track_ids)
        named = {e.label: e for e in links.events if e.label is not None}
        assert sorted(named) == list(range(1, len(links.track_ids) + 1))
        for label, event in named.items():
            assert links.track_ids[label - 1] == event.track_id
            assert (event.track_id in alive) == (event.kind in ("link", "gap"))
            assert event.parent_id is None or event.parent_id in alive
        ended = {e.track_id for e in links.events if e.kind == "end"}
        assert ended <= alive
        alive = (alive - ended) | {e.track_id for e in named.values()}


def test_inputs_are_not_changed() -> None:
    state, _ = lap(None, DIVIDING[0])
    before = {name: array.copy() for name, array in state.items()}
    lap(state, DIVIDING[1])
    assert all((state[name] == array).all() for name, array in before.items())


@pytest.mark.skipif(not MITOCHECK.exists(), reason="no test data (DIPSTREAM_TEST_DATA)")
@pytest.mark.parametrize("every", [1, 2, 4])
def test_real_tracks(every: int) -> None:
    """On true masks: links at least 99 % found, at most 2 % wrong, the 3 divisions and no other."""
    parents = {int(r[0]): int(r[3]) for r in np.loadtxt(MITOCHECK / "man_track.txt", dtype=int)}
    sets, truth = [], []
    for t, path in enumerate(sorted(MITOCHECK.glob("man_track*.tif"))[::every]):
        table = regionprops_table(tifffile.imread(path), properties=("label", "centroid", "area"))
        points = zip(table["centroid-0"], table["centroid-1"], strict=True)
        sets.append(at(t, *points, area=table["area"]))
        truth.append(table["label"].tolist())
    found, divisions = true_links(follow(*sets), truth)
    expected = true_links_of(truth)
    assert len(expected) == {1: 570, 2: 273, 4: 134}[every]
    assert len(expected & found) >= 0.99 * len(expected)
    assert len(found - expected) <= 0.02 * len(found)
    assert divisions == {(child, parent) for child, parent in parents.items() if parent}


def true_links_of(truth: list[list[int]]) -> set[tuple[int, int, int]]:
    return {
        (t, name, name) for t in range(1, len(truth)) for name in truth[t] if name in truth[t - 1]
    }


def true_links(
    found: list[Links], truth: list[list[int]]
) -> tuple[set[tuple[int, int, int]], set[tuple[int, int]]]:
    """Return links as (t, true name before, true name after) and divisions as (child, parent)."""
    name_of: dict[int, int] = {}
    links, divisions = set(), set()
    for t, one in enumerate(found):
        before = dict(name_of)
        for event in one.events:
            if event.label is None:
                continue
            name = truth[t][event.label - 1]
            if event.kind == "link":
                links.add((t, before[event.track_id], name))
            if event.kind == "division":
                divisions.add((name, before[event.parent_id or 0]))
            name_of[event.track_id] = name
    return links, divisions
