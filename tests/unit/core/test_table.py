import numpy as np
import pytest

from dipstream.table import Column, RowBatch, Schema

SCHEMA = Schema(
    (Column("label", "int64"), Column("area"), Column("name", "text"), Column("raw", "blob"))
)


def test_columns_are_found_by_name_in_order() -> None:
    assert SCHEMA.names == ("label", "area", "name", "raw")
    assert [column.name for column in SCHEMA] == list(SCHEMA.names)
    assert SCHEMA["area"].dtype == "float64"
    with pytest.raises(KeyError):
        SCHEMA["aera"]


def test_a_column_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="defined twice: area"):
        Schema((Column("area"), Column("label"), Column("area")))


def test_rows_of_unequal_length_and_unknown_columns_are_refused() -> None:
    with pytest.raises(ValueError, match="unequal length"):
        RowBatch(SCHEMA, {"label": np.arange(2), "area": np.zeros(3)})
    with pytest.raises(ValueError, match="does not have: aera"):
        RowBatch(SCHEMA, {"label": np.arange(2), "aera": np.zeros(2)})


def test_what_a_step_left_out_is_empty() -> None:
    rows = RowBatch(SCHEMA, {"label": np.array([1, 2])})
    assert len(rows) == 2
    assert rows.column("label").tolist() == [1, 2]
    assert np.isnan(rows.column("area")).tolist() == [True, True]
    assert rows.column("name").tolist() == ["", ""]
    assert len(RowBatch(SCHEMA, {})) == 0
