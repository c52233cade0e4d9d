"""Writes a table as CSV or Parquet."""

from pathlib import Path
from typing import TYPE_CHECKING

from dipstream.errors import ConfigError, StoreError
from dipstream.store.connection import Connection

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["check_export", "export_table", "snapshot_table"]

_FORMATS = (".csv", ".parquet")


def check_export(path: Path) -> None:
    """Raise `ConfigError` if a table cannot be exported to a file of this name."""
    if path.suffix.lower() not in _FORMATS:
        raise ConfigError(
            f"received the file name {path.name!r}; a table is exported to a name that ends in "
            f"{' or '.join(_FORMATS)}"
        )


def export_table(rows: "pd.DataFrame", path: Path) -> None:
    """Write rows to ``.csv`` (UTF-8, floats in full) or ``.parquet`` by the file's ending."""
    check_export(path)
    try:
        if path.suffix.lower() == ".csv":
            rows.to_csv(path, index=False)
        else:
            rows.to_parquet(path, index=False)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error}; choose another place") from error


def snapshot_table(table: Path, out: Path) -> None:
    """Copy a run's table, committed rows in the write-ahead log included, into one new file.

    Copying the file itself would lose what is still in the log.
    """
    with Connection(table, read_only=True) as connection:
        connection.execute("VACUUM INTO ?", (str(out),))
