"""Makes pandas of rows that were read."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

__all__ = ["as_pandas"]


def as_pandas(rows: pa.Table, dtypes: Mapping[str, str]) -> pd.DataFrame:
    """Return rows with the types that the run's table describes.

    Parameters
    ----------
    rows
        As SQLite gave them.
    dtypes
        Column → ``text``, ``blob``, ``float64`` or ``int64``; integers with gaps become ``Int64``.
    """
    return pd.DataFrame({c: _series(rows.column(c), dtypes[c]) for c in rows.column_names})


def _series(values: pa.ChunkedArray, dtype: str) -> "pd.Series[Any]":
    if dtype == "text":
        return pd.Series(values.cast(pa.string()).to_pandas(), dtype="str")
    if dtype == "blob":
        return pd.Series(values.to_pylist(), dtype=object)
    if dtype == "float64":
        return pd.Series(np.asarray(values.cast(pa.float64()).to_numpy(zero_copy_only=False)))
    if values.null_count:
        return pd.Series(
            values.cast(pa.int64()).to_pandas(types_mapper=None, integer_object_nulls=True),
            dtype="Int64",
        )
    return pd.Series(values.cast(pa.int64()).to_numpy())
