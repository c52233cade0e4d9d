"""Arrow arrays of the four types that a table has.

pyarrow's own `pa.array` asks of each value whether it is one of pandas', and imports pandas for
that, which takes longer than importing all else that a run needs. Values of the plain types that
runs consist of are therefore written into the buffers of the Arrow columnar format here (values,
validity bits from the lowest on, offsets of texts); all others are left to pyarrow.
"""

from array import array
from collections.abc import Callable, Sequence
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
_PLAIN: dict[ColumnType, set[type]] = {
    "int64": {int, np.int64, type(None)},
    "float64": {float, np.float64, type(None)},
    "text": {str, type(None)},
    "blob": {bytes, type(None)},
}
_CODES = {"int64": "q", "float64": "d"}
_EXACT = {
    "int64": {"i1", "i2", "i4", "i8", "u1", "u2", "u4"},
    "float64": {"f2", "f4", "f8", "i1", "i2", "i4", "u1", "u2", "u4"},
}
"""The types of numpy, each value of which is one of the column's type."""


def arrow_type(dtype: ColumnType) -> pa.DataType:
    """Return the Arrow type of a column."""
    return _TYPES[dtype]


def column(values: Sequence[Any], dtype: ColumnType, *, nan_is_null: bool = False) -> pa.Array:
    """Return an array of Python values, of which None becomes NULL.

    Parameters
    ----------
    values, dtype
        The values and what they are to be.
    nan_is_null
        Whether NaN, and what pandas has for it, becomes NULL too.

    Raises
    ------
    pyarrow.ArrowException, OverflowError, UnicodeEncodeError
        If a value cannot be of the type, is too large or no Unicode.
    """
    if not {type(value) for value in values} <= _PLAIN[dtype] or (nan_is_null and dtype in _CODES):
        return pa.array(values, _TYPES[dtype], from_pandas=nan_is_null)
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
    pyarrow.ArrowException
        If a value cannot be of the type.
    """
    if (
        type(values) is not np.ndarray
        or values.ndim != 1
        or not values.dtype.isnative
        or f"{values.dtype.kind}{values.dtype.itemsize}" not in _EXACT[dtype]
    ):
        mask = None if there is None else ~there
        return pa.array(values, _TYPES[dtype], mask=mask, from_pandas=True)
    if values.dtype.kind == "f":
        numeric = ~np.isnan(values)
        there = numeric if there is None else numeric & there
    if there is not None and there.all():
        there = None
    filled = np.ascontiguousarray(values if there is None else np.where(there, values, 0), dtype)
    validity = None if there is None else _bits(there)
    return _made(dtype, len(filled), [validity, pa.py_buffer(filled)])


def one_row(values: Sequence[Any]) -> pa.RecordBatch:
    """Return a row of values without names, each of the type that it has."""
    return pa.RecordBatch.from_arrays(
        [_alone(value) for value in values], names=[str(n) for n in range(len(values))]
    )


def _alone(value: Any) -> pa.Array:
    if value is None:
        return pa.nulls(1)
    for dtype, plain in _PLAIN.items():
        if type(value) in plain:
            return column([value], dtype)
    return pa.array([value])


def _made(dtype: ColumnType, n: int, buffers: list[pa.Buffer | None]) -> pa.Array:
    return pa.Array.from_buffers(_TYPES[dtype], n, buffers)


def _bits(there: npt.NDArray[np.bool_]) -> pa.Buffer:
    return pa.py_buffer(np.packbits(there, bitorder="little"))
