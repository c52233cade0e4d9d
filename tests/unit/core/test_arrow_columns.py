"""Columns that are filled in directly are those that pyarrow makes of the same values."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
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


@pytest.mark.parametrize("dtype", ["int64", "float64"])
@pytest.mark.parametrize("given_as", ["int8", "uint16", "int32", "int64", "float32", "float64"])
@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 300])
def test_of_numpy_values(dtype: Any, given_as: str, n: int) -> None:
    values = np.random.default_rng(n).integers(0, 100, n).astype(given_as)
    if values.dtype.kind == "f":
        values[1::3] = np.nan
    # Any view will do: of every other value, in reverse.
    for one in (values, values[::2], values[::-1]):
        found = numbers(one, dtype)
        found.validate(full=True)
        assert _same(found, pa.array(one, arrow_type(dtype), from_pandas=True))
        there = np.arange(len(one)) % 2 == 0
        # Beside a mask, pyarrow has no eye for NaN.
        null = ~there | np.isnan(one)
        masked = pa.array(np.where(null, 0, one), arrow_type(dtype), mask=null)
        assert _same(numbers(one, dtype, there=there), masked)


def test_values_of_another_type_are_refused() -> None:
    wrong: list[tuple[list[Any], Any]] = [
        ([1.5], "int64"),
        (["1"], "int64"),
        (["1"], "float64"),
        ([1], "text"),
        ([b"a"], "text"),
        (["a"], "blob"),
    ]
    for values, dtype in wrong:
        with pytest.raises(TypeError):
            column(values, dtype)
    with pytest.raises(OverflowError):
        column([2**63], "int64")
    with pytest.raises(UnicodeEncodeError):
        column(["\udc80"], "text")
    with pytest.raises(ValueError, match=r"received 1\.5 for a column of integers"):
        numbers(np.array([2.0, 1.5]), "int64")


def test_a_row_of_values() -> None:
    row = one_row([1, 2.5, "µ", b"\0", None])
    assert [one[0].as_py() for one in row.columns] == [1, 2.5, "µ", b"\0", None]
    assert row.schema.types == [pa.int64(), pa.float64(), pa.string(), pa.binary(), pa.null()]


def test_a_run_starts_and_commits_without_pandas(tmp_path: Path) -> None:
    """Importing pandas takes as long as all else together: before the first frame nobody may."""
    code = """
import sys
from pathlib import Path
import dipstream.cli.resume
from dipstream.store import RunWriter
writer = RunWriter(Path(sys.argv[1]), "normal")
with writer.transaction():
    writer.add_event(1, "started", "the run begins")
writer.close()
print(*sorted({"pandas", "pyarrow.dataset", "pyarrow.compute"} & sys.modules.keys()))
"""
    found = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "table.db")],
        check=True,
        capture_output=True,
        text=True,
    )
    assert found.stdout.split() == []


def _same(found: pa.Array, expected: pa.Array) -> bool:
    """Whether two arrays are equal, NaN included."""
    if found.type == pa.float64():
        nulls = np.array_equal(
            found.is_null().to_numpy(zero_copy_only=False),
            expected.is_null().to_numpy(zero_copy_only=False),
        )
        values = [np.asarray(one.fill_null(0)) for one in (found, expected)]
        return nulls and np.array_equal(values[0], values[1], equal_nan=True)
    return bool(found.equals(expected))
