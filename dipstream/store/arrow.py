"""Arrow arrays of the four types that a table has.

pyarrow's own `pa.array` asks of each value whether it is one of pandas', and imports pandas for
that, which takes longer than importing all else that a run needs. Here the buffers of the Arrow
columnar format (values, validity bits from the lowest on, offsets of texts) are filled in directly.
"""

from array import array
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dipstream.table import ColumnType

__all__ = ["arrow_type", "column", "numbers", "one_row"]

_TYPES: dict[str, pa.DataType] = {
    "int64": pa.int64(),
    "float64": pa.float64(),
    "text": pa.string(),
    "blob": pa.binary(),
}
_CODES = {"int64": "q", "float64": "d"}
_DTYPES: Mapping[type, ColumnType] = {int: "int64", float: "float64", str: "text", bytes: "blob"}


def arrow_type(dtype: ColumnType) -> pa.DataType:
    """Return the Arrow type of a column."""
    return _TYPES[dtype]


def column(values: Sequence[Any], dtype: ColumnType) -> pa.Array:
    """Return an array of Python values, of which None becomes NULL.

    Raises
    ------
    TypeError, OverflowError, UnicodeEncodeError
        If a value is not of the type, is no number of 64 bits or no Unicode.
    """
    there = [value is not None for value in values]
    if not any(there):
        return pa.nulls(len(values), _TYPES[dtype])
    validity = None if all(there) else _bits(np.array(there))
    if dtype in _CODES:
        filled = array(_CODES[dtype], [0 if value is None else value for value in values])
        return _made(dtype, len(values), [validity, pa.py_buffer(filled)])
    encode: Callable[[Any], bytes] = str.encode if dtype == "text" else bytes
    encoded = [b"" if value is None else encode(value) for value in values]
    offsets = array("i", accumulate(map(len, encoded), initial=0))
    buffers = [validity, pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded))]
    return _made(dtype, len(values), buffers)


def numbers(
    values: npt.NDArray[Any], dtype: ColumnType, *, there: npt.NDArray[np.bool_] | None = None
) -> pa.Array:
    """Return an array of numbers; what is not `there`, and NaN, becomes NULL.

    Raises
    ------
    ValueError
        If a number is no integer where integers are asked for.
    """
    if values.dtype.kind == "f":
        finite = ~np.isnan(values)
        there = finite if there is None else finite & there
    if there is not None and there.all():
        there = None
    plain = values if there is None else np.where(there, values, 0)
    filled = np.ascontiguousarray(plain, dtype)
    if dtype == "int64" and values.dtype.kind == "f" and (filled != plain).any():
        wrong = plain[filled != plain][0]
        raise ValueError(f"received {wrong} for a column of integers; deliver whole numbers")
    validity = None if there is None else _bits(there)
    return _made(dtype, len(filled), [validity, pa.py_buffer(filled)])


def one_row(values: Sequence[Any]) -> pa.RecordBatch:
    """Return a row of values without names, each of its own type: int, float, str, bytes, None."""
    columns = [
        pa.nulls(1) if value is None else column([value], _DTYPES[type(value)]) for value in values
    ]
    return pa.RecordBatch.from_arrays(columns, names=[str(n) for n in range(len(values))])


def _made(dtype: ColumnType, n: int, buffers: list[pa.Buffer | None]) -> pa.Array:
    return pa.Array.from_buffers(_TYPES[dtype], n, buffers)


def _bits(there: npt.NDArray[np.bool_]) -> pa.Buffer:
    return pa.py_buffer(np.packbits(there, bitorder="little"))
