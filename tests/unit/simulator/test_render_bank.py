"""The bank keeps what is used and forgets the rest, without changing what it gives."""

import numpy as np

from dipstream_simulator.render.bank import Bank, Shelf, Sprite


def sprite(value: float, side: int = 5, oversample: int = 3) -> Sprite:
    return Sprite.from_fine(
        np.full((side * oversample, side * oversample), value, dtype=np.float32), oversample
    )


def values(shelf: Shelf) -> list[float]:
    sizes = (shelf.side * shelf.oversample) ** 2
    parts = [shelf.buffer[a : a + n] for a, n in zip(shelf.offset, sizes, strict=True)]
    assert all((part == part[0]).all() for part in parts)
    return [float(part[0]) for part in parts]


def test_phases_lie_one_pixel_apart() -> None:
    fine = np.arange(81, dtype=np.float32).reshape(9, 9)
    phases = Sprite.from_fine(fine, 3).samples
    assert phases.shape == (3, 3, 3, 3)
    np.testing.assert_array_equal(phases[1, 2], fine[1::3, 2::3])


def test_a_sprite_is_made_once_and_found_again() -> None:
    bank, made = Bank(), []

    def make(i: int) -> Sprite:
        made.append(i)
        return sprite(float(i))

    first = bank.shelf(["a", "b"], make)
    again = bank.shelf(["b", "a", "b"], make)
    assert made == [0, 1]
    assert values(first) == [0.0, 1.0]
    assert values(again) == [1.0, 0.0, 1.0]


def test_the_longest_unused_are_forgotten_and_shelves_stay_valid() -> None:
    size = sprite(0).samples.nbytes
    bank, made = Bank(max_bytes=10 * size), []

    def give(*numbers: int) -> Shelf:
        def make(i: int) -> Sprite:
            made.append(numbers[i])
            return sprite(float(numbers[i]))

        return bank.shelf(numbers, make)

    early = give(0, 1, 2)
    for number in range(3, 40):
        assert values(give(number, 0)) == [float(number), 0.0]
    assert made.count(0) == 1, "what is always used is never forgotten"
    assert values(early) == [0.0, 1.0, 2.0]
    give(1)
    assert made.count(1) == 2


def test_whatever_is_asked_for_in_any_order_is_given() -> None:
    bank = Bank(max_bytes=7 * sprite(0).samples.nbytes)
    rng = np.random.default_rng(3)
    for _ in range(300):
        numbers = rng.integers(0, 12, size=rng.integers(1, 4)).tolist()
        made = [sprite(float(number)) for number in numbers]
        shelf = bank.shelf(numbers, made.__getitem__)
        assert values(shelf) == [float(number) for number in numbers]


def test_one_frame_may_need_more_than_the_limit() -> None:
    bank = Bank(max_bytes=4 * sprite(0).samples.nbytes)
    numbers = list(range(20))
    shelf = bank.shelf(numbers, lambda i: sprite(float(i)))
    assert values(shelf) == [float(number) for number in numbers]


def test_memory_is_bounded() -> None:
    size = sprite(0).samples.nbytes
    bank = Bank(max_bytes=20 * size)
    shelves = [bank.shelf([number], lambda _: sprite(1.0)) for number in range(300)]
    assert max(shelf.buffer.nbytes for shelf in shelves) <= 20 * size
