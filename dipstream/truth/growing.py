"""A CSV file that is only ever appended to, and read while it grows."""

import csv
import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from dipstream.errors import StoreError
from dipstream.truth.replacing import naming

__all__ = ["GrowingTable"]

_LONGEST_LINE = 1 << 20


class GrowingTable:
    """Appends whole rows, each batch in one write that is flushed at once.

    Parameters
    ----------
    path
        The file; made with a header if it is not there. Half a line at its end, which a killed
        process may have left, is cut off.
    columns
        Names of the columns.

    Raises
    ------
    StoreError
        If the file has other columns.
    """

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self.path = path
        self.columns = tuple(columns)
        if not path.exists() or not self._mend():
            path.write_text(_line([self.columns]), encoding="utf-8", newline="")
        with path.open(encoding="utf-8", newline="") as file:
            header = next(csv.reader(file), [])
        if tuple(header) != self.columns:
            raise StoreError(
                f"{path} has the columns {', '.join(header)}; expected are "
                f"{', '.join(self.columns)}. It belongs to another source: start a new run"
            )
        self._file = path.open("a", encoding="utf-8", newline="")

    def append(self, rows: Iterable[Sequence[object]]) -> None:
        """Write rows; a reader sees all of them or, for a moment, a part."""
        text = _line(rows)
        if text:
            with naming(self.path):
                self._file.write(text)
                self._file.flush()

    def rows(self) -> Iterator[Mapping[str, str]]:
        """Yield the rows that are there."""
        with self.path.open(encoding="utf-8", newline="") as file:
            yield from csv.DictReader(file)

    def cut(self, keep: Callable[[Mapping[str, str]], bool]) -> None:
        """Cut off the rows at the end that are not to be kept."""
        end = 0
        with self.path.open("rb") as file:
            for number, line in enumerate(file):
                cells = next(csv.reader([line.decode("utf-8")]))
                end = end or len(line)
                if number and keep(dict(zip(self.columns, cells, strict=False))):
                    end = file.tell()
        self._file.truncate(end)

    def close(self) -> None:
        """Let go of the file; may be called twice."""
        with naming(self.path):
            self._file.close()

    def _mend(self) -> bool:
        """Cut off half a line at the end; return whether there is a header."""
        with self.path.open("r+b") as file:
            start = max(file.seek(0, os.SEEK_END) - _LONGEST_LINE, 0)
            file.seek(start)
            tail = file.read()
            end = tail.rfind(b"\n") + 1
            if end < len(tail):
                file.truncate(start + end)
            return end > 0


def _line(rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
