import threading
import time
from collections.abc import Callable

import numpy as np
import pytest

from dipstream.frame import Frame, ImageSet
from dipstream.queue import QueueFullError, SetQueue, Thinning
from dipstream.settings import Policy

pytestmark = pytest.mark.usefixtures("pixels_alone")

Sets = Callable[..., ImageSet]


@pytest.fixture
def sized(make_set: Sets, make_frame: Callable[..., Frame]) -> Callable[..., ImageSet]:
    """An image set with that many bytes of pixels."""

    def made(set_id: int, nbytes: int = 10) -> ImageSet:
        return make_set(make_frame(set_id, pixels=np.zeros((1, nbytes), "uint8")), set_id=set_id)

    return made


def ids(image_sets: list[ImageSet]) -> list[int]:
    return [one.set_id for one in image_sets]


def refused(queue: SetQueue, image_set: ImageSet) -> list[int]:
    return [one.image_set.set_id for one in queue.put(image_set)]


def take(queue: SetQueue) -> int:
    """Take a set and have it committed."""
    image_set = queue.get()
    assert image_set is not None
    queue.settle(image_set.set_id)
    return image_set.set_id


def drained(queue: SetQueue) -> list[int]:
    queue.close()
    return [take(queue) for _ in range(len(queue))]


def test_first_in_first_out(sized: Sets) -> None:
    queue = SetQueue(100, "stop")
    for k in range(5):
        assert queue.put(sized(k)) == []
    assert len(queue) == 5
    assert queue.fill == 0.5
    assert drained(queue) == [0, 1, 2, 3, 4]
    assert queue.fill == 0


def test_drop_oldest_returns_what_it_dropped(sized: Sets) -> None:
    queue = SetQueue(35, "drop-oldest")
    dropped = [refused(queue, sized(k)) for k in range(5)]
    assert dropped == [[], [], [], [0], [1]]
    assert refused(queue, sized(5, 30)) == [2, 3, 4], "as many as it needs"
    assert drained(queue) == [5]


def test_drop_oldest_drops_the_new_one_where_workers_hold_all(sized: Sets) -> None:
    queue = SetQueue(20, "drop-oldest")
    for k in range(2):
        queue.put(sized(k))
        assert queue.get() is not None
    assert refused(queue, sized(2)) == [2]
    queue.settle(0)
    assert refused(queue, sized(3)) == []
    assert refused(queue, sized(4)) == [3]


@pytest.mark.parametrize("policy", ["block", "drop-oldest", "stop", "thin", "spill"])
def test_what_workers_hold_counts_until_it_is_committed(sized: Sets, policy: Policy) -> None:
    queue = SetQueue(20, policy)
    queue.put(sized(0, 15))
    assert queue.get() is not None
    assert queue.fill == 0.75
    queue.settle(0)
    queue.settle(0)  # a set that is dropped later may be told twice
    assert queue.fill == 0


def test_stop_raises(sized: Sets) -> None:
    queue = SetQueue(20, "stop")
    queue.put(sized(0))
    queue.put(sized(1))
    with pytest.raises(QueueFullError):
        queue.put(sized(2))
    assert drained(queue) == [0, 1]


def test_one_set_above_the_limit_passes_an_empty_queue(sized: Sets) -> None:
    for policy in ("block", "drop-oldest", "stop"):
        queue = SetQueue(20, policy)
        assert queue.put(sized(0, 1000)) == []
        assert queue.fill == 50
        assert take(queue) == 0


def test_sets_that_are_still_open_count(sized: Sets) -> None:
    waiting = 0
    queue = SetQueue(30, "drop-oldest")
    queue.open_bytes = lambda: waiting
    queue.put(sized(0))
    queue.put(sized(1))
    waiting = 10
    assert queue.fill == 1
    assert refused(queue, sized(2)) == [0]


def waiting_put(queue: SetQueue, image_set: ImageSet) -> threading.Thread:
    thread = threading.Thread(target=queue.put, args=(image_set,), daemon=True)
    thread.start()
    time.sleep(0.05)
    return thread


def test_block_waits_until_a_worker_takes_one(sized: Sets) -> None:
    queue = SetQueue(20, "block")
    queue.put(sized(0))
    queue.put(sized(1))
    thread = waiting_put(queue, sized(2))
    assert thread.is_alive()
    assert len(queue) == 2
    assert queue.get() is not None
    time.sleep(0.05)
    assert thread.is_alive(), "what is taken is still held"
    queue.settle(0)
    thread.join(2)
    assert not thread.is_alive()
    assert drained(queue) == [1, 2]


@pytest.mark.parametrize("wake", [SetQueue.clear, SetQueue.close])
def test_block_ends_when_the_queue_is_cleared_or_closed(
    sized: Sets, wake: Callable[[SetQueue], object]
) -> None:
    queue = SetQueue(10, "block")
    queue.put(sized(0))
    thread = waiting_put(queue, sized(1))
    wake(queue)
    thread.join(2)
    assert not thread.is_alive()
    assert drained(queue)[-1] == 1


def test_block_notices_room_that_the_assembler_made(sized: Sets) -> None:
    waiting = 100
    queue = SetQueue(20, "block")
    queue.open_bytes = lambda: waiting
    queue.put(sized(0))
    thread = waiting_put(queue, sized(1))
    assert thread.is_alive()
    waiting = 0
    thread.join(2)
    assert not thread.is_alive()


def test_closing_wakes_workers_and_lets_them_finish(sized: Sets) -> None:
    queue = SetQueue(100, "block")
    got: list[int] = []
    threads = [
        threading.Thread(target=lambda: got.extend(ids(list(iter(queue.get, None)))), daemon=True)
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for k in range(5):
        queue.put(sized(k))
    queue.close()
    for thread in threads:
        thread.join(2)
    assert not any(thread.is_alive() for thread in threads)
    assert sorted(got) == [0, 1, 2, 3, 4]


def test_clear_gives_everything_back(sized: Sets) -> None:
    queue = SetQueue(100, "block")
    for k in range(3):
        queue.put(sized(k))
    assert ids(queue.clear()) == [0, 1, 2]
    assert (len(queue), queue.fill) == (0, 0)


def kept(thinning: Thinning, n: int, **state: bool) -> list[bool]:
    about = {"room": True, "relaxed": False, "idle": False, **state}
    return [thinning.keeps(**about) for _ in range(n)]


def test_thinning_doubles_while_there_is_no_room() -> None:
    thinning = Thinning()
    assert all(kept(thinning, 5))
    assert not any(kept(thinning, 1 + 2 + 4, room=False))
    assert thinning.n == 8
    assert kept(thinning, 16) == [*[False] * 7, True] * 2, "every eighth, for there is room"
    assert not any(kept(thinning, 500, room=False))
    assert thinning.n == 64, "no more than that"


def test_thinning_halves_when_its_turn_comes_and_the_queue_is_less_than_half_full() -> None:
    thinning = Thinning()
    kept(thinning, 3, room=False)
    assert thinning.n == 4
    assert kept(thinning, 8, relaxed=True) == [False, False, False, True, False, True, True, True]
    assert thinning.n == 1


def test_thinning_lets_nobody_wait_for_work() -> None:
    thinning = Thinning()
    kept(thinning, 7, room=False)
    assert all(kept(thinning, 3, idle=True))
    assert thinning.n == 1


def test_thin_keeps_every_nth_and_says_so(sized: Sets) -> None:
    queue = SetQueue(40, "thin")
    reasons = [one.reason for k in range(11) for one in queue.put(sized(k))]
    assert reasons == [f"thinned: 1 of {n} kept" for n in (2, 2, 4, 4, 4, 4, 8)]
    assert [take(queue) for _ in range(3)] == [0, 1, 2]
    stays = [k for k in range(11, 23) if not queue.put(sized(k))]
    assert stays == [18, 22], "every eighth, and every fourth when it was less than half full"
    assert drained(queue) == [3, 18, 22]


def test_thin_says_when_it_keeps_everything_again(sized: Sets) -> None:
    said: list[tuple[str, str]] = []
    queue = SetQueue(20, "thin", told=lambda *one: said.append(one))
    for k in range(4):
        queue.put(sized(k))
    assert [take(queue), take(queue)] == [0, 1]
    assert [refused(queue, sized(10 + k)) for k in range(2)] == [[], []]
    assert [kind for kind, _ in said] == ["warning", "recovered"]
