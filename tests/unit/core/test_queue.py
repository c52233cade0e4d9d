import threading
import time
from collections.abc import Callable

import numpy as np
import pytest

from dipstream.frame import Frame, ImageSet
from dipstream.queue import QueueFullError, SetQueue

Sets = Callable[..., ImageSet]


@pytest.fixture
def sized(make_set: Sets, make_frame: Callable[..., Frame]) -> Callable[..., ImageSet]:
    """An image set with that many bytes of pixels."""

    def made(set_id: int, nbytes: int = 10) -> ImageSet:
        return make_set(make_frame(set_id, pixels=np.zeros((1, nbytes), "uint8")), set_id=set_id)

    return made


def ids(image_sets: list[ImageSet]) -> list[int]:
    return [one.set_id for one in image_sets]


def drained(queue: SetQueue) -> list[int]:
    queue.close()
    return ids(list(iter(queue.get, None)))


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
    dropped = [ids(queue.put(sized(k))) for k in range(5)]
    assert dropped == [[], [], [], [0], [1]]
    assert ids(queue.put(sized(5, 30))) == [2, 3, 4], "as many as it needs"
    assert drained(queue) == [5]


def test_stop_raises(sized: Sets) -> None:
    queue = SetQueue(20, "stop")
    queue.put(sized(0))
    queue.put(sized(1))
    with pytest.raises(QueueFullError):
        queue.put(sized(2))
    assert drained(queue) == [0, 1]


def test_one_set_above_the_limit_passes_an_empty_queue(sized: Sets) -> None:
    for policy in ("block", "drop-oldest", "stop"):
        queue = SetQueue(20, policy)  # type: ignore[arg-type]
        assert queue.put(sized(0, 1000)) == []
        assert queue.fill == 50
        assert ids([s for s in [queue.get()] if s]) == [0]


def test_sets_that_are_still_open_count(sized: Sets) -> None:
    waiting = 0
    queue = SetQueue(30, "drop-oldest", lambda: waiting)
    queue.put(sized(0))
    queue.put(sized(1))
    waiting = 10
    assert queue.fill == 1
    assert ids(queue.put(sized(2))) == [0]


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
    assert ids([s for s in [queue.get()] if s]) == [0]
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
    queue = SetQueue(20, "block", lambda: waiting)
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
