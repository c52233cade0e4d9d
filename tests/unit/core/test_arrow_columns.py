"""Columns that are filled in directly are those that pyarrow makes of the same values."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dipstream.store.arrow import arrow_type, column, numbers, one_row

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "int64": st.integers(-(2**63), 2**63 - 1),
    "float64": st.floats(),
    "text": st.text(),
    "blob": st.binary(),
}


@pytest.mark.parametrize("dtype", VALUES)
@given(data=st.data())
def test_of_python_values(dtype: Any, data: st.DataObject) -> None:
    values = data.draw(st.lists(st.none() | VALUES[dtype], max_size=40))
    found = column(values, dtype)
    found.validate(full=True)
    assert _same(found, pa.array(values, arrow_type(dtype)))


KINDS = ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", ">i4", "c8", "U3", "O")


@pytest.mark.parametrize("dtype", ["int64", "float64"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 300])
def test_of_numpy_values(dtype: Any, kind: str, n: int) -> None:
    rng = np.random.default_rng(n)
    values = rng.integers(0, 100, n).astype(kind)
    if np.dtype(kind).kind == "i":
        values[::2] = -values[::2]
    if np.dtype(kind).kind in "fO":
        values[1::3] = np.nan
        values[2::5] = -0.0
    # Any view will do: of every other value, in reverse.
    for one in (values, values[::2], values[::-1]):
        found = _outcome(partial(numbers, one, dtype))
        assert found == _outcome(partial(pa.array, one, arrow_type(dtype), from_pandas=True))
        if np.dtype(kind).kind == "i":
            there = one % 2 == 0
            found = _outcome(partial(numbers, one, dtype, there=there))
            assert found == _outcome(partial(pa.array, one, arrow_type(dtype), mask=~there))


ODD: dict[str, Any] = {
    "two axes": np.ones((2, 1)),
    "masked": np.ma.MaskedArray([1, 2], [True, False]),
    "too large": np.array([2**63 + 5], np.uint64),
    "largest": np.array([2**63 - 1], np.uint64),
    "no whole number": np.array([2.0, 1.5]),
    "whole numbers": np.array([2.0, np.nan]),
    "beyond 53 bits": np.array([2**53 + 1]),
    "truths": np.array([True, False]),
    "times": np.array([1, 2], "M8[s]"),
    "missing": np.array([1, None, float("nan")], object),
}


@pytest.mark.parametrize("dtype", ["int64", "float64"])
@pytest.mark.parametrize("values", ODD.values(), ids=ODD.keys())
def test_of_odd_numpy_values(dtype: Any, values: Any) -> None:
    assert _outcome(partial(numbers, values, dtype)) == _outcome(
        partial(pa.array, values, arrow_type(dtype), from_pandas=True)
    )


LISTS: list[list[Any]] = [
    [1.5], [1.0], ["1"], [b"a"], [1], [True], [np.int64(3), 4], [np.bool_(1)], [np.uint8(3)],
    [np.float32(1.5)], [np.float64(1.5), 2], [2**63], [2**53 + 1], ["\udc80"], [np.str_("a")],
    [Decimal(2)], [bytearray(b"a")], [[1, 2]], [float("nan")], ["a", float("nan")], [pd.NA, "a"],
    [pd.NaT, None], [date(2026, 1, 1)], [], [None],
]  # fmt: skip


@pytest.mark.parametrize("dtype", VALUES)
@pytest.mark.parametrize("values", LISTS, ids=repr)
@pytest.mark.parametrize("nan_is_null", [False, True])
def test_of_odd_python_values(dtype: Any, values: list[Any], nan_is_null: bool) -> None:
    assert _outcome(partial(column, values, dtype, nan_is_null=nan_is_null)) == _outcome(
        partial(pa.array, values, arrow_type(dtype), from_pandas=nan_is_null)
    )


def test_a_row_of_values() -> None:
    row = one_row([1, 2.5, "µ", b"\0", None, np.int64(7), np.str_("a"), True])
    assert [one[0].as_py() for one in row.columns] == [1, 2.5, "µ", b"\0", None, 7, "a", True]
    assert row.schema.types[:5] == [pa.int64(), pa.float64(), pa.string(), pa.binary(), pa.null()]


def _same(found: pa.Array, expected: pa.Array) -> bool:
    """Whether two arrays are equal to the last bit, NaN and the sign of 0 included."""
    return (
        found.type == expected.type
        and found.is_null().equals(expected.is_null())
        and repr(found.to_pylist()) == repr(expected.to_pylist())
    )


def _outcome(make: Callable[[], pa.Array]) -> object:
    """Return what an array holds, or what is raised instead."""
    try:
        made = make()
        made.validate(full=True)
    except Exception as error:  # noqa: BLE001 - whatever pyarrow raises, too
        return type(error)
    return repr(made.to_pylist())
