from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dipstream.assemble import REMEMBERED, Assembled, Assembler
from dipstream.config import AssembleConfig
from dipstream.frame import FRAME_BYTES, Frame, FrameInfo, ImageSet, Segment, SetKey

SEGMENT = Segment(shape=(2, 3), dtype="uint8")
CHANNELS = ("DAPI", "GFP")


def frame(t: int = 0, channel: str = "DAPI", **info: object) -> Frame:
    return Frame(np.zeros((2, 3), "uint8"), FrameInfo(SEGMENT, channel, t=t, **info))  # type: ignore[arg-type]


class Bench:
    """An assembler whose clock the test turns; numbers the frames by itself."""

    def __init__(self, *, grouped: bool = False, **config: object) -> None:
        self.now = 100.0
        self.given: list[Frame] = []
        self.assembler = Assembler(
            AssembleConfig.model_validate(config),
            CHANNELS,
            grouped=grouped,
            first_set_id=7,
            clock=lambda: self.now,
        )

    def add(self, *args: object, segment: int = 0, **info: object) -> Assembled:
        one = frame(*args, **info)  # type: ignore[arg-type]
        self.given.append(one)
        return self.assembler.add(segment, len(self.given) - 1, one)

    def skip(self, *args: object, **info: object) -> tuple[ImageSet, ...]:
        return self.assembler.skip(0, frame(*args, **info).info)  # type: ignore[arg-type]


def seen(image_sets: tuple[ImageSet, ...]) -> list[tuple[int, str, bool]]:
    """Time point, channels and whether something is missing."""
    return [(s.key.t, ",".join(f.info.channel for f in s.frames), s.partial) for s in image_sets]


def test_a_set_closes_when_it_is_complete_in_the_order_of_channels() -> None:
    bench = Bench()
    assert bench.add(0, "GFP").closed == bench.add(1, "DAPI").closed == ()
    first = bench.add(0, "DAPI")
    assert (first.verdict, seen(first.closed)) == ("taken", [(0, "DAPI,GFP", False)])
    (one,) = first.closed
    assert one.frame_ids == (2, 0)
    assert one.set_id == 7
    assert bench.add(1, "GFP").closed[0].set_id == 8
    assert bench.assembler.open_bytes == 0


@pytest.mark.parametrize(
    "other", [{"position": "1"}, {"z": 1}, {"segment": 1}], ids=["position", "z", "segment"]
)
def test_frames_of_different_keys_never_meet(other: dict[str, object]) -> None:
    bench = Bench()
    bench.add(0, "DAPI")
    assert bench.add(0, "GFP", **other).closed == ()
    assert bench.assembler.open_bytes == 2 * (6 + FRAME_BYTES)
    assert seen(bench.assembler.flush()) == [(0, "DAPI", True), (0, "GFP", True)]


def test_a_set_that_waits_too_long_is_partial_and_what_comes_then_is_late() -> None:
    bench = Bench(wait_s=5)
    bench.add(0, "DAPI")
    bench.now += 3
    bench.add(1, "DAPI")
    bench.now += 1.99
    assert bench.assembler.expired() == ()
    bench.now += 0.01
    assert seen(bench.assembler.expired()) == [(0, "DAPI", True)]
    assert bench.assembler.expired() == ()
    assert bench.add(0, "GFP").verdict == "late"
    assert seen(bench.add(1, "GFP").closed) == [(1, "DAPI,GFP", False)]


def test_a_late_frame_after_a_complete_set() -> None:
    bench = Bench()
    bench.add(0, "DAPI")
    bench.add(0, "GFP")
    assert bench.add(0, "GFP").verdict == "late"
    assert bench.assembler.flush() == ()


def test_a_rewritten_version_opens_the_set_again() -> None:
    bench = Bench()
    bench.add(0, "DAPI")
    bench.add(0, "GFP")
    assert bench.add(0, "DAPI", version=2).verdict == "taken"
    (again,) = bench.add(0, "GFP", version=2).closed
    assert (again.version, again.frame_ids, again.set_id) == (2, (2, 3), 8)
    assert bench.add(0, "GFP", version=2).verdict == "late"


def test_the_newest_version_of_its_frames_is_that_of_a_set() -> None:
    bench = Bench()
    bench.add(0, "DAPI")
    assert bench.add(0, "GFP", version=3).closed[0].version == 3
    assert bench.add(0, "DAPI", version=3).verdict == "late"
    assert bench.add(0, "DAPI", version=4).verdict == "taken"


def test_a_frame_sent_twice_is_never_forgotten() -> None:
    """Both have a row; the one that is not in the set must be answered for."""
    bench = Bench()
    bench.add(0, "DAPI")
    again = bench.add(0, "DAPI")
    (closed,) = bench.add(0, "GFP").closed
    in_set = set(closed.frame_ids)
    answered = {1} if again.verdict != "taken" else set(getattr(again, "superseded", ()))
    assert in_set | answered == {0, 1, 2}


@pytest.mark.parametrize("z", ["stack", "project"])
def test_a_stack_closes_when_all_planes_are_there(z: str) -> None:
    bench = Bench(z=z, planes=2)
    order = [("GFP", 1), ("DAPI", 1), ("DAPI", 0)]
    assert all(bench.add(0, channel, z=plane).closed == () for channel, plane in order)
    (stack,) = bench.add(0, "GFP", z=0).closed
    assert stack.key.z is None
    assert [(f.info.channel, f.info.z) for f in stack.frames] == [
        ("DAPI", 0),
        ("DAPI", 1),
        ("GFP", 0),
        ("GFP", 1),
    ]
    assert not stack.partial


def test_a_stack_of_unknown_depth_closes_with_the_next_key() -> None:
    bench = Bench(z="stack", grouped=True)
    for channel in CHANNELS:
        for plane in range(3):
            assert bench.add(0, channel, z=plane).closed == ()
    closed = bench.add(1, "DAPI", z=0).closed
    assert [(s.key.t, len(s.frames), s.partial) for s in closed] == [(0, 6, False)]
    assert seen(bench.assembler.flush()) == [(1, "DAPI", True)]


def test_a_stack_that_lacks_a_plane_is_partial() -> None:
    bench = Bench(z="stack", grouped=True)
    for channel, plane in [("DAPI", 0), ("DAPI", 1), ("GFP", 0)]:
        bench.add(0, channel, z=plane)
    assert [s.partial for s in bench.assembler.flush()] == [True]


def test_a_grouped_source_needs_no_clock() -> None:
    bench = Bench(grouped=True)
    bench.add(0, "DAPI")
    bench.now += 1e6
    assert bench.assembler.expired() == ()
    assert seen(bench.add(1, "DAPI").closed) == [(0, "DAPI", True)]


def test_a_frame_that_cannot_be_read_makes_its_set_partial_at_once() -> None:
    bench = Bench()
    assert bench.skip(0, "DAPI") == ()
    assert seen(bench.add(0, "GFP").closed) == [(0, "GFP", True)]


def test_a_set_of_which_nothing_can_be_read_is_none() -> None:
    bench = Bench()
    assert bench.skip(0, "DAPI") == bench.skip(0, "GFP") == ()
    bench.add(1, "DAPI")
    assert bench.add(1, "GFP").closed[0].set_id == 7, "it has taken no number"


def test_a_bad_frame_for_a_closed_set_changes_nothing() -> None:
    bench = Bench()
    bench.add(0, "DAPI")
    bench.add(0, "GFP")
    assert bench.skip(0, "GFP") == ()
    assert bench.assembler.flush() == ()


def test_a_bad_frame_of_another_channel_closes_nothing() -> None:
    bench = Bench()
    bench.add(0, "DAPI")
    assert bench.skip(0, "Cy5") == ()
    assert seen(bench.add(0, "GFP").closed) == [(0, "DAPI,GFP", False)]


def test_a_bad_frame_that_was_mended_counts_once() -> None:
    bench = Bench()
    bench.skip(0, "DAPI")
    assert bench.add(0, "DAPI", version=2).closed == ()
    assert seen(bench.add(0, "GFP").closed) == [(0, "DAPI,GFP", False)]


def test_a_channel_that_was_not_announced() -> None:
    bench = Bench()
    assert bench.add(0, "Cy5").verdict == "unexpected"
    assert bench.assembler.open_bytes == 0


@st.composite
def interleavings(draw: Callable[..., object]) -> tuple[int, int, list[tuple[int, int]]]:
    sets = draw(st.integers(1, 6))
    channels = draw(st.integers(1, 3))
    frames = [(t, c) for t in range(sets) for c in range(channels)]  # type: ignore[arg-type]
    return sets, channels, draw(st.permutations(frames))  # type: ignore[return-value]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(interleavings())
def test_any_interleaving_gives_every_set_once_and_complete(
    case: tuple[int, int, list[tuple[int, int]]],
) -> None:
    sets, channels, order = case
    names = tuple(f"c{c}" for c in range(channels))
    assembler = Assembler(AssembleConfig(), names, grouped=False, first_set_id=0, clock=lambda: 0.0)
    closed: list[ImageSet] = []
    for number, (t, c) in enumerate(order):
        taken = assembler.add(0, number, frame(t, names[c]))
        assert taken.verdict == "taken"
        closed += taken.closed
    assert assembler.flush() == ()
    assert sorted(s.key.t for s in closed) == list(range(sets))
    assert [s.set_id for s in closed] == list(range(sets))
    for one in closed:
        assert not one.partial
        assert tuple(f.info.channel for f in one.frames) == names
        assert all(order[i] == (one.key.t, c) for c, i in enumerate(one.frame_ids))


def test_the_bytes_of_a_frame_sent_twice_are_counted_once() -> None:
    bench = Bench()
    bench.add(0, "DAPI")
    bench.add(0, "DAPI")
    assert bench.assembler.open_bytes == 6 + FRAME_BYTES
    bench.assembler.flush()
    assert bench.assembler.open_bytes == 0


def test_what_an_earlier_session_closed_is_late_but_in_another_version() -> None:
    def key(t: int) -> SetKey:
        return SetKey(0, "0", t, 0)

    closed = {key(t): 1 + t % 2 for t in range(REMEMBERED + 3)}
    assembler = Assembler(
        AssembleConfig(), CHANNELS, grouped=False, first_set_id=0, clock=lambda: 0.0, closed=closed
    )

    def verdict(t: int, version: int = 1) -> str:
        return assembler.add(0, 0, frame(t, version=version)).verdict

    assert [verdict(4), verdict(5), verdict(5, version=2)] == ["late"] * 3
    assert [verdict(4, version=2), verdict(5, version=3)] == ["taken"] * 2
    assembler.flush()
    assert verdict(2) == "taken", "older than anybody remembers"
    assert verdict(REMEMBERED + 2) == "late"
