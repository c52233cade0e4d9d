import random
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest

from dipstream.errors import StepError
from dipstream.frame import Frame, ImageSet
from dipstream.pipeline import StateCell
from dipstream.run.turns import Turns

Sets = Callable[..., ImageSet]


def test_parallel_threads_pass_in_order(make_set: Sets) -> None:
    turns = Turns(3, {})
    turns.expect(["a", "b"])
    passed: dict[str, list[int]] = {"a": [], "b": []}
    chance = random.Random(5)
    delays = {k: chance.uniform(0, 0.004) for k in range(3, 23)}

    def work(set_ids: list[int]) -> None:
        for set_id in set_ids:
            time.sleep(delays[set_id])
            for step, order in passed.items():
                with turns.turn(step, make_set(set_id=set_id)) as cell:
                    before = 0 if cell.state is None else int(cell.state["n"])
                    cell.state = {"n": np.array(before + 1)}
                    order.append(set_id)
            turns.passed(set_id)

    threads = [
        threading.Thread(target=work, args=(list(range(3 + k, 23, 4)),), daemon=True)
        for k in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert not any(thread.is_alive() for thread in threads)
    assert passed == {"a": list(range(3, 23)), "b": list(range(3, 23))}
    with turns.turn("a", make_set(set_id=23)) as cell:
        assert cell.state is not None
        assert int(cell.state["n"]) == 20


def test_sets_that_never_come_to_the_step_block_nobody(make_set: Sets) -> None:
    turns = Turns(0, {})
    turns.expect(["a"])
    for set_id in (2, 0, 1):
        turns.passed(set_id)
    with turns.turn("a", make_set(set_id=3)):
        pass
    turns.passed(3)
    turns.passed(3)
    with turns.turn("a", make_set(set_id=4)):
        pass


def test_a_step_that_fails_passes_its_turn_on(make_set: Sets) -> None:
    turns = Turns(0, {})
    turns.expect(["a"])
    with pytest.raises(ZeroDivisionError), turns.turn("a", make_set(set_id=0)):
        raise ZeroDivisionError
    with turns.turn("a", make_set(set_id=1)) as cell:
        assert cell.state is None


def test_each_place_has_its_own_state(make_set: Sets, make_frame: Callable[..., Frame]) -> None:
    kept = {"n": np.array(9)}
    turns = Turns(0, {("a", "left"): StateCell(kept, 0)})
    turns.expect(["a"])
    with turns.turn("a", make_set(make_frame(position="right"), set_id=0)) as cell:
        assert cell.state is None
    with turns.turn("a", make_set(make_frame(position="left", z=1), set_id=1)) as cell:
        assert cell.state is None
    with turns.turn("a", make_set(make_frame(position="left"), set_id=2)) as cell:
        assert cell.state is kept


def test_a_state_is_good_for_its_segment_only(make_set: Sets) -> None:
    turns = Turns(0, {("a", "0"): StateCell({"n": np.array(9)}, 4)})
    turns.expect(["a"])
    with turns.turn("a", make_set(set_id=0)) as cell:
        assert cell.state is None


def test_abort_wakes_who_waits(make_set: Sets) -> None:
    turns = Turns(0, {})
    turns.expect(["a"])
    failed = threading.Event()

    def wait() -> None:
        try:
            with turns.turn("a", make_set(set_id=5)):
                pass
        except StepError:
            failed.set()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    assert not failed.wait(0.05)
    turns.abort()
    assert failed.wait(2)
    thread.join(2)
