"""Image sets that wait on the disk: what is written is read, torn or damaged is told."""

import os
import resource
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dipstream.errors import ReadError
from dipstream.frame import Frame, FrameInfo, ImageSet, Origin, Segment, SetKey
from dipstream.queue import QueueFullError, SetQueue
from dipstream.spill import Spill, Spilled, without_pixels

pytestmark = pytest.mark.usefixtures("pixels_alone")

Sets = Callable[..., ImageSet]


@pytest.fixture
def spills(tmp_path: Path) -> Iterator[Callable[..., Spill]]:
    """Opens the same folder, as one session after the other would."""
    opened: list[Spill] = []

    def made(limit_bytes: int = 10_000_000, **options: Any) -> Spill:
        spill = Spill(tmp_path / "spill", limit_bytes, **{"sync": False, **options})
        opened.append(spill)
        return spill

    yield made
    for spill in opened:
        spill.close()


@pytest.fixture
def sized(make_set: Sets, make_frame: Callable[..., Frame]) -> Callable[..., ImageSet]:
    def made(set_id: int, nbytes: int = 1000, **info: Any) -> ImageSet:
        pixels = np.random.default_rng(set_id).integers(0, 256, (1, nbytes), "uint8")
        return make_set(
            make_frame(set_id, pixels=pixels, received_ns=set_id, **info), set_id=set_id
        )

    return made


def same(one: ImageSet, other: ImageSet) -> bool:
    about = ("set_id", "key", "frame_ids", "channels", "partial", "version")
    assert [getattr(one, name) for name in about] == [getattr(other, name) for name in about]
    for mine, theirs in zip(one.frames, other.frames, strict=True):
        assert mine.data.dtype == theirs.data.dtype
        np.testing.assert_array_equal(mine.data, theirs.data)
        for name in FrameInfo.__slots__:
            a, b = getattr(mine.info, name), getattr(theirs.info, name)
            assert (dict(a) == dict(b)) if name == "index" else (repr(a) == repr(b)), name
    return True


def written(spill: Spill, image_set: ImageSet) -> Spilled:
    spilled = spill.write(image_set)
    assert spilled is not None, spill.problem
    return spilled


def files(spill: Spill) -> list[Path]:
    del spill
    return sorted(Path.cwd().glob("spill/*"))


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


_numbers = st.one_of(st.none(), st.floats(), st.integers(-(2**40), 2**40))


@settings(deadline=None, max_examples=60)
@given(
    dtype=st.sampled_from(["uint8", "uint16", ">u2", "float32", "float64", "int32", "bool"]),
    shape=st.tuples(st.integers(0, 7), st.integers(1, 9)),
    n=st.integers(1, 4),
    text=st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    seq=st.one_of(st.none(), st.integers(0, 2**62)),
    z=st.one_of(st.none(), st.integers(0, 9)),
    stage=st.one_of(st.none(), st.tuples(st.floats(), st.floats(), st.floats())),
    sync=st.booleans(),
)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory,
    dtype: str,
    shape: tuple[int, int],
    n: int,
    text: str,
    seq: int | None,
    z: int | None,
    stage: Any,
    sync: bool,
) -> None:
    noise = np.random.default_rng(n)
    segment = Segment(shape, dtype, roi=(1, 2, 3, 4), pixel_um=0.1, camera_to_stage=(1.0,) * 6)
    frames = tuple(
        Frame(
            noise.integers(0, 2, (shape[0], 2 * shape[1])).astype(dtype)[:, ::2],
            FrameInfo(
                segment,
                text,
                seq=seq,
                position=text,
                stage_um=stage,
                index={"t": k},
                origin=Origin(text, k, 5, 2**60, content_hash="ff") if k else None,
                version=k + 1,
                time_source="device",
                received_ns=2**61,
            ),
        )
        for k in range(n)
    )
    image_set = ImageSet(
        set_id=2**40,
        key=SetKey(3, text, 7, z),
        frames=frames,
        frame_ids=tuple(range(n)),
        channels=(text, "µ"),
        partial=True,
        version=2,
    )
    spill = Spill(tmp_path_factory.mktemp("run") / "spill", 10_000_000, sync=sync)
    try:
        assert same(spill.read(written(spill, image_set)), image_set)
        ((spilled, infos),) = spill.left_over()
        assert same(spill.read(spilled), image_set)
        assert [info.received_ns for info in infos] == [2**61] * n
    finally:
        spill.close()


def test_numbers_of_numpy_and_an_index_nobody_can_change(
    spills: Any, make_frame: Any, make_set: Any
) -> None:
    image_set = make_set(make_frame(seq=np.int64(3), exposure_ms=np.float32(2.5)))
    spill = spills()
    read = spill.read(written(spill, image_set)).frames[0].info
    assert (read.seq, read.exposure_ms, dict(read.index)) == (3, 2.5, {})


def test_files_are_deleted_when_all_their_sets_are_committed(spills: Any, sized: Sets) -> None:
    spill = spills(segment_bytes=3500)
    sets = [written(spill, sized(k)) for k in range(5)]
    assert [one.file for one in sets] == [0, 0, 0, 1, 1]
    for k in (0, 1):
        spill.read(sets[k])
        spill.settle(k)
    assert len(files(spill)) == 2, "one set of the first file is read, but not committed"
    fill = spill.fill
    spill.settle(2)
    assert [path.name for path in files(spill)] == ["00000001.spill"]
    assert spill.fill < fill / 2
    spill.settle(77)
    spill.settle(3)
    assert same(spill.read(sets[4]), sized(4))
    spill.settle(4)
    assert (files(spill), spill.fill, spill.waiting) == ([], 0, 0), "the last one as well"
    assert written(spill, sized(9)).file == 2
    spill.settle(9)
    spill.close()
    assert not (Path.cwd() / "spill").exists()


def test_no_more_than_the_limit(spills: Any, sized: Sets) -> None:
    spill = spills(4000, segment_bytes=1)
    taken = [spill.write(sized(k)) is not None for k in range(4)]
    assert taken == [True, True, False, False]
    assert 0.5 < spill.fill <= 1
    assert sum(path.stat().st_size for path in files(spill)) <= 4000
    spill.settle(0)
    assert spill.write(sized(4)) is not None
    assert spill.problem == ""


def test_the_next_session_finds_them_in_order(spills: Any, sized: Sets) -> None:
    first = spills(segment_bytes=3500)
    for k in range(3, 10):
        written(first, sized(k, received_monotonic_ns=5))
    again = spills(segment_bytes=3500)
    assert again.frame_ids() == {0}
    found = [spilled for spilled, _ in again.left_over()]
    assert [one.set_id for one in found] == list(range(3, 10))
    again.adopt(found[4:])
    assert [path.name for path in files(again)] == ["00000001.spill", "00000002.spill"]
    assert all(same(again.read(one), sized(one.set_id)) for one in found[4:])
    assert again.read(found[4]).frames[0].info.received_monotonic_ns == 0, "of another clock"
    assert written(again, sized(10)).file == 3, "never behind what may be torn"
    for k in range(7, 11):
        again.settle(k)
    assert files(again) == []


@pytest.mark.parametrize("cut", [1, 5, 20, 40, 100, 999, 1300])
def test_a_torn_record_is_passed_over_and_counted(spills: Any, sized: Sets, cut: int) -> None:
    spill = spills()
    sets = [written(spill, sized(k)) for k in range(3)]
    spill.close()
    (path,) = files(spill)
    os.truncate(path, path.stat().st_size - cut)
    again = spills()
    assert [one.set_id for one, _ in again.left_over()] == [0, 1]
    assert again.torn == 1
    with pytest.raises(ReadError):
        again.read(sets[2])


def test_every_flipped_byte_is_noticed(spills: Any, sized: Sets) -> None:
    spill = spills()
    spilled = written(spill, sized(0, 50))
    spill.close()
    (path,) = files(spill)
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(ReadError):
            spills().read(spilled)
    path.write_bytes(whole)
    assert same(spills().read(spilled), sized(0, 50))


def test_a_hostile_length_allocates_nothing(spills: Any, sized: Sets) -> None:
    spill = spills()
    written(spill, sized(0))
    (path,) = files(spill)
    path.write_bytes(b"SET1" + b"\xff" * 28 + b"x" * 100)
    assert list(spills().left_over()) == []


def test_a_file_that_is_gone(spills: Any, sized: Sets) -> None:
    spill = spills()
    spilled = written(spill, sized(0))
    files(spill)[0].unlink()
    with pytest.raises(ReadError, match="cannot be read"):
        spill.read(spilled)
    spill.settle(0)


@pytest.mark.parametrize("sync", [True, False])
@pytest.mark.skipif(sys.platform == "win32", reason="the limit of a file's size is POSIX's")
def test_a_full_disk_is_told_once_and_loses_nothing(spills: Any, sized: Sets, sync: bool) -> None:
    said: list[str] = []
    spill = spills(failed=said.append, sync=sync)
    sets = [written(spill, sized(0)), written(spill, sized(1))]
    size = files(spill)[0].stat().st_size
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 700, limits[1]))
    try:
        assert [spill.write(sized(k)) for k in (2, 3)] == [None, None]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert said == ["File too large"] == [spill.problem]
    assert files(spill)[0].stat().st_size == size, "the half of a record is cut off"
    assert spill.write(sized(4)) is None, "a disk that failed once is not tried again"
    assert all(same(spill.read(one), sized(one.set_id)) for one in sets)
    spill.settle(0)
    spill.settle(1)
    assert files(spill) == []


def test_a_folder_that_cannot_be_made(spills: Any, sized: Sets) -> None:
    (Path.cwd() / "spill").write_text("in the way")
    said: list[str] = []
    spill = spills(failed=said.append)
    assert spill.write(sized(0)) is None
    assert len(said) == 1


def test_with_sync_a_set_counts_when_it_is_on_the_disk(
    spills: Any, sized: Sets, monkeypatch: pytest.MonkeyPatch
) -> None:
    may, synced, real = threading.Event(), threading.Event(), os.fsync

    def fsync(handle: int) -> None:
        if threading.current_thread().name == "spill":
            may.wait(5)
            synced.set()
        real(handle)

    monkeypatch.setattr("os.fsync", fsync)
    spill = spills(sync=True)
    written(spill, sized(0))
    assert spill.frame_ids() == set()
    may.set()
    assert synced.wait(5)
    spill.close()
    assert spill.frame_ids() == {0}
    assert not [one for one in threading.enumerate() if one.name == "spill"]


def test_a_failed_sync_ends_the_spilling(
    spills: Any, sized: Sets, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = threading.Event()
    spill = spills(sync=True, failed=lambda _: told.set())

    def fsync(handle: int) -> None:
        if threading.current_thread().name == "spill":
            raise OSError(5, "Input/output error")

    monkeypatch.setattr("os.fsync", fsync)
    spilled = written(spill, sized(0))
    assert told.wait(5)
    assert spill.write(sized(1)) is None
    assert spill.frame_ids() == set(), "it is not known to be there"
    assert same(spill.read(spilled), sized(0))


def put_all(queue: SetQueue, sets: list[ImageSet]) -> list[tuple[int, str]]:
    return [(one.image_set.set_id, one.reason) for k in sets for one in queue.put(k)]


def take(queue: SetQueue) -> ImageSet:
    image_set = queue.get()
    assert image_set is not None
    queue.settle(image_set.set_id)
    return image_set


def test_a_full_queue_goes_on_on_the_disk_in_order(spills: Any, sized: Sets) -> None:
    said: list[str] = []
    spill = spills()
    queue = SetQueue(3000, "spill", spill=spill, told=lambda kind, _: said.append(kind))
    assert put_all(queue, [sized(k) for k in range(6)]) == []
    assert (queue.spilled, spill.waiting) == (3, 3)
    assert [take(queue).set_id for _ in range(4)] == [0, 1, 2, 3]
    assert put_all(queue, [sized(6)]) == []
    assert queue.spilled == 4, "behind those that wait on the disk, although there is room"
    assert all(same(take(queue), sized(k)) for k in (4, 5, 6))
    assert files(spill) == []
    put_all(queue, [sized(7)])
    assert (queue.spilled, queue.fill) == (4, 1 / 3)
    assert said == ["info"]


def test_what_is_read_back_waits_for_room(spills: Any, sized: Sets) -> None:
    queue = SetQueue(2000, "spill", spill=spills())
    put_all(queue, [sized(k) for k in range(4)])
    assert [queue.get().set_id for _ in range(2)] == [0, 1]  # type: ignore[union-attr]
    got: list[Any] = []
    thread = threading.Thread(target=lambda: got.append(queue.get()), daemon=True)
    thread.start()
    thread.join(0.15)
    assert got == []
    assert queue.fill == 1
    queue.settle(0)
    thread.join(2)
    assert [one.set_id for one in got] == [2]


def test_past_the_limit_of_the_disk_it_thins(spills: Any, sized: Sets) -> None:
    queue = SetQueue(2000, "spill", spill=spills(5000))
    refused = put_all(queue, [sized(k) for k in range(30)])
    assert {reason.split(":")[0] for _, reason in refused} == {"thinned"}
    taken = [take(queue).set_id for _ in range(len(queue))]
    assert taken[:4] == [0, 1, 2, 3]
    assert sorted([*taken, *(set_id for set_id, _ in refused)]) == list(range(30))
    for k in range(30, 40):
        assert put_all(queue, [sized(k)]) == [], "there is room again, and nothing waits"
        assert take(queue).set_id == k


@pytest.mark.parametrize("before", [0, 2])
def test_a_disk_that_fails_leaves_thinning(spills: Any, sized: Sets, before: int) -> None:
    spill = spills()
    queue = SetQueue(4000, "spill", spill=spill)
    put_all(queue, [sized(k) for k in range(4 + before)])
    spill.problem = "No space left on device"
    refused = put_all(queue, [sized(k) for k in range(10, 20)])
    assert {reason.split(":")[0] for _, reason in refused} == {"thinned"}
    put = 4 + before + 10
    order = []
    while len(queue):
        image_set = queue.get()
        assert image_set is not None
        assert queue.fill <= 1, "room is kept for what is read back"
        queue.settle(image_set.set_id)
        order.append(image_set.set_id)
        refused += put_all(queue, [sized(20 + put)])
        put += 1
        if put > 40:
            break
    assert order == sorted(order)
    assert len({*order, *(set_id for set_id, _ in refused)}) == len(order) + len(refused)


def test_a_damaged_set_is_told_and_the_next_one_taken(spills: Any, sized: Sets) -> None:
    lost: list[tuple[ImageSet, str]] = []
    spill = spills()
    queue = SetQueue(1000, "spill", spill=spill, lost=lambda *one: lost.append(one))
    put_all(queue, [sized(k) for k in range(3)])
    assert take(queue).set_id == 0
    (path,) = files(spill)
    whole = bytearray(path.read_bytes())
    whole[path.stat().st_size // 2 - 10] ^= 1
    path.write_bytes(whole)
    assert take(queue).set_id == 2
    ((image_set, reason),) = lost
    assert (image_set.set_id, image_set.frame_ids, len(image_set.frames)) == (1, (0,), 1)
    assert reason == "it waited on the disk, but its pixels are not those that were written"


@pytest.mark.parametrize("policy", ["block", "spill", "thin", "drop-oldest", "stop"])
def test_what_was_left_over_comes_first(spills: Any, sized: Sets, policy: Any) -> None:
    for k in (3, 4):
        written(spills(), sized(k))
    spill = spills()
    found = [spilled for spilled, _ in spill.left_over()]
    spill.adopt(found)
    queue = SetQueue(4000, policy, spill=spill)
    queue.restore(found)
    put_all(queue, [sized(7)])
    assert [take(queue).set_id for _ in range(3)] == [3, 4, 7]
    assert files(spill) == []


def test_clear_gives_back_what_waits_on_the_disk_without_reading_it(
    spills: Any, sized: Sets
) -> None:
    spill = spills()
    queue = SetQueue(1000, "spill", spill=spill)
    put_all(queue, [sized(k) for k in range(3)])
    files(spill)[0].unlink()
    taken = queue.clear()
    assert [(one.set_id, one.frame_ids, one.key.t) for one in taken] == [
        (0, (0,), 0),
        (1, (0,), 1),
        (2, (0,), 2),
    ]
    for one in taken:
        queue.settle(one.set_id)
    assert (len(queue), queue.fill, spill.waiting) == (0, 0, 0)


def test_without_pixels_a_set_takes_no_memory(make_set: Any, make_frame: Any) -> None:
    image_set = make_set(make_frame(pixels=np.ones((2000, 2000), "uint16")), partial=True)
    light = without_pixels(image_set)
    assert light.frames[0].data.shape == (2000, 2000)
    assert light.frames[0].data.strides == (0, 0)
    assert light.frames[0].info is image_set.frames[0].info
    assert (light.set_id, light.partial, light.key) == (0, True, image_set.key)


def test_what_waits_behind_the_disk_leaves_room_for_what_is_read_back(
    spills: Any, sized: Sets
) -> None:
    written(spills(), sized(3))
    spill = spills()
    found = [spilled for spilled, _ in spill.left_over()]
    spill.adopt(found)
    queue = SetQueue(3000, "stop", spill=spill)
    queue.restore(found)
    put_all(queue, [sized(7), sized(8)])
    with pytest.raises(QueueFullError):
        queue.put(sized(9))
    assert queue.get() is not None
    assert queue.fill == 1
