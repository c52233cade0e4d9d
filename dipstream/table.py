"""Columns and rows: what a measurement promises before the first frame, and what it delivers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["Column", "ColumnType", "RowBatch", "Schema"]

ColumnType: TypeAlias = Literal["int64", "float64", "text", "blob"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table, as the `columns` table of a run describes it.

    Attributes
    ----------
    name
        Name in the table.
    dtype
        ``int64``, ``float64``, ``text`` or ``blob``. Readers cast by it: NaN is stored as NULL.
    unit
        Unit of the values, empty for a pure number.
    definition
        What the number means, in a sentence.
    step
        The step that computes it; filled in by the pipeline.
    channel
        The channel whose pixels it is the value of: a unit of DN is then replaced by what the
        corrections of the pipeline make of it. Empty for anything else.
    """

    name: str
    dtype: ColumnType = "float64"
    unit: str = ""
    definition: str = ""
    step: str = ""
    channel: str = ""


@dataclass(frozen=True, slots=True)
class Schema:
    """The columns of one table, in order.

    Attributes
    ----------
    columns
        The columns.
    names
        Their names, in the same order.
    """

    columns: tuple[Column, ...]
    names: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Kept, since they are asked for at every frame.
        object.__setattr__(self, "names", tuple(column.name for column in self.columns))
        # SQL does not tell upper from lower case in the name of a column.
        names = [column.name.casefold() for column in self.columns]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(
                f"columns defined twice: {', '.join(twice)} (upper and lower case are the same)"
            )

    def __iter__(self) -> Iterator[Column]:
        return iter(self.columns)

    def __getitem__(self, name: str) -> Column:
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)


@dataclass(frozen=True, slots=True, eq=False)
class RowBatch:
    """Rows of one table as columns of equal length; what is absent is NULL."""

    schema: Schema
    values: Mapping[str, npt.NDArray[Any]]

    def __post_init__(self) -> None:
        unknown = [name for name in self.values if name not in self.schema.names]
        if unknown:
            raise ValueError(f"values for columns the schema does not have: {', '.join(unknown)}")
        lengths = {len(values) for values in self.values.values()}
        if len(lengths) > 1:
            raise ValueError(f"columns of unequal length: {sorted(lengths)}")

    def __len__(self) -> int:
        return len(next(iter(self.values.values()))) if self.values else 0

    def column(self, name: str) -> npt.NDArray[Any]:
        """Return one column, NaN (or -1, or empty text) where the step delivered nothing."""
        if name in self.values:
            return self.values[name]
        column = self.schema[name]
        empty = {"int64": -1, "float64": np.nan, "text": "", "blob": b""}[column.dtype]
        return np.full(len(self), empty)
