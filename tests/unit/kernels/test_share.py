"""Parts of a frame in several threads: all of it, once, and never longer than the call."""

import threading
import time

import pytest

from dipstream.kernels.parallel import share, threads_inside_a_frame


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
@pytest.mark.parametrize(("n", "least"), [(0, 1), (1, 1), (7, 1), (7, 3), (100, 0)])
def test_every_row_is_worked_on_once(threads: int, n: int, least: int) -> None:
    rows: list[int] = []
    with threads_inside_a_frame(threads):
        share(n, lambda first, last: rows.extend(range(first, last)), least)
    assert sorted(rows) == list(range(n))


@pytest.mark.parametrize("failing", [0, 1])
def test_no_part_works_on_after_another_has_failed(failing: int) -> None:
    at_work: set[int] = set()
    begun = threading.Event()

    def work(first: int, last: int) -> None:
        del last
        if first == failing:
            begun.wait(5)
            raise ValueError(f"part {first}")
        at_work.add(first)
        begun.set()
        time.sleep(0.2)
        at_work.discard(first)

    with threads_inside_a_frame(4), pytest.raises(ValueError, match=f"part {failing}"):
        share(4, work)
    assert at_work == set(), "they would write into the next frame's buffers"
