"""Commits are idempotent: what becomes of a set whose key the table has already."""

from typing import Any

import numpy as np
import pytest

from dipstream.frame import Frame, FrameInfo, ImageSet, Segment, SetKey
from dipstream.pipeline import Analysis, Failure
from dipstream.run.admit import SequenceCount
from dipstream.run.balance import Balance, closing
from dipstream.run.known import Aside, aside
from dipstream.run.messages import LATE, RESTORED, Dropped
from dipstream.run.result import Accounting
from dipstream.store import KnownSet, set_hash


def image_set(version: int = 1, n: int = 1) -> ImageSet:
    frame = Frame(np.zeros((2, 3)), FrameInfo(Segment((2, 3), "float64"), "DAPI"))
    key = SetKey(0, "0", 0, 0)
    return ImageSet(7, key, (frame,) * n, tuple(range(10, 10 + n)), ("DAPI",), version=version)


KNOWN = KnownSet(3, 1, "analysed", "abc", 1)
ILL = KnownSet(3, 1, "quarantined", None, 2)
CASES: dict[str, tuple[Any, KnownSet | None, str | None, set[int], Aside | None]] = {
    "again, the same": (Analysis(image_set()), KNOWN, "abc", set(), Aside("late", LATE)),
    "again, another": (Analysis(image_set()), KNOWN, "xyz", set(), Aside("late", LATE)),
    "rewritten": (Analysis(image_set(2)), KNOWN, "xyz", set(), None),
    "rewritten with the same": (
        *(Analysis(image_set(2)), KNOWN, "abc", set()),
        Aside("analysed", None, 3),
    ),
    "rewritten, now broken": (
        *(Analysis(image_set(2), failure=Failure("bad")), KNOWN, None, set()),
        None,
    ),
    "rewritten, dropped": (
        *(Dropped(image_set(2), "full"), KNOWN, None, set()),
        Aside("dropped", "full"),
    ),
    "late for an ill one": (Analysis(image_set()), ILL, "abc", set(), Aside("late", LATE)),
    "an ill one tried again": (Analysis(image_set()), ILL, "abc", {10}, None),
    "a part tried again": (
        *(Analysis(image_set()), KnownSet(3, 1, "analysed", "abc", 2), "xyz", {10}),
        Aside(RESTORED, "only a part of its image set came again: what was measured of it stays"),
    ),
    "all of it tried again": (
        *(Analysis(image_set(n=2)), KnownSet(3, 1, "analysed", "abc", 1), "xyz", {11}),
        None,
    ),
    "all of it tried again in vain": (
        *(Analysis(image_set(n=2), failure=Failure("bad")), KNOWN, None, {11}),
        Aside(RESTORED, "bad"),
    ),
    "the first": (Analysis(image_set()), None, "abc", set(), None),
    "the first, dropped": (Dropped(image_set(), "full"), None, None, set(), None),
    "refused as it came, tried again, dropped": (
        *(Dropped(image_set(), "full"), None, None, {10}),
        Aside(RESTORED, "full"),
    ),
    "tried again, but dropped": (
        *(Dropped(image_set(n=2), "full"), ILL, None, {11}),
        Aside(RESTORED, "full"),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_the_table_keeps(case: str) -> None:
    done, known, content, retried, wanted = CASES[case]
    assert aside(done, known, content, retried) == wanted


def test_the_hash_of_a_set_tells_places_and_contents() -> None:
    def info(channel: str = "DAPI", z: int = 0) -> FrameInfo:
        return FrameInfo(Segment((2, 3), "uint8"), channel, z=z)

    one = set_hash([info(), info("GFP")], ["a", "b"])
    assert one is not None
    assert len(one) == 16
    assert one == set_hash([info(), info("GFP")], ["a", "b"])
    others = [
        set_hash([info(), info("RFP")], ["a", "b"]),
        set_hash([info(), info("GFP", 1)], ["a", "b"]),
        set_hash([info(), info("GFP")], ["b", "a"]),
        set_hash([info()], ["a"]),
    ]
    assert len({one, *others}) == 5
    assert set_hash([info()], []) is None
    assert set_hash([info()], ["a", "b"]) is None


class Book:
    def __init__(self, **counts: int) -> None:
        self.counts = counts
        self.now = 0.0

    def __call__(self) -> dict[str, int]:
        return dict(self.counts)


def test_the_balance_is_looked_at_now_and_then() -> None:
    book = Book(analysed=5, pending=2)
    balance = Balance(book, clock=lambda: book.now)
    told = Accounting(received=2, pending=2)
    book.counts["analysed"] = 9
    assert balance.problems(told) == []
    book.now = 6.0
    assert balance.problems(told) == [
        "5 frames ended as analysed, but the book has 9",
        "7 frames were booked, but the book has 11",
    ]
    assert balance.problems(told) == [], "not again so soon"
    book.counts = {"analysed": 6, "dropped": 1, "pending": 2}
    balance.rows = 2
    right = Accounting(received=5, analysed=1, dropped=1, pending=3)
    assert balance.problems(right, now=True) == []
    short = Accounting(received=3, analysed=1, dropped=1, pending=1)
    assert balance.problems(short, now=True) == [
        "4 frames are in the book, but only 3 were received"
    ]


def test_the_closing_balance_says_what_does_not_fit() -> None:
    book = {"analysed": 3, "pending": 1}
    good = {0: SequenceCount(0, 9, 8, 2)}
    assert closing(book, Accounting(), good, received=4, due=1).problems == ()
    assert closing(book, Accounting(), good, received=9, due=None).problems == ()
    assert len(closing(book, Accounting(), good, received=4, due=0).problems) == 1
    assert len(closing(book, Accounting(), good, received=5, due=1).problems) == 1
    bad = {0: SequenceCount(0, 9, 8, 1)}
    assert "segment 0" in closing(book, Accounting(), bad, received=4, due=1).problems[0]
