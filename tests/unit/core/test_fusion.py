"""Patterns of steps become one call; everything else stays as it is."""

from typing import Any

import pytest

from dipstream import fusion
from dipstream.fusion import Pattern, fuse


def first(image: Any, *, a: int) -> Any: ...
def second(image: Any, *, b: int) -> Any: ...
def other(image: Any) -> Any: ...
def both(image: Any, *, first: Any, second: Any) -> Any: ...


A, B, C = (first, {"a": 1}), (second, {"b": 2}), (other, {})
AB = (both, {"first": {"a": 1}, "second": {"b": 2}})


@pytest.mark.parametrize(
    ("calls", "fused"),
    [
        ([], []),
        ([A], [A]),
        ([B, A], [B, A]),
        ([A, C, B], [A, C, B]),
        ([A, B], [AB]),
        ([C, A, B, C, A, B, A], [C, AB, C, AB, A]),
    ],
)
def test_fuse(calls: list[Any], fused: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fusion, "PATTERNS", (Pattern((first, second), both),))
    assert fuse(calls) == fused


def test_there_are_few_patterns() -> None:
    assert 1 <= len(fusion.PATTERNS) <= 5
