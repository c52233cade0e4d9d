"""Reads a CSV table while it grows: whole lines since the last look."""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from dipstream.errors import ReadError

__all__ = ["Tail"]

_CHUNK = 1 << 26
_TEXT = ("position", "channel")
_ALWAYS = ("t", "z", "seq", "label", "track_id", "parent_id", "area_px", "objects")


class Tail:
    """A table of the truth, read from where the last look ended.

    Parameters
    ----------
    path
        The file.
    columns
        Columns that have to be there.
    """

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._path = path
        self._needed = tuple(columns)
        self._at = 0
        self._columns: list[str] = []

    def read(self) -> Iterator[pd.DataFrame]:
        """Yield the new rows, in portions.

        Raises
        ------
        ReadError
            If the file is not there, lacks a column, or holds something else.
        """
        while (text := self._lines()) is not None:
            if not self._columns:
                head, _, text = text.partition(b"\n")
                self._columns = self._header(head)
            if text:
                yield self._rows(text)

    def _rows(self, text: bytes) -> pd.DataFrame:
        whole = {name: np.int64 for name in _ALWAYS if name in self._columns}
        others = set(self._columns) - set(_TEXT) - set(whole)
        try:
            return pd.read_csv(
                io.BytesIO(text),
                names=self._columns,
                index_col=False,
                dtype={**dict.fromkeys(_TEXT, str), **whole, **dict.fromkeys(others, np.float64)},
                keep_default_na=False,
                na_values=dict.fromkeys(others, ""),
            )
        except (ValueError, TypeError, pd.errors.ParserError) as error:
            raise ReadError(f"{self._path} is damaged: {error}. {_WHAT_TO_DO}") from error

    def _header(self, line: bytes) -> list[str]:
        columns = next(csv.reader([line.decode("utf-8", errors="replace")]), [])
        missing = [name for name in self._needed if name not in columns]
        if missing:
            raise ReadError(
                f"{self._path} has no column {', '.join(missing)}; it has "
                f"{', '.join(columns) or 'none'}. {_WHAT_TO_DO}"
            )
        return columns

    def _lines(self) -> bytes | None:
        try:
            with self._path.open("rb") as file:
                file.seek(self._at)
                text = file.read(_CHUNK)
        except FileNotFoundError as error:
            raise ReadError(f"{self._path} is missing. {_WHAT_TO_DO}") from error
        text = text[: text.rfind(b"\n") + 1]
        self._at += len(text)
        return text or None


_WHAT_TO_DO = (
    "Copy the whole folder of the truth again, or simulate anew: there is nothing to compare with "
    "otherwise"
)
